"""The suite's own rules (`tests/conftest.py`): what is left behind fails a test, what is skipped fails a session."""

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SETTINGS = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error"
LEAKING = """
import asyncio, socket, tempfile, threading
import pytest

KEPT = []

async def test_task(): KEPT.append(asyncio.create_task(asyncio.sleep(60)))
def test_thread(): threading.Thread(target=threading.Event().wait, daemon=True).start()
def test_socket(): KEPT.append(socket.socket())
def test_file(tmp_path): KEPT.append((tmp_path / "file").open("w"))
def test_temporary_folder(): tempfile.mkdtemp()
"""
TIDY = """
import asyncio, socket, tempfile, time
import pytest

@pytest.fixture(scope="module")
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server

async def halves():
    try:
        yield 1
        yield 2
    finally:
        await asyncio.sleep(0)

async def test_task(): await asyncio.create_task(asyncio.sleep(0))
async def test_thread(): await asyncio.to_thread(time.sleep, 0)
async def test_dropped_generator():
    async for half in halves():
        break
def test_server_of_the_module(server): pass
def test_socket(server): socket.create_connection(server.getsockname()).close()
def test_temporary_folder():
    with tempfile.TemporaryDirectory():
        pass
"""
SKIPPING = """
import pytest

def test_ran(): pass
def test_skipped(): pytest.skip("the tool is missing")
def test_given_up(): pytest.xfail("the tool is missing")
@pytest.mark.xfail(reason="a known defect")
def test_known_defect(): assert False
"""


@pytest.fixture
def suite(pytester, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("ASYNC_STORAGES_NO_SKIPS", raising=False)
    pytester.makeini(SETTINGS)
    pytester.makeconftest(CONFTEST.read_text().replace("patience = 30", "patience = 0.1"))
    return pytester


def test_what_a_test_leaves_behind_fails_it_and_what_it_shares_or_tidies_up_does_not(suite):
    suite.makepyfile(test_leaking=LEAKING, test_tidy=TIDY)
    result = suite.runpytest_subprocess("-p", "no:hypothesispytest")
    result.assert_outcomes(passed=11, errors=5)
    result.stdout.fnmatch_lines_random(
        [
            "tasks still running after the test: *sleep()*",
            "left behind by the test: *Thread*",
            "left behind by the test: *socket:*",
            "left behind by the test: */file'*",
            "left behind by the test: *PosixPath*",
        ]
    )
    result.stdout.no_fnmatch_line("ERROR test_tidy*")


def test_a_skipped_test_is_allowed_at_home(suite):
    suite.makepyfile(SKIPPING)
    assert suite.runpytest_inprocess().ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("variable", "options"),
    [
        pytest.param("CI", [], id="CI"),
        pytest.param("CI", ["-n", "1"], id="CI with xdist"),
        pytest.param("ASYNC_STORAGES_NO_SKIPS", [], id="asked for"),
    ],
)
def test_a_skipped_test_fails_the_session_where_none_may_be(suite, monkeypatch, variable, options):
    suite.makepyfile(SKIPPING)
    monkeypatch.setenv(variable, "1")
    result = suite.runpytest_inprocess("-p", "no:hypothesispytest", *options)
    result.assert_outcomes(passed=1, skipped=1, xfailed=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*not run, which fails this session*", "*::test_given_up", "*::test_skipped"])
    result.stdout.no_fnmatch_line("test_*::test_known_defect")
