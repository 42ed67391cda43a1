"""What LocalStorage promises besides the contract: plain files below a root, and nothing else touched."""

import asyncio
import json
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from async_storages import (
    AccessDeniedException,
    Content,
    DeleteNotSupportedException,
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    LocalStorage,
    OperationNotSupportedException,
    StorageException,
    StorageOperationException,
    UploadOptions,
)
from async_storages.signing import TokenSigner, check_expires_in

BASE = "https://example.com/files"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "deep" / "root"


@pytest.fixture
def storage(root):
    return LocalStorage(root)


def everything(root):
    """All that is below the root, folders with a slash, without the private folder's own skeleton."""
    found = {
        f"{path.relative_to(root)}{'/' if path.is_dir() and not path.is_symlink() else ''}" for path in root.rglob("*")
    }
    return found - {f".async_storages/{name}" for name in ("", "drafts/", "meta/", "lock")}


async def keys(storage, prefix=""):
    return [info.file_id.removeprefix("file:") async for info in storage.list(prefix)]


async def write(storage, key, data=b"content", **options):
    """`write` without the gate for names that `upload` is."""
    async with Content(data) as content:
        return await storage.write(content, key, **options)


# ---- plain files


async def test_a_file_is_at_its_key_as_it_is(storage, root):
    await storage.upload(b"content", "folder/合同.txt")
    assert (root / "folder" / "合同.txt").read_bytes() == b"content"
    assert everything(root) == {"folder/", "folder/合同.txt"}


async def test_type_and_metadata_are_kept_apart_and_only_where_needed(storage, root):
    await storage.upload(b"content", "plain.txt")
    await storage.upload(b"<html>", "html.txt")
    await storage.upload(b"content", "described.txt", metadata={"a": "合同"})
    [one, other] = sorted(name for name in everything(root) if name.startswith(".async_storages/meta/"))
    kept = [entry for name in (one, other) for entry in json.loads((root / name).read_bytes())]
    assert {(item["key"], item["content_type"], item["size"]) for item in kept} == {
        ("html.txt", "text/html", 6),
        ("described.txt", "text/plain", 7),
    }


async def test_a_file_put_there_by_hand_is_a_file(storage, root):
    (root / "by hand").mkdir(parents=True)
    (root / "by hand" / "a\u00a0b.csv").write_bytes(b"a,b")
    assert await keys(storage) == ["by hand/a\u00a0b.csv"]
    info = await storage.stat("by hand/a\u00a0b.csv")
    assert (info.file_size, info.content_type, info.metadata) == (3, "text/csv", {})
    await storage.set_metadata("by hand/a\u00a0b.csv", {"a": "1"})
    assert (await storage.stat("by hand/a\u00a0b.csv")).metadata == {"a": "1"}
    await storage.delete("by hand/a\u00a0b.csv")
    assert everything(root) == set()


async def test_a_description_of_what_was_replaced_by_hand_is_not_believed(storage, root):
    await storage.upload(b"content", "a.png", content_type="text/x-mine", metadata={"a": "1"})
    (root / "a.png").write_bytes(b"something else")
    info = await storage.stat("a.png")
    assert (info.file_size, info.content_type, info.metadata) == (14, "image/png", {})


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"{}", b"[1]", b'"text"', b"\xff"], ids=repr)
async def test_a_description_that_cannot_be_read_is_none(storage, root, broken):
    await storage.upload(b"content", "a.txt", metadata={"a": "1"})
    [description] = (root / ".async_storages" / "meta").iterdir()
    description.write_bytes(broken)
    assert (await storage.stat("a.txt")).metadata == {}
    await storage.upload(b"content", "a.txt", metadata={"a": "2"})
    assert (await storage.stat("a.txt")).metadata == {"a": "2"}


async def test_a_listing_reads_no_folders_but_those_of_its_prefix(storage, root, monkeypatch):
    for key in ("a.txt", "photos/b.txt", "photos/c/d.txt", "photos/c/e/f.txt", "photos/cc/g.txt"):
        await storage.upload(b"x", key)
    read, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: read.append(str(Path(path).relative_to(root))) or scandir(path))
    assert await keys(storage, "photos/c/") == ["photos/c/d.txt", "photos/c/e/f.txt"]
    assert read == ["photos/c", "photos/c/e"]


@pytest.mark.parametrize(
    "prefix",
    [
        "../",
        "../root/",
        "./",
        "/",
        "//",
        "photos/../",
        "photos//",
        ".async_storages/",
        "link/",
        "none/",
        "a.txt/",
        "\0/",
    ],
)
async def test_a_prefix_is_no_way_out(storage, root, prefix):
    await storage.upload(b"x", "photos/a.txt")
    await storage.upload(b"x", "a.txt")
    (root / "link").symlink_to(root / "photos")
    assert await keys(storage, prefix) == []


async def test_names_that_are_no_keys_are_not_listed(storage, root):
    await storage.upload(b"content", "a.txt")
    for name in (b"back\\slash", b"new\nline", b"not utf-8 \xff"):
        (root / os.fsdecode(name)).write_bytes(b"x")
    assert await keys(storage) == ["a.txt"]


async def test_deleting_leaves_no_empty_folders_and_no_root(storage, root):
    for key in ("a/b/c/d.txt", "a/e.txt"):
        await storage.upload(b"content", key, metadata={"a": "1"})
    await storage.delete("a/b/c/d.txt")
    assert (root / "a").is_dir()
    assert not (root / "a" / "b").exists()
    await storage.delete("a/e.txt")
    assert everything(root) == set()
    assert root.is_dir()


async def test_nothing_is_made_before_the_first_write(storage, root):
    assert not await storage.exists("a.txt")
    assert await keys(storage) == await keys(storage, "folder/") == []
    await storage.delete("a.txt")
    with pytest.raises(FileNotFoundException):
        await storage.set_metadata("a.txt", {})
    with pytest.raises(FileNotFoundException):
        await storage.read("a.txt")
    assert not root.parent.exists()


async def test_a_relative_root_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    storage = LocalStorage("files")
    monkeypatch.chdir("/")
    await storage.upload(b"content", "a.txt")
    assert (tmp_path / "files" / "a.txt").read_bytes() == b"content"


async def test_a_root_that_is_a_file_is_a_named_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    storage = LocalStorage(tmp_path / "file")
    with pytest.raises(StorageOperationException):
        await storage.upload(b"content", "a.txt")
    with pytest.raises(FileNotFoundException):
        await storage.read("a.txt")
    assert await keys(storage) == []


async def test_etags_differ_however_fast_a_file_is_replaced(storage):
    etags = []
    for n in range(100):
        await storage.upload(b"%04d" % n, "a.txt")
        etags.append((await storage.stat("a.txt")).etag)
    assert len(set(etags)) == 100


# ---- what is no file, and what is elsewhere

OPERATIONS = {
    "read": lambda storage, key: storage.read(key),
    "stat": lambda storage, key: storage.stat(key),
    "write": write,
    "write new": lambda storage, key: write(storage, key, overwrite=False),
    "delete": lambda storage, key: storage.delete(key),
    "copy from": lambda storage, key: storage.copy(key, "copy.txt"),
    "copy to": lambda storage, key: storage.copy("real/file.txt", key),
    "set_metadata": lambda storage, key: storage.set_metadata(key, {"a": "1"}),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)

LINKS = {
    "file outside": ("link.txt", "../outside/file.txt", "link.txt"),
    "absolute": ("link.txt", "/etc/hostname", "link.txt"),
    "file inside": ("link.txt", "real/file.txt", "link.txt"),
    "dangling": ("link.txt", "nowhere", "link.txt"),
    "dangling outside": ("link.txt", "../outside/new.txt", "link.txt"),
    "to itself": ("link.txt", "link.txt", "link.txt"),
    "folder": ("link.txt", "../outside", "link.txt"),
    "in a folder outside": ("link", "../outside", "link/file.txt"),
    "new in a folder outside": ("link", "../outside", "link/new/new.txt"),
    "in a folder inside": ("link", "real", "link/file.txt"),
    "in the root again": ("link", ".", "link/real/file.txt"),
    "in a dangling folder": ("link", "nowhere", "link/file.txt"),
    "deeper": ("real/link", "../../outside", "real/link/file.txt"),
}


@every_operation
@pytest.mark.parametrize(("link", "target", "key"), LINKS.values(), ids=LINKS)
async def test_symbolic_links_are_never_followed(storage, root, operation, link, target, key):
    await storage.upload(b"content", "real/file.txt")
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "file.txt").write_bytes(b"secret")
    (root / link).symlink_to(target)

    with pytest.raises(AccessDeniedException, match="symbolic link"):
        await operation(storage, key)

    assert (root / link).readlink() == Path(target)
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"file.txt": b"secret"}
    assert everything(root) == {"real/", "real/file.txt", link}
    assert await keys(storage) == ["real/file.txt"]
    assert await keys(storage, "link") == await keys(storage, "link/") == []


async def test_the_root_itself_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    storage = LocalStorage(tmp_path / "link")
    await storage.upload(b"content", "folder/a.txt")
    assert (tmp_path / "real" / "folder" / "a.txt").read_bytes() == b"content"
    assert await keys(storage) == ["folder/a.txt"]


@pytest.mark.parametrize("name", ["drafts", "meta", ""])
async def test_the_private_folder_is_no_way_out(storage, root, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    place = root / ".async_storages" / name
    place.parent.mkdir(parents=True)
    (root / ".async_storages" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AccessDeniedException):
        await storage.upload(b"content", "a.txt", metadata={"a": "1"})
    assert not (root / "a.txt").exists()
    assert [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()] == []


@every_operation
@pytest.mark.parametrize("key", ["fifo", "folder", "folder/fifo"])
async def test_fifos_and_folders_are_no_files(storage, root, operation, key):
    await storage.upload(b"content", "real/file.txt")
    (root / "folder").mkdir()
    os.mkfifo(root / "fifo")
    os.mkfifo(root / "folder" / "fifo")
    before = everything(root)
    try:
        await operation(storage, key)
    except (FileNotFoundException, FileExistsException):
        pass
    else:
        assert operation is OPERATIONS["delete"]  # of what is no file, which is fine, and does nothing
    assert everything(root) == before
    assert await keys(storage) == ["real/file.txt"]


PRIVATE = [".async_storages", ".async_storages/lock", ".ASYNC_STORAGES/lock", ".Async_Storages/drafts/a"]


@every_operation
@pytest.mark.parametrize("key", PRIVATE)
async def test_the_private_folder_holds_no_files(storage, root, operation, key):
    await storage.upload(b"content", "real/file.txt", metadata={"a": "1"})
    before = everything(root)
    with pytest.raises(InvalidArgumentException):
        await operation(storage, key)
    assert everything(root) == before
    assert await keys(storage) == await keys(storage, "") == ["real/file.txt"]
    assert await keys(storage, ".async") == await keys(storage, ".async_storages/") == []


async def test_the_private_folder_by_another_name_holds_no_files(storage, root, monkeypatch):
    """Where the file system takes more spellings than we know for the same folder: simulated, Linux has no such one."""
    await storage.upload(b"content", "a.txt")
    real = os.stat
    monkeypatch.setattr(
        os, "stat", lambda path, **options: real(str(path).replace("ASYNC_~1", ".async_storages"), **options)
    )
    with pytest.raises(InvalidArgumentException):
        await storage.read("ASYNC_~1/lock")


async def test_a_folder_is_not_written_over_nor_a_file_written_into(storage, root):
    await storage.upload(b"content", "folder/file.txt")
    for key in ("folder", "folder/file.txt/deeper.txt", "folder/file.txt/deeper/deeper.txt"):
        for attempt in (
            storage.upload(b"new", key),
            storage.upload(b"new", key, overwrite=False),
            storage.copy("folder/file.txt", key),
        ):
            with pytest.raises(FileExistsException) as caught:
                await attempt
            assert caught.value.http_status == 409
    assert everything(root) == {"folder/", "folder/file.txt"}


async def test_a_key_that_is_taken_is_refused_before_the_content_is_read(storage):
    await storage.upload(b"content", "folder/file.txt")
    read = []
    for key in ("folder/file.txt", "folder", "folder/file.txt/deeper.txt"):
        with pytest.raises(FileExistsException):
            await storage.upload((read.append(n) or b"new" for n in range(3)), key, overwrite=False)
    assert read == []


@pytest.mark.parametrize("key", ["a" * 256, "照" * 86, "/".join(["a" * 200] * 25)], ids=len)
async def test_names_too_long_for_the_file_system_are_the_callers_mistake(storage, root, key):
    await storage.upload(b"content", "real/file.txt")
    for operation in OPERATIONS.values():
        with pytest.raises(InvalidArgumentException, match="too long"):
            await operation(storage, key)
    assert everything(root) == {"real/", "real/file.txt"}


# ---- reading while others write


async def test_a_file_deleted_while_it_is_read_is_read_to_its_end(storage):
    key = await storage.upload(b"0123456789" * 1000, "a.txt")
    stream = storage.stream(key, chunk_size=1000)
    begun = await anext(stream)
    await storage.delete(key)
    assert begun + b"".join([chunk async for chunk in stream]) == b"0123456789" * 1000


@pytest.mark.parametrize("rest", [0, 1, 1_500_000, 9_999_999])
async def test_a_file_cut_short_while_it_is_read_is_an_error(storage, root, rest):
    """It is longer than the buffer of Python 3.14, 128 KiB or more, which would hold the end of a short one."""
    key = await storage.upload(b"0123456789" * 1_000_000, "a.txt")
    stream = storage.stream(key, chunk_size=1_000_000)
    await anext(stream)
    os.truncate(root / key, rest)
    with pytest.raises(StorageOperationException, match="cut short"):
        async for _ in stream:
            pass


async def test_listing_while_files_go_is_no_error(storage, root):
    root.mkdir(parents=True)
    for n in range(600):  # more than are looked at in one go
        (root / f"{n:03}.txt").touch()
    listed = []
    async for info in storage.list():
        listed.append(info.file_id)
        await storage.delete_many(["599.txt", "400.txt"] if len(listed) == 1 else [])
    assert len(listed) == 598


async def test_a_copy_of_the_folder_keeps_types_and_metadata(storage, root, tmp_path):
    await storage.upload(b"content", "a.txt", content_type="text/x-mine", metadata={"a": "1"})
    shutil.copytree(root, tmp_path / "copy", copy_function=shutil.copyfile)
    info = await LocalStorage(tmp_path / "copy").stat("a.txt")
    assert (info.content_type, info.metadata) == ("text/x-mine", {"a": "1"})


# ---- URLs


async def test_urls_are_below_the_base_or_of_the_file(root):
    assert await LocalStorage(root, f"{BASE}/").url("a b/#.txt") == f"{BASE}/a%20b/%23.txt"
    assert await LocalStorage(root, "/files").url("a.txt") == "/files/a.txt"
    assert await LocalStorage(root).url("a b.txt") == f"{root.as_uri()}/a%20b.txt"


@pytest.mark.parametrize("base_url", ["ftp://example.com", "example.com/files", "javascript:alert(1)", ""])
def test_a_base_url_that_is_none_is_refused(root, base_url):
    with pytest.raises(InvalidArgumentException):
        LocalStorage(root, base_url)


@pytest.mark.parametrize("secret_key", ["", [], ["", "secret"]], ids=repr)
def test_an_empty_secret_is_refused(root, secret_key):
    with pytest.raises(InvalidArgumentException):
        LocalStorage(root, BASE, secret_key)


@pytest.mark.parametrize("arguments", [(), (BASE,), (None, "secret")], ids=["neither", "no secret", "no base"])
async def test_presigning_needs_a_base_and_a_secret(root, arguments):
    storage = LocalStorage(root, *arguments)
    for ask in (
        lambda: storage.file("a.txt").get_presigned_url(),
        lambda: storage.presign_post("a.txt"),
        lambda: asyncio.to_thread(storage.presign, "a.txt"),
    ):
        with pytest.raises(OperationNotSupportedException, match="base_url and a secret_key"):
            await ask()
    with pytest.raises(AccessDeniedException):
        storage.verify_presigned("GET", "a.txt", "token")


def token_of(url):
    return url.partition("?token=")[2]


def test_secrets_rotate(root):
    old, both, new = (LocalStorage(root, BASE, keys) for keys in ("old", ["old", "new"], "new"))
    by_old, by_both = token_of(old.presign("a.txt")), token_of(both.presign("a.txt"))
    assert both.verify_presigned("GET", "a.txt", by_old).key == "a.txt"
    assert new.verify_presigned("GET", "a.txt", by_both).key == "a.txt"
    with pytest.raises(AccessDeniedException):
        new.verify_presigned("GET", "a.txt", by_old)
    with pytest.raises(AccessDeniedException):
        old.verify_presigned("GET", "a.txt", by_both)


async def test_tokens_of_other_storages_and_for_other_purposes_are_refused(root):
    storage = LocalStorage(root, BASE, "secret")
    another = LocalStorage(root, f"{BASE}2", "secret")
    form = (await storage.presign_post("a.txt")).fields["token"]
    payload = {"method": "GET", "key": "a.txt"}
    for method, token in {
        "GET": token_of(another.presign("a.txt")),
        "PUT": form,
        "POST": token_of(storage.presign("a.txt", method="PUT")),
        "DELETE": token_of(storage.presign("a.txt")),
        "HEAD": TokenSigner("secret", "upload").sign(payload, check_expires_in(60)),
        "PATCH": token_of(storage.presign("a.txt")),
    }.items():
        with pytest.raises(AccessDeniedException):
            storage.verify_presigned(method, "a.txt", token)


@pytest.mark.parametrize("token", ["", ".", "a.b", "e30.AAAA", "\ud800", "照", "a" * 100_000, "\0"], ids=ascii)
def test_what_is_no_token_is_refused(root, token):
    with pytest.raises(AccessDeniedException) as caught:
        LocalStorage(root, BASE, "secret").verify_presigned("GET", "a.txt", token)
    assert len(token) < 3 or token not in str(caught.value)


@pytest.mark.parametrize("declared", [None, 5], ids=["chunked", "declared"])
async def test_a_signed_size_holds_whatever_a_client_declares(root, declared):
    storage = LocalStorage(root, BASE, "secret")
    url = storage.presign("a.txt", method="PUT", content_length=5)
    request = storage.verify_presigned("PUT", "a.txt", token_of(url))
    for body in (b"123456", b"1234", b""):
        with pytest.raises(StorageException) as caught:
            await storage.upload_presigned(request, body, content_length=declared)
        assert caught.value.http_status in {400, 413}
    assert not await storage.exists("a.txt")
    assert await storage.upload_presigned(request, b"12345", content_length=declared) == "file:a.txt"


async def test_a_declared_size_that_is_not_sent_is_refused(root):
    storage = LocalStorage(root, BASE, "secret")
    request = storage.verify_presigned("PUT", "a.txt", token_of(storage.presign("a.txt", method="PUT")))
    with pytest.raises(InvalidArgumentException, match="only 3 of"):
        await storage.upload_presigned(request, b"123", content_length=5)
    assert not await storage.exists("a.txt")


# ---- read only


async def test_a_storage_opened_read_only_changes_nothing(root):
    writer = LocalStorage(root, BASE, "secret")
    await writer.upload(b"content", "real/file.txt", metadata={"a": "1"})
    put = writer.verify_presigned("PUT", "a.txt", token_of(writer.presign("a.txt", method="PUT")))
    before = everything(root)

    reader = LocalStorage(root, BASE, "secret", read_only=True)
    for attempt in (
        reader.upload(b"new", "a.txt"),
        reader.copy("real/file.txt", "a.txt"),
        reader.set_metadata("real/file.txt", {}),
        reader.upload_presigned(put, b"new"),
        reader.presign_post("a.txt"),
        *(asyncio.to_thread(reader.presign, "a.txt", 60, method) for method in ("PUT", "DELETE")),
    ):
        with pytest.raises(AccessDeniedException, match="read_only=True"):
            await attempt
    with pytest.raises(DeleteNotSupportedException):
        await reader.delete("real/file.txt")

    assert everything(root) == before
    assert (await reader.stat("real/file.txt")).metadata == {"a": "1"}
    assert reader.presign("real/file.txt").startswith(BASE)


async def test_a_disk_that_is_read_only_is_read_and_refuses_changes(storage, root, make_read_only):
    await storage.upload(b"content", "real/file.txt", metadata={"a": "1"})
    before = everything(root)
    make_read_only(root)
    for operation in ("write", "write new", "delete", "copy to", "set_metadata"):
        key = "new.txt" if operation == "write new" else "real/file.txt"
        with pytest.raises(AccessDeniedException, match="file system refused") as caught:
            await OPERATIONS[operation](storage, key)
        assert caught.value.http_status == 403
    assert everything(root) == before
    assert await storage.read("real/file.txt") == b"content"
    assert (await storage.stat("real/file.txt")).metadata == {"a": "1"}
    assert await keys(storage) == ["real/file.txt"]


# ---- drafts


async def test_drafts_of_killed_processes_are_swept_and_others_are_not(storage, root):
    drafts = root / ".async_storages" / "drafts"
    drafts.mkdir(parents=True)
    for name, hours in (("dead", 25), ("alive", 23)):
        (drafts / name).write_bytes(b"half")
        os.utime(drafts / name, (time.time() - hours * 3600,) * 2)
    await storage.upload(b"content", "a.txt")
    assert everything(root) == {"a.txt", ".async_storages/drafts/alive"}


async def test_flushing_covers_the_file_its_description_and_its_folders(root, monkeypatch):
    flushed, real = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (flushed.add(os.fstat(descriptor).st_ino), real(descriptor)))
    await LocalStorage(root, fsync=True).upload(b"content", "a/b/c.txt", metadata={"a": "1"})
    [description] = (root / ".async_storages" / "meta").iterdir()
    places = [root, root / "a", root / "a/b", root / "a/b/c.txt", description.parent, description]
    assert {path.name for path in places if path.stat().st_ino not in flushed} == set()

    flushed.clear()
    await LocalStorage(root).upload(b"content", "a/b/d.txt")
    assert flushed == set()


# ---- upload options


SERVED = {
    "cache_control": "max-age=60",
    "content_disposition": "attachment",
    "content_encoding": "gzip",
    "content_language": "de",
    "expires": datetime(2027, 1, 1, tzinfo=UTC),
}


async def test_what_it_can_serve_is_kept_beside_the_file_and_its_copies(tmp_path):
    async with LocalStorage(tmp_path, upload_options=UploadOptions(cache_control="no-cache")) as storage:
        await storage.upload(b"x", "a.txt", options=UploadOptions(**SERVED))
        await storage.set_metadata("a.txt", {"a": "b"})
        await storage.copy("a.txt", "b.txt")
        await storage.upload(b"x", "c.txt")
        for name in ("a.txt", "b.txt"):
            info = await storage.info(name)
            assert {field: getattr(info, field) for field in SERVED} == SERVED
        assert (await storage.info("c.txt")).cache_control == "no-cache"
        await storage.upload(b"y", "a.txt", options=UploadOptions(cache_control="private"))
        assert (await storage.info("a.txt")).content_encoding is None


@pytest.mark.parametrize(
    "said", [{"encryption": "AES256"}, {"tags": {}}, {"storage_class": "A"}, {"acl": "a"}], ids=repr
)
async def test_what_it_cannot_do_is_named(tmp_path, said):
    with pytest.raises(OperationNotSupportedException, match=f"LocalStorage cannot do {next(iter(said))}="):
        LocalStorage(tmp_path, upload_options=UploadOptions(**said))
    async with LocalStorage(tmp_path) as storage:
        with pytest.raises(OperationNotSupportedException, match=f"LocalStorage cannot do {next(iter(said))}="):
            await storage.save(b"x", "a.txt", options=UploadOptions(**said))
        assert [info async for info in storage.list()] == []
