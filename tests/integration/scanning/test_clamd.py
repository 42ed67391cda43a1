"""What the real clamd says of files, and what becomes of its silence, its limits and its nonsense."""

import asyncio
import io
import os
import select
import signal
import subprocess
import sys
import zipfile
from contextlib import asynccontextmanager, suppress

import pytest

from async_storages import FileNotFoundException, MemoryStorage, StorageException
from async_storages.scanning.clamd import ClamdScanner
from async_storages.scanning.verdicts import Clean, Infected, Unscanned
from tests.support.clamd import LARGEST, LONGEST_STREAM, MIB, VIRUS, VIRUS_NAME, VIRUSES, clamd_server, found_clamd
from tests.support.patience import HANGS

INFECTED = Infected(VIRUS_NAME)


async def file_of(content=b"content"):
    return await MemoryStorage().save(content, "report.pdf")


def zipped(content):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("inside.txt", content)
    return archive.getvalue()


# ---- the real one

FILES = {
    "empty": (b"", Clean()),
    "harmless": (b"harmless", Clean()),
    "says FOUND itself": (b"stream: Nothing FOUND\0", Clean()),
    **{name: (content, Infected(f"{name}.UNOFFICIAL")) for name, content in VIRUSES.items()},
    "in an archive": (zipped(VIRUS), INFECTED),
    "across two chunks": (bytes((256 << 10) - 5) + VIRUS, INFECTED),
    "at the very end of the largest": (bytes(LARGEST - len(VIRUS)) + VIRUS, INFECTED),
}


@pytest.mark.parametrize("way", ["path", "address"])
@pytest.mark.parametrize(("content", "expected"), FILES.values(), ids=FILES)
async def test_a_file_is_clean_or_not(clamd, way, content, expected):
    assert await ClamdScanner(getattr(clamd, way)).scan(await file_of(content)) == expected


async def test_many_are_told_apart_at_once(clamd):
    scanner = ClamdScanner(clamd.path)
    files = [await file_of(content) for content, _ in FILES.values()] * 5
    assert await asyncio.gather(*map(scanner.scan, files)) == [expected for _, expected in FILES.values()] * 5


async def test_a_file_that_is_too_large_is_not_clean(clamd):
    """Clamd itself says OK: it does not look at files above its MaxFileSize."""
    file = await file_of(VIRUS + bytes(LARGEST))
    assert await ClamdScanner(clamd.path).scan(file) == Clean()
    verdict = await ClamdScanner(clamd.path, max_size=LARGEST).scan(file)
    assert verdict == Unscanned(f"the file is larger than the {LARGEST} bytes that are scanned")


@pytest.mark.parametrize("way", ["path", "address"])
async def test_a_file_above_the_limit_of_clamd_is_not_clean(clamd, way):
    verdict = await ClamdScanner(getattr(clamd, way)).scan(await file_of(bytes(LONGEST_STREAM + 8 * MIB)))
    assert isinstance(verdict, Unscanned)
    assert "size limit exceeded" in verdict.reason or "StreamMaxLength" in verdict.reason


async def test_what_clamd_could_not_look_into_is_not_infected_but_unscanned(clamd):
    archive = await file_of(zipped(zipped(VIRUS)))
    assert await ClamdScanner(clamd.path).scan(archive) == INFECTED
    with clamd_server(found_clamd(), "AlertExceedsMax yes", "MaxRecursion 1") as strict:
        verdict = await ClamdScanner(strict.path).scan(archive)
    assert isinstance(verdict, Unscanned)
    assert "Heuristics.Limits.Exceeded" in verdict.reason


async def test_a_missing_file_is_no_matter_of_the_scanner(clamd):
    with pytest.raises(FileNotFoundException):
        await ClamdScanner(clamd.path).scan(MemoryStorage().file("missing.pdf"))


KILLED = """
import os, signal
from tests.support.clamd import clamd_server, found_clamd
with clamd_server(found_clamd()) as server:
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_does_not_outlive_the_tests_that_started_it(clamd, tmp_path):
    command, environment = [sys.executable, "-c", KILLED], {**os.environ, "TMPDIR": str(tmp_path)}
    tests = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert tests.returncode == -signal.SIGKILL, tests.stderr
    with suppress(ProcessLookupError), os.fdopen(os.pidfd_open(int(tests.stdout)), "rb") as daemon:
        assert select.select([daemon], [], [], HANGS) == ([daemon], [], [])


# ---- one that is not what it should be


@asynccontextmanager
async def answering(answer):
    """The address of a server that reads a whole scan and then says this; None for one that says nothing."""

    async def serve(reader, writer):
        with suppress(ConnectionError, EOFError):
            assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
            begun.set()
            while length := int.from_bytes(await reader.readexactly(4)):
                await reader.readexactly(length)
            writer.write(answer or b"")
            if answer is not None:
                writer.write_eof()
            await reader.read()  # until the client has gone
        writer.close()
        gone.set()

    begun, gone = asyncio.Event(), asyncio.Event()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", begun
        async with asyncio.timeout(HANGS):
            await gone.wait()


ANSWERS = {
    "none": b"",
    "cut short": b"stream: OK",
    "another case": b"STREAM: OK\0",
    "OK with more": b"stream: OK and more\0",
    "of another": b"stream: FOUND\0",
    "an error": b"INSTREAM size limit exceeded. ERROR\0",
    "unknown command": b"UNKNOWN COMMAND\0",
    "no text": b"\xff\xfe\0",
    "a limit": b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0",
    "endless": b"stream: " + b"a" * (1 << 20),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_is_not_clear_is_not_clean(answer):
    async with answering(answer) as (address, _):
        assert isinstance(await ClamdScanner(address).scan(await file_of()), Unscanned)


async def test_one_that_says_nothing_is_given_up():
    async with answering(None) as (address, _):
        verdict = await ClamdScanner(address, timeout=0.01).scan(await file_of())
    assert verdict == Unscanned(f"clamd at {address}: it took too long")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "/no/such/socket"])
async def test_one_that_is_not_there_is_not_silently_passed(address):
    verdict = await ClamdScanner(address).scan(await file_of())
    assert isinstance(verdict, Unscanned)
    assert verdict.reason.startswith(f"clamd at {address}: ")
    assert "StreamMaxLength" not in verdict.reason


async def test_a_cancelled_scan_closes_its_connection():
    async with answering(None) as (address, begun):
        scan = asyncio.ensure_future(ClamdScanner(address).scan(await file_of()))
        await begun.wait()
        scan.cancel()
        with pytest.raises(asyncio.CancelledError):
            await scan


class Strange(MemoryStorage):
    """Gives chunks without bytes in between, and may fail in the end."""

    fails = False

    async def stream(self, *file, **options):
        yield b""
        async for chunk in super().stream(*file, **options):
            yield chunk
            yield b""
            yield VIRUS
        if self.fails:
            raise StorageException("the disk is gone")


async def test_an_empty_chunk_does_not_end_the_scan(clamd):
    assert await ClamdScanner(clamd.path).scan(await Strange().save(b"harmless", "a.txt")) == INFECTED


async def test_a_storage_that_fails_is_not_blamed_on_the_scanner(clamd):
    storage = Strange()
    storage.fails = True
    with pytest.raises(StorageException, match="the disk is gone"):
        await ClamdScanner(clamd.path).scan(await storage.save(b"harmless", "a.txt"))
