"""What holds for every test: nothing blocks the event loop, is left behind, or is skipped silently."""

import asyncio
import gc
import os
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from pytest_asyncio import is_async_test

from async_storages.synchronous.background_loop import stop_background_loop
from tests.support.sampling import is_whole, sampled

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")

DEVELOPERS_OWN = (
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", *PROXIES, *(name.lower() for name in PROXIES)),
)
"""Variables for which the tests' URLs would be signed, or their requests sent, elsewhere."""

pytest_plugins = ["async_storages.testing.fixtures", "pytester"]


def pytest_configure(config: pytest.Config) -> None:
    for name in DEVELOPERS_OWN:
        os.environ.pop(name, None)
    slowly = hypothesis.HealthCheck.too_slow
    hypothesis.settings.register_profile("any machine", deadline=None, suppress_health_check=[slowly])
    hypothesis.settings.load_profile("any machine")
    config.pluginmanager.register(LeftBehind())
    config.pluginmanager.register(TellsWorkers())
    if os.environ.get("CI") or os.environ.get("ASYNC_STORAGES_NO_SKIPS") == "1":
        config.pluginmanager.register(NoSilentSkips(config))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sample-seed", default="0", help="chooses the cases of large matrices that run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not is_whole(config):
        items[:], left = sampled(items, config.getoption("--sample-seed"))
        config.hook.pytest_deselected(items=left)


class TellsWorkers:
    """Tells the workers of pytest-xdist which part of the suite runs."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["is_whole"] = is_whole(node.config)


def pytest_collection_finish() -> None:
    """Spare the garbage collector all that stays: 16,000 tests, which a pass takes a second to look at."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _watched(request: pytest.FixtureRequest, no_blocking_calls: object) -> Iterator[None]:
    if is_async_test(request.node):
        request.getfixturevalue("_no_task_left")
    yield
    stop_background_loop()


@pytest.fixture
async def _no_task_left() -> AsyncIterator[None]:
    """Being set up first it is torn down last: the fixtures that run tasks for the test have ended them."""
    yield
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    left = {task for task in tasks if not _closes_generator(task)}
    if left:
        pytest.fail(f"tasks still running after the test: {left}", pytrace=False)


def _closes_generator(task: "asyncio.Task[object]") -> bool:
    """Whether Python started the task itself, for an async generator that was dropped halfway."""
    return type(task.get_coro()).__name__ == "async_generator_athrow"


class LeftBehind:
    """Fails the test that leaves a thread, an open file or socket, or a temporary file behind.

    What a fixture for several tests opens while it is set up may stay. Failed tests are not judged: their
    traceback keeps things alive.
    """

    passed = pytest.StashKey[bool]()
    patience = 30  # seconds, for a server's threads to notice that the client has gone; most tests need none

    def __init__(self) -> None:
        self.temporary = Path(tempfile.mkdtemp(prefix="async-storages-"))
        self.temporary.chmod(0o711)  # a server that a test starts may run as another user
        self.allowed: set[object] = set()

    def pytest_unconfigure(self) -> None:
        shutil.rmtree(self.temporary)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self):
        self.allowed = self.here()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef):
        if fixturedef.scope == "function":
            return (yield)
        before = self.here()
        value = yield
        self.allowed |= self.here() - before
        return value

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(self.temporary))
            result = yield
        item.stash[self.passed] = True
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item):
        result = yield
        if self.passed in item.stash and (left := self.left()):
            pytest.fail(f"left behind by the test: {left}", pytrace=False)
        return result

    def here(self) -> set[object]:
        return {*threading.enumerate(), *self.temporary.iterdir(), *_open_files()}

    def left(self) -> set[object]:
        deadline = time.monotonic() + self.patience
        while (left := self.here() - self.allowed) and time.monotonic() < deadline:
            time.sleep(0.01)
        return left


def _open_files() -> list[str]:
    """Files and sockets of this process as ``number → name``, where the system tells."""
    files = []
    for descriptor in Path("/proc/self/fd").glob("*"):
        try:
            name = str(descriptor.readlink())
        except FileNotFoundError:  # the one that listed them
            continue
        if name.startswith(("socket:", "/")) and not name.startswith("/dev/"):
            files.append(f"{descriptor.name} → {name}")
    return files


class NoSilentSkips:
    """Fails the session if a test did not run: skipped, or given up by `pytest.xfail` for want of a tool."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def not_run(self) -> list[str]:
        stats = self.config.pluginmanager.get_plugin("terminalreporter").stats
        given_up = [report for report in stats.get("xfailed", []) if "xfail" not in report.keywords]
        return sorted({report.nodeid for report in (*stats.get("skipped", []), *given_up)})

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        is_worker = hasattr(self.config, "workerinput")
        if not is_worker and session.exitstatus == pytest.ExitCode.OK and self.not_run():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if tests := self.not_run():
            terminalreporter.section("not run, which fails this session", red=True)
            terminalreporter.write_line("\n".join(tests))
