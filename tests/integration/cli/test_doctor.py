"""``async-storages doctor`` on real servers: what it finds, what it advises, and that nothing stays of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import closing
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from async_storages import GCSStorage, S3Storage
from async_storages.cli.doctor_buckets import clock_finding
from async_storages.cli.findings import Level
from tests.integration.cli.conftest import gcs_environment, s3_environment
from tests.support.command_line import COMMAND, environment, ledger_app, run
from tests.support.patience import HANGS

STEPS = ["write", "read", "stat", "list", "copy", "latency", "delete"]


def findings(done):
    """The findings about the only subject, by what was looked at."""
    [found] = json.loads(done.stdout)["findings"].values()
    return {each["check"]: each for each in found}


def problems(done):
    return {check for check, each in findings(done).items() if each["level"] == "problem"}


def test_a_folder(home):
    done = run("doctor", "--root", "./files", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    assert list(findings(done)) == STEPS
    assert [path.name for path in (home / "files").iterdir()] == [".async_storages"]


def test_a_folder_that_cannot_be_written(home):
    (home / "file").write_text("")
    done = run("doctor", "--root", "./file/below", "--json", cwd=home)
    assert done.returncode == 1
    assert problems(done) == {"write"}
    assert findings(done)["write"]["remedy"].startswith("let the user of this process create")


def test_a_bucket_of_s3(s3_env, s3_bucket, home):
    done = run("doctor", "--json", cwd=home, env={**s3_env, "ASYNC_STORAGES_S3_DEFAULT_BUCKET": s3_bucket})
    assert done.returncode == 0, done.stdout
    found = findings(done)
    assert found["credentials"]["found"] == "found by boto3: env"
    assert found["clock"]["level"] == "ok"
    assert all(found[step]["level"] == "ok" for step in [*STEPS, "presigned GET", "presigned PUT", "multipart upload"])
    assert {check for check, each in found.items() if each["level"] == "note"} == {"CORS", "lifecycle"}
    assert "allow_origins" in found["CORS"]["remedy"]
    assert run("ls", "-r", f"s3:{s3_bucket}", cwd=home, env=s3_env).stdout == ""


async def test_settings_of_a_bucket_are_seen(s3_server, s3_bucket, home, no_blocking_calls):
    keys = {"aws_access_key_id": s3_server.access_key_id, "aws_secret_access_key": s3_server.secret_access_key}
    async with S3Storage(s3_bucket, endpoint_url=s3_server.endpoint_url, **keys) as storage:
        await storage.bucket_admin.allow_origins(["https://app.example.com"])
        await storage.bucket_admin.expire("pending/", days=1)
    no_blocking_calls.deactivate()
    env = s3_environment(s3_server)
    done = run("doctor", "--json", cwd=home, env={**env, "ASYNC_STORAGES_S3_DEFAULT_BUCKET": s3_bucket})
    assert findings(done)["CORS"]["level"] == "ok"
    assert findings(done)["expiry"]["level"] == "ok"


def test_credentials_that_may_only_read(s3_server, home):
    env = environment(
        ASYNC_STORAGES_S3_ENDPOINT=s3_server.endpoint_url,
        ASYNC_STORAGES_S3_DEFAULT_BUCKET="test",
        ASYNC_STORAGES_S3_ACCESS_KEY_ID=s3_server.reader_access_key_id,
        ASYNC_STORAGES_S3_SECRET_ACCESS_KEY=s3_server.reader_secret_access_key,
    )
    done = run("doctor", "--json", cwd=home, env=env)
    assert done.returncode == 1
    found = findings(done)
    assert found["credentials"]["found"] == "given by the application or its settings"
    [denied] = [each for each in found.values() if each["level"] == "problem" and "arn:aws" in (each["remedy"] or "")][
        :1
    ]
    assert denied["check"] in {"reach", "write"}
    assert "allow these credentials s3:" in denied["remedy"]


def test_no_credentials_and_no_server(home):
    done = run("doctor", "--s3", "photos", "--json", cwd=home, env=environment(HOME=str(home)))
    assert done.returncode == 1
    assert list(findings(done)) == ["credentials", "clock"] or list(findings(done)) == ["credentials"]
    assert findings(done)["credentials"]["remedy"].startswith("give the keys")


def test_a_bucket_that_is_missing(gate_url, tmp_path, home):
    env = environment(
        ASYNC_STORAGES_GCS_ENDPOINT=gate_url,
        ASYNC_STORAGES_GCS_ANONYMOUS="true",
        ASYNC_STORAGES_GCS_DEFAULT_BUCKET="nope",
    )
    done = run("doctor", "--json", cwd=home, env=env)
    assert done.returncode == 1
    assert problems(done) == {"reach"}


def test_a_bucket_of_gcs(home, request, tmp_path):
    env, bucket = gcs_environment(request, tmp_path)
    done = run("doctor", "--json", cwd=home, env={**env, "ASYNC_STORAGES_GCS_DEFAULT_BUCKET": bucket})
    assert done.returncode == 0, done.stdout
    found = findings(done)
    assert all(found[step]["level"] == "ok" for step in [*STEPS, "presigned GET", "presigned PUT", "multipart upload"])
    assert run("ls", "-r", f"gs:{bucket}", cwd=home, env=env).stdout == ""


async def test_rules_of_gcs_that_delete_files_are_told(home, request, tmp_path, no_blocking_calls):
    no_blocking_calls.deactivate()
    env, bucket = gcs_environment(request, tmp_path)
    account = env["ASYNC_STORAGES_GCS_SERVICE_FILE"]
    async with GCSStorage(bucket, endpoint_url=env["ASYNC_STORAGES_GCS_ENDPOINT"], service_file=account) as storage:
        await storage.bucket_admin.expire("tmp/", days=30)
        done = run("doctor", "--json", cwd=home, env={**env, "ASYNC_STORAGES_GCS_DEFAULT_BUCKET": bucket})
    assert done.returncode == 0, done.stdout
    assert findings(done)["expiry"]["found"] == "a lifecycle rule deletes files below 'tmp/' after 30 days"
    assert findings(done)["expiry"]["level"] == "note"


async def test_a_cluster_of_fastdfs(fastdfs_server, home, no_blocking_calls):
    no_blocking_calls.deactivate()
    before = await fastdfs_server.files()
    env = environment(ASYNC_STORAGES_FASTDFS_TRACKER_SERVERS=fastdfs_server.tracker)
    done = run("doctor", "--json", cwd=home, env=env)
    assert done.returncode == 0, done.stdout
    assert list(findings(done)) == ["reach", "write", "read", "stat", "latency", "delete"]
    assert await fastdfs_server.files() == before


def test_ctrl_c_removes_what_was_written(s3_env, s3_bucket, home):
    env = {**s3_env, "ASYNC_STORAGES_S3_DEFAULT_BUCKET": s3_bucket}
    with subprocess.Popen(
        [*COMMAND, "doctor"], cwd=home, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until(lambda: run("ls", "-r", f"s3:{s3_bucket}", cwd=home, env=s3_env).stdout)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=HANGS)
    assert process.returncode == 130
    assert said.decode() == "stopped: what it wrote is removed\n"
    assert run("ls", "-r", f"s3:{s3_bucket}", cwd=home, env=s3_env).stdout == ""


@pytest.mark.parametrize(
    ("apart", "level", "shown"),
    [
        (2, Level.OK, "the same"),
        (-60, Level.NOTE, "60 s behind"),
        (60, Level.NOTE, "60 s ahead"),
        (1000, Level.PROBLEM, "1000 s ahead"),
    ],
)
def test_clocks_that_differ(apart, level, shown):
    now = 1_700_000_000
    date = format_datetime(datetime.fromtimestamp(now - apart, UTC), usegmt=True)
    [found] = clock_finding(date, now)
    assert (found.level, shown in found.found) == (level, True)
    assert clock_finding("nonsense", now) == clock_finding(None, now) == []


# ---- databases


def database(done):
    [found] = [
        found for subject, found in json.loads(done.stdout)["findings"].items() if subject.startswith("database")
    ]
    return {each["check"]: each for each in found}


def test_a_database_that_is_well(shop):
    done = shop("doctor", "--app", "shop:ledger", "--json")
    assert done.returncode == 0, done.stdout
    found = database(done)
    assert {each["level"] for each in found.values()} == {"ok"}
    assert {"connect", "isolation", "indexes", "ledger", "worker", "owner", "connections"} <= found.keys()
    only = database(shop("doctor", "--app", "shop:engine", "--json"))
    assert {"connect", "isolation", "indexes", "connections"} <= only.keys()


def test_a_database_that_lacks_an_index_and_a_ledger(shop, home):
    program = (home / "shop.py").read_text()
    (home / "other.py").write_text(
        program.replace(", index=True", "")
        .replace('"documents"\n', '"papers"\n')
        .replace("Base.metadata)", "Base.metadata, name='other')")
    )
    done = shop("doctor", "--app", "other:ledger", "--json")
    assert done.returncode == 1
    found = database(done)
    assert found["tables"]["found"] == "papers is not in the database"
    assert found["ledger"]["level"] == "problem"
    (home / "third.py").write_text(program.replace(", index=True", "").replace('"documents"\n', '"sheets"\n'))
    command = ["import asyncio, third; asyncio.run(third.setup())"]
    subprocess.run([COMMAND[0], "-c", *command], cwd=home, env=environment(), check=True, timeout=HANGS)
    lacking = database(shop("doctor", "--app", "third:engine", "--json"))["indexes"]
    assert (lacking["level"], lacking["found"]) == ("problem", "none on sheets.file")
    assert "index=True" in lacking["remedy"]


LISTS = """
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from async_storages import StoredFile
from async_storages.integrations.sqlalchemy import FileList, FileListType

class Base(DeclarativeBase):
    pass

class Album(Base):
    __tablename__ = "albums"
    id: Mapped[int] = mapped_column(primary_key=True)
    files: Mapped[FileList[StoredFile]] = mapped_column(FileListType("albums"))

engine = create_async_engine("URL")

async def setup():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
"""


def test_an_index_of_lists_is_asked_for_where_there_can_be_one(database_url, home):
    (home / "albums.py").write_text(LISTS.replace("URL", database_url))
    command = [COMMAND[0], "-c", "import asyncio, albums; asyncio.run(albums.setup())"]
    subprocess.run(command, cwd=home, env=environment(), check=True, timeout=HANGS)
    done = run("doctor", "--app", "albums:engine", "--json", cwd=home)
    found = database(done)
    if database_url.startswith("postgresql"):
        assert (found["indexes"]["level"], found["indexes"]["found"]) == ("problem", "none on albums.files")
    else:
        assert (done.returncode, found["lists"]["level"], found["indexes"]["level"]) == (0, "note", "ok")
        assert found["lists"]["found"].endswith("has none for lists: albums.files")


def test_more_connections_than_the_server_has(postgres_database, home):
    ledger_app(home, postgres_database)
    done = run("doctor", "--app", "shop:ledger", "--processes", "50", "--json", cwd=home)
    assert done.returncode == 1
    found = database(done)["connections"]
    assert "of 50 processes: 1500 of the server's" in found["found"]
    assert "pool_size" in found["remedy"]


def test_a_database_that_is_not_there(home):
    program = "from sqlalchemy.ext.asyncio import create_async_engine\nengine = create_async_engine('postgresql+asyncpg://u:hush@127.0.0.1:1/x')\n"
    (home / "shop.py").write_text(program)
    done = run("doctor", "--app", "shop:engine", "--json", cwd=home)
    assert done.returncode == 1
    assert list(database(done)) == ["connect"]
    assert "hush" not in done.stdout + done.stderr


@pytest.fixture
def pgbouncer(postgres_database, tmp_path):
    """The URL of the database behind PgBouncer in transaction mode, without a driver."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is missing: apt-get install pgbouncer")
    url = make_url(postgres_database)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    tmp_path.chmod(0o755)
    settings = tmp_path / "pgbouncer.ini"
    server = f"host={url.query['host']} port={url.query['port']} dbname={url.database} user=postgres"
    listening = f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
    settings.write_text(
        f"[databases]\n{url.database} = {server}\n[pgbouncer]\n{listening}auth_type = any\npool_mode = transaction\n"
    )
    with Path(os.devnull).open("w") as nowhere, settings.open() as given:
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [program, *user, f"/proc/self/fd/{given.fileno()}"]
        with subprocess.Popen(command, stdout=nowhere, stderr=nowhere, pass_fds=[given.fileno()]) as process:
            until(lambda: can_connect(port))
            yield f"//postgres@127.0.0.1:{port}/{url.database}"
            process.kill()


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


ENGINES = """
from sqlalchemy.ext.asyncio import create_async_engine
usual = create_async_engine("postgresql+asyncpg:URL")
right = create_async_engine(
    "postgresql+asyncpg:URL", connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0}
)
"""


def test_prepared_statements_behind_pgbouncer(pgbouncer, home):
    (home / "shop.py").write_text(ENGINES.replace("URL", pgbouncer))
    found = database(run("doctor", "--app", "shop:usual", "--json", cwd=home))
    assert found["prepared statements"]["level"] == "problem"
    assert "'statement_cache_size': 0" in found["prepared statements"]["remedy"]
    done = run("doctor", "--app", "shop:right", "--json", cwd=home)
    assert done.returncode == 0, done.stdout
    assert database(done)["pooler"]["found"] == "PgBouncer or the like, in transaction mode"


def until(is_so):
    deadline = time.monotonic() + HANGS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_text_for_people(home):
    done = run("doctor", "--root", "./files", cwd=home)
    assert done.returncode == 0
    assert "LocalStorage" in done.stdout
    assert done.stdout.count("│ ok") >= len(STEPS)
