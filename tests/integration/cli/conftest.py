"""The command line on real storages."""

import asyncio
import json
import threading
from functools import partial

import pytest

from tests.support.command_line import environment, forking, ledger_app, run
from tests.support.gcs import gate_to
from tests.support.gcs_accounts import service_account


@pytest.fixture(scope="session", autouse=True)
def _fast_commands():
    with forking():
        yield


@pytest.fixture
def storage_env(request, tmp_path):
    """Variables that name a folder, a bucket or a cluster; and the beginning of its ids."""
    match request.param:
        case "folder":
            return environment(ASYNC_STORAGES_LOCAL_ROOT=str(tmp_path / "store")), "file:"
        case "s3":
            server, bucket = request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket")
            return s3_environment(server), f"s3:{bucket}/"
        case "gcs":
            env, bucket = gcs_environment(request, tmp_path)
            return env, f"gs:{bucket}/"
    raise AssertionError(request.param)


@pytest.fixture
def gate_url(gcs_server):
    """The address of the gate before the server, which does what that does not; it has a thread of its own."""
    ready, stopped, found = threading.Event(), [], []

    async def serve():
        end = asyncio.Event()
        stopped.append(lambda: loop.call_soon_threadsafe(end.set))
        loop = asyncio.get_running_loop()
        async with gate_to(gcs_server) as gate:
            found.append(gate.url)
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    yield found[0]
    stopped[0]()
    thread.join()


def gcs_environment(request, tmp_path):
    """Variables that name the gate and an account, and a bucket."""
    gate, account = request.getfixturevalue("gate_url"), tmp_path / "account.json"
    account.write_text(json.dumps(service_account(token_uri=f"{gate}/token")))
    env = environment(ASYNC_STORAGES_GCS_ENDPOINT=gate, ASYNC_STORAGES_GCS_SERVICE_FILE=str(account))
    return env, request.getfixturevalue("gcs_bucket")


def s3_environment(server):
    return environment(
        ASYNC_STORAGES_S3_ENDPOINT=server.endpoint_url,
        AWS_ACCESS_KEY_ID=server.access_key_id,
        AWS_SECRET_ACCESS_KEY=server.secret_access_key,
    )


@pytest.fixture
def s3_env(s3_server):
    return s3_environment(s3_server)


@pytest.fixture
def home(tmp_path):
    """An empty folder to be in."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def shop(home, database_url):
    """The command with a ledger as its application."""
    ledger_app(home, database_url)
    return partial(run, cwd=home)


@pytest.fixture
def sqlite_shop(home):
    ledger_app(home, "sqlite+aiosqlite:///app.sqlite")
    return partial(run, cwd=home)
