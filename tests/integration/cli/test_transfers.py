"""``async-storages cp``, ``mv``, ``rm``, ``ls``, ``stat``, ``cat`` and ``presign`` on real storages, as processes."""

import json
import os
import resource
import signal
import subprocess
import time
import urllib.request

import pytest

from async_storages import LocalStorage, S3Storage, UploadOptions
from async_storages._tasks import map_bounded
from async_storages.cli.copying import copy_file, version_of
from async_storages.cli.places import LocalPath, StoredPlace
from tests.support.command_line import COMMAND, environment, run
from tests.support.patience import HANGS

STORAGES = pytest.mark.parametrize("storage_env", ["folder", "s3", "gcs"], indirect=True)
SAID = "there is a file already; --force replaces it"


def lines(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def folder_env(tmp_path):
    return environment(ASYNC_STORAGES_LOCAL_ROOT=str(tmp_path / "store"))


@pytest.fixture
def tree(home):
    """A folder of files with all kinds of names."""
    names = ["a.txt", "empty", "sub/b.bin", "we ird'\"é$.txt", "-dash", "sub/deep/.hidden", "100%.txt", "a+b&c=d?.txt"]
    for name in names:
        path = home / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "empty" else os.urandom(300_000) if name.endswith("bin") else name.encode())
    return home / "tree"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- a folder there and back


@STORAGES
def test_a_folder_goes_there_and_back(storage_env, home, tree):
    env, base = storage_env
    there = run("cp", "--recursive", "./tree", f"{base}tree", "--json", cwd=home, env=env)
    assert json.loads(there.stdout) == {
        "copied": 8,
        "bytes": sum(map(len, contents(tree).values())),
        "present": 0,
        "failed": 0,
        "skipped": 0,
    }
    listed = lines(run("ls", "-r", f"{base}tree/", cwd=home, env=env))
    assert listed == sorted(f"{base}tree/{name}" for name in contents(tree))
    assert lines(run("ls", f"{base}tree/sub/", cwd=home, env=env)) == [f"{base}tree/sub/b.bin", f"{base}tree/sub/deep/"]
    assert lines(run("ls", base, cwd=home, env=env)) == [f"{base}tree/"]

    assert run("cp", "-r", f"{base}tree", "./back", cwd=home, env=env).returncode == 0
    assert contents(home / "back") == contents(tree)

    again = run("cp", "-r", "./tree", f"{base}tree", cwd=home, env=env)
    assert (again.returncode, again.stderr) == (0, "copied 0 files, 0 B; 8 were there already\n")

    (tree / "a.txt").write_bytes(b"another content")
    changed = run("cp", "-r", "./tree", f"{base}tree", cwd=home, env=env)
    assert changed.returncode == 1
    assert f"failed: copy '{base}tree/a.txt': {SAID}\n" in changed.stderr
    assert lines(run("cat", f"{base}tree/a.txt", cwd=home, env=env)) == ["a.txt"]
    assert run("cp", "-r", "--force", "./tree", f"{base}tree", cwd=home, env=env).returncode == 0
    assert lines(run("cat", f"{base}tree/a.txt", cwd=home, env=env)) == ["another content"]

    moved = run("mv", "-r", f"{base}tree", f"{base}moved", "--json", cwd=home, env=env)
    assert json.loads(moved.stdout)["copied"] == 8
    assert lines(run("ls", base, cwd=home, env=env)) == [f"{base}moved/"]
    removed = run("rm", "-r", "--yes", f"{base}moved", "--json", cwd=home, env=env)
    assert json.loads(removed.stdout) == {"removed": 8, "kept": 0, "failed": 0}
    assert lines(run("ls", "-r", base, cwd=home, env=env)) == []


@STORAGES
def test_one_file_from_standard_input_to_standard_output(storage_env, home):
    env, base = storage_env
    done = run("cp", "-", f"{base}notes/hello.html", cwd=home, env=env, stdin=b"<p>hello</p>")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"copied - to {base}notes/hello.html, 12 B\n")
    assert run("cp", f"{base}notes/hello.html", "-", cwd=home, env=env).stdout == "<p>hello</p>"
    assert run("cat", "--range", "3-7", f"{base}notes/hello.html", cwd=home, env=env).stdout == "hello"
    assert run("cat", "--range", "-4", f"{base}notes/hello.html", cwd=home, env=env).stdout == "</p>"
    assert run("cat", *[f"{base}notes/hello.html"] * 2, cwd=home, env=env).stdout == "<p>hello</p>" * 2
    facts = json.loads(run("stat", "--json", f"{base}notes/hello.html", cwd=home, env=env).stdout)
    assert (facts["file_size"], facts["content_type"], facts["file_id"]) == (12, "text/html", f"{base}notes/hello.html")
    [listed] = [json.loads(line) for line in lines(run("ls", "--json", f"{base}notes/", cwd=home, env=env))]
    assert (listed["file_id"], listed["file_size"]) == (f"{base}notes/hello.html", 12)
    [long] = lines(run("ls", "--long", f"{base}notes/", cwd=home, env=env))
    assert long.split() == ["12", facts["last_modify_time"][:19] + "Z", f"{base}notes/hello.html"]


@STORAGES
def test_a_file_that_is_there_is_not_replaced(storage_env, home):
    env, base = storage_env
    (home / "one.txt").write_text("one")
    (home / "two.txt").write_text("two")
    assert run("cp", "./one.txt", f"{base}x.txt", cwd=home, env=env).returncode == 0
    for source in ("./two.txt", f"{base}two.txt"):
        if source != "./two.txt":
            assert run("cp", "./two.txt", source, cwd=home, env=env).returncode == 0
        refused = run("cp", source, f"{base}x.txt", cwd=home, env=env)
        assert (refused.returncode, refused.stderr) == (2, f"copy '{base}x.txt': {SAID}\n")
    refused = run("mv", "./two.txt", f"{base}x.txt", cwd=home, env=env)
    assert refused.returncode == 2
    assert (home / "two.txt").read_text() == "two"
    refused = run("cp", f"{base}x.txt", "./two.txt", cwd=home, env=env)
    assert (refused.returncode, refused.stderr) == (2, f"copy 'two.txt': {SAID}\n")
    assert sorted(path.name for path in home.iterdir()) == ["one.txt", "two.txt"]
    assert run("cp", "--force", f"{base}x.txt", "./two.txt", cwd=home, env=env).returncode == 0
    assert (home / "two.txt").read_text() == "one"
    moved = run("mv", "--force", f"{base}two.txt", f"{base}x.txt", cwd=home, env=env)
    assert moved.returncode == 0
    assert run("cat", f"{base}x.txt", cwd=home, env=env).stdout == "two"
    assert lines(run("ls", "-r", base, cwd=home, env=env)) == [f"{base}x.txt"]


async def test_type_metadata_and_headers_go_along(s3_env, s3_server, s3_bucket, home, tmp_path, no_blocking_calls):
    keys = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}
    async with S3Storage(s3_bucket, endpoint_url=s3_server.endpoint_url, **keys) as storage:
        options = UploadOptions(cache_control="max-age=60")
        await storage.upload(b"x", "a.bin", content_type="image/x-mine", metadata={"by": "me"}, options=options)
    no_blocking_calls.deactivate()
    env = {**s3_env, "ASYNC_STORAGES_LOCAL_ROOT": str(tmp_path / "store")}
    for target in (f"s3:{s3_bucket}/b.bin", "file:c.bin", f"s3:{s3_bucket}/d.bin"):
        source = "file:c.bin" if target.endswith("d.bin") else f"s3:{s3_bucket}/a.bin"
        assert run("cp", source, target, cwd=home, env=env).returncode == 0
        facts = json.loads(run("stat", "--json", target, cwd=home, env=env).stdout)
        assert (facts["content_type"], facts["metadata"]) == ("image/x-mine", {"by": "me"})
        assert facts["cache_control"] == "max-age=60"


def test_files_of_fastdfs_are_copied_by_their_ids(fastdfs_server, home, tmp_path):
    env = environment(
        ASYNC_STORAGES_FASTDFS_TRACKER_SERVERS=fastdfs_server.tracker, ASYNC_STORAGES_LOCAL_ROOT=str(tmp_path / "store")
    )
    (home / "cat.txt").write_text("meow")
    [file_id] = lines(run("cp", "./cat.txt", "fastdfs:", cwd=home, env=env))
    assert run("cat", file_id, cwd=home, env=env).stdout == "meow"
    facts = json.loads(run("stat", "--json", file_id, cwd=home, env=env).stdout)
    assert (facts["file_name"], facts["fastdfs"]["group"]) == ("cat.txt", "group1")
    assert run("cp", file_id, "file:pets/", cwd=home, env=env).returncode == 0
    assert lines(run("ls", "file:pets/", cwd=home, env=env)) == ["file:pets/cat.txt"]
    assert run("mv", file_id, "./moved.txt", cwd=home, env=env).returncode == 0
    assert (home / "moved.txt").read_text() == "meow"
    gone = run("cat", file_id, cwd=home, env=env)
    assert (gone.returncode, gone.stderr.count("\n")) == (2, 1)
    refused = run("ls", "fastdfs:", cwd=home, env=env)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot list its files" in refused.stderr
    assert run("cp", "-r", "./", "fastdfs:", cwd=home, env=env).returncode == 2
    [file_id] = lines(run("cp", "-", "fastdfs:", cwd=home, env=env, stdin=b"piped"))
    assert run("rm", "--yes", file_id, cwd=home, env=env).returncode == 0
    assert run("rm", "--yes", file_id, cwd=home, env=env).returncode == 2


def test_presigned_urls_do_what_they_say(s3_env, s3_bucket, home):
    put = json.loads(
        run(
            "presign",
            f"s3:{s3_bucket}/p.txt",
            "--method",
            "put",
            "--content-type",
            "text/plain",
            "--json",
            cwd=home,
            env=s3_env,
        ).stdout
    )
    request = urllib.request.Request(put["url"], b"sent", put["headers"], method="PUT")
    with urllib.request.urlopen(request, timeout=HANGS):
        pass
    [url] = lines(
        run("presign", f"s3:{s3_bucket}/p.txt", "--expires", "15m", "--download-name", "q3.txt", cwd=home, env=s3_env)
    )
    with urllib.request.urlopen(url, timeout=HANGS) as answer:
        assert answer.read() == b"sent"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="q3.txt"'


# ---- hostile and wrong


async def test_keys_that_are_no_paths_stay_out_of_the_folder(s3_env, s3_server, s3_bucket, home, no_blocking_calls):
    keys = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}
    async with S3Storage(s3_bucket, endpoint_url=s3_server.endpoint_url, **keys) as storage:
        await storage.upload(b"in", "all/good/in.txt")
        await storage.upload(b"out", "all/link/out.txt")
    no_blocking_calls.deactivate()
    (home / "outside").mkdir()
    (home / "target").mkdir()
    (home / "target" / "link").symlink_to(home / "outside")
    done = run("cp", "-r", f"s3:{s3_bucket}/all", "./target", cwd=home, env=s3_env)
    assert done.returncode == 1
    assert "a link leads out of the target folder" in done.stderr
    assert list((home / "outside").iterdir()) == []
    assert (home / "target" / "good" / "in.txt").read_bytes() == b"in"


def test_links_devices_and_names_that_are_no_text(home, folder_env):
    tree = home / "tree"
    tree.mkdir()
    (tree / "self").symlink_to(tree)
    (tree / "lost").symlink_to(tree / "nowhere")
    (tree / "ok.txt").write_text("ok")
    os.mkfifo(tree / "pipe")
    (tree / os.fsdecode(b"bad\xff.txt")).write_text("bad")
    (tree / "tab\t.txt").write_text("tab")
    done = run("cp", "-r", "./tree", "file:t", cwd=home, env=folder_env)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "copied 1 file, 2 B; 4 failed; 1 link to folders left out"
    assert done.stderr.count("failed: ") == 4
    assert lines(run("ls", "-r", "file:", cwd=home, env=folder_env)) == ["file:t/ok.txt"]


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("cp report.txt file:x", "'report.txt' is neither an id nor a path: write ./report.txt"),
        ("cp ./report.txt x", "'x' is neither an id nor a path"),
        ("cp ./report.txt ./other.txt", "one of the two must be a stored file"),
        ("cp ./missing.txt file:x", "there is no such file"),
        ("cp ./ file:x", "it is a folder: say --recursive"),
        ("cp -r ./report.txt file:x", "is no folder"),
        ("cp -r ./missing file:x", "is no folder"),
        ("cp file: ./x", "is a folder: say --recursive"),
        ("cp file:missing ./x", "no such file"),
        ("cp file:there file:there", "source and target are the same file"),
        ("cp -r file:d file:d/e", "one is a folder of the other"),
        ("cp -r file: file:d", "one is a folder of the other"),
        ("cp - file:d/", "has no name"),
        ("cp -r - file:d/", "- is no folder"),
        ("cp -r ./ ./x", "one of the two must be in a storage"),
        ("mv - file:x", "cannot be moved"),
        ("mv file:missing file:x", "no such file"),
        ("cp ./report.txt file:../x", "a key cannot hold"),
        ("cp ./report.txt nothing:x", "unknown scheme 'nothing'"),
        ("cp ./report.txt s3:/x", "names no bucket"),
        ("cp ./report.txt file:x --concurrency 0", "--concurrency"),
        ("cp ./report.txt", "Missing argument"),
        ("cp --nonsense a b", "No such option"),
        ("rm file:there", "standard input is no terminal: say --yes"),
        ("rm -r file:", "standard input is no terminal: say --yes"),
        ("rm --yes file:there file:missing", "no such file"),
        ("rm --yes ./report.txt", "is not the id of a file"),
        ("rm -r --yes ./", "whose own rm removes it"),
        ("ls ./", "whose own ls lists it"),
        ("ls there", "neither an id nor a path"),
        ("ls fastdfs:", "ASYNC_STORAGES_FASTDFS_TRACKER_SERVERS"),
        ("ls mem:", "nothing here serves mem ids"),
        ("ls file:\x01", "a file id cannot hold the character U+0001"),
        ("stat file:missing", "no such file"),
        ("stat file:", "is not the id of a file"),
        ("cat file:missing", "no such file"),
        ("cat --range 5-1 file:there", "'5-1' is no range"),
        ("cat --range x file:there", "'x' is no range"),
        ("presign file:there --expires 15", "'15' is no time"),
        ("presign file:there --method patch", "--method is get, head, put or delete, not 'patch'"),
        ("presign file:there", "needs a base_url"),
        ("ls file: --app nonsense", "'nonsense' is not of the form module:name"),
        ("nonsense", "No such command 'nonsense'"),
    ],
)
def test_wrong_input_is_one_line_and_changes_nothing(command, problem, home, folder_env, tmp_path):
    (home / "report.txt").write_text("report")
    store = tmp_path / "store"
    store.mkdir()
    (store / "there").write_text("there")
    (store / "d").mkdir()
    (store / "d" / "f").write_text("f")
    before = contents(tmp_path)
    done = run(*command.split(" "), cwd=home, env=folder_env)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert contents(tmp_path) == before


async def test_a_file_that_changes_while_it_is_moved_stays(home, tmp_path, no_blocking_calls):
    """What has come since the copy is copied nowhere, so it is not removed."""
    no_blocking_calls.deactivate()
    file = home / "log.txt"
    file.write_text("one")
    async with LocalStorage(tmp_path / "store") as storage:
        done = await copy_file(LocalPath(file, is_folder=False), StoredPlace(storage, "log.txt"), force=False)
        assert done.version == await version_of(LocalPath(file, is_folder=False))
        file.write_text("two")
        assert done.version != await version_of(LocalPath(file, is_folder=False))
        back = await copy_file(StoredPlace(storage, "log.txt"), LocalPath(home / "back", is_folder=False), force=False)
        await storage.upload(b"three", "log.txt")
        assert back.version != await version_of(StoredPlace(storage, "log.txt"))


# ---- stopped


@pytest.fixture
def large(home):
    """Files that take a while."""
    (home / "large").mkdir()
    for number in range(24):
        (home / "large" / f"{number}.bin").write_bytes(bytes([number]) * 8_000_000)
    return home / "large"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_copy_that_is_stopped_leaves_whole_files_and_goes_on(sent, code, home, folder_env, large, tmp_path):
    assert run("cp", "-r", "./large", "file:large", cwd=home, env=folder_env).returncode == 0
    command = [*COMMAND, "cp", "-r", "file:large", "./back"]
    with subprocess.Popen(command, cwd=home, env=folder_env, stderr=subprocess.PIPE) as process:
        until(lambda: len(list((home / "back").glob("*.bin"))) >= 2)
        process.send_signal(sent)
        _, said = process.communicate(timeout=HANGS)
    assert process.returncode == code
    assert said.decode().startswith("stopped: no file was left half-written; run it again")
    left = list((home / "back").iterdir())
    assert 2 <= len(left) < 24
    assert all(path.suffix == ".bin" and path.stat().st_size == 8_000_000 for path in left)
    assert run("cp", "-r", "file:large", "./back", cwd=home, env=folder_env).returncode == 0
    assert contents(home / "back") == contents(large)


def test_an_upload_that_is_stopped_leaves_no_parts(home, folder_env, large, tmp_path):
    with subprocess.Popen(
        [*COMMAND, "cp", "-r", "./large", "file:large"], cwd=home, env=folder_env, stderr=subprocess.PIPE
    ) as process:
        until(lambda: len(list((tmp_path / "store").rglob("*.bin"))) >= 2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=HANGS)
    assert process.returncode == 130
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_file() and path.name != "lock"]
    whole = {path for path in left if path.name.endswith(".bin") and path.stat().st_size == 8_000_000}
    assert [path for path in left if path not in whole and path.parent.name != "meta"] == []  # which has their types


def test_standard_input_that_never_comes_can_be_stopped(home, folder_env, tmp_path):
    with subprocess.Popen(
        [*COMMAND, "cp", "-", "file:x"], cwd=home, env=folder_env, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdin.write(b"x" * 300_000)
        process.stdin.flush()
        until(lambda: any((tmp_path / "store").rglob("*")))
        process.send_signal(signal.SIGINT)
        process.wait(HANGS)
    assert process.returncode == 130
    assert contents(tmp_path / "store") == {}


def until(is_so):
    deadline = time.monotonic() + HANGS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ---- many


@pytest.fixture
async def many(s3_server, s3_bucket, no_blocking_calls):
    """A bucket with more files than a page of a listing has."""
    keys = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}
    async with S3Storage(s3_bucket, endpoint_url=s3_server.endpoint_url, **keys) as storage:

        async def upload(number):
            await storage.upload(b"", f"many/{number:05}")

        await map_bounded(upload, range(3000), limit=16)
    no_blocking_calls.deactivate()
    return f"s3:{s3_bucket}"


def test_a_listing_is_streamed(s3_env, many, home):
    assert len(lines(run("ls", "-r", many, cwd=home, env=s3_env))) == 3000
    assert lines(run("ls", many, cwd=home, env=s3_env)) == [f"{many}/many/"]
    with subprocess.Popen(
        [*COMMAND, "ls", "-r", many], cwd=home, env=s3_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == f"{many}/many/00000\n".encode()
        process.stdout.close()
        said = process.stderr.read()
        process.wait(HANGS)
    assert (process.returncode, said) == (141, b"")


def test_a_large_file_passes_in_pieces(home, folder_env, tmp_path):
    (home / "large.bin").write_bytes(bytes(100_000_000))
    limited = ["bash", "-c", 'ulimit -v 1500000; exec "$@"', "bash", *COMMAND]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    for arguments in (["cp", "./large.bin", "file:x"], ["cp", "file:x", "./back.bin"]):
        subprocess.run([*limited, *arguments], cwd=home, env=folder_env, check=True, timeout=HANGS)
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert after - before < 90_000, "kilobytes, and the file has 100,000"
    assert (home / "back.bin").stat().st_size == 100_000_000
