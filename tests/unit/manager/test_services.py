"""Upload, download, delete and info services over storages in memory."""

import asyncio
import io
import zipfile
from contextlib import aclosing
from datetime import UTC

import pytest

from async_storages import (
    FileAttach,
    FileBasicInfo,
    FileDownload,
    FileNotFoundException,
    FileTooLargeException,
    FileTypeConfig,
    InvalidArgumentException,
    InvalidFileTypeException,
    MemoryStorage,
    StorageException,
    StorageManager,
    StorageOperationException,
)
from async_storages.validation import FileValidator
from tests.support.chosen_ids import ChosenIdsStorage
from tests.support.corpus import GOOD_NAMES, HOSTILE_NAMES
from tests.support.managers import upload_file
from tests.support.streams import Closing, collect, empty_input, stream, until_failure

PDF = b"%PDF-1.7\n%%EOF"


@pytest.fixture
def storage():
    return MemoryStorage()


@pytest.fixture
def manager(storage):
    return StorageManager.from_storages(storage, ChosenIdsStorage())


@pytest.fixture(params=[MemoryStorage, ChosenIdsStorage], ids=["exact keys", "chosen ids"])
def either(request):
    """A manager of each kind of storage."""
    return StorageManager.from_storages(request.param())


async def names_in(storage):
    return sorted([info.file_name async for info in storage.list()])


# ---- uploads

CONTENT = bytes(range(256)) * 2048
SOURCES = {
    "bytes": lambda: CONTENT,
    "bytearray": lambda: bytearray(CONTENT),
    "binary file": lambda: io.BytesIO(CONTENT),
    "async iterable": lambda: stream(CONTENT[:5], b"", CONTENT[5:]),
    "iterable": lambda: iter([CONTENT[:5], CONTENT[5:]]),
    "list": lambda: [CONTENT[:5], CONTENT[5:]],
    "upload": lambda: upload_file(CONTENT),
}


@pytest.mark.parametrize("size", [None, len(CONTENT)], ids=["unknown", "known"])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
async def test_any_source_is_stored_whole(manager, source, size):
    attach = await manager.upload_service.upload_stream("a.bin", source(), size)

    assert await manager.download_service.download_bytes(attach.file_id) == CONTENT


async def test_a_path_is_stored(manager, tmp_path):
    (tmp_path / "report.pdf").write_bytes(PDF)

    attach = await manager.upload_service.upload_stream("other.pdf", tmp_path / "report.pdf")

    assert attach.file_name == "other.pdf"
    assert await manager.download_service.download_bytes(attach.file_id) == PDF


@pytest.mark.parametrize(
    "wrong", ["text", None, 7, {"a": b"b"}, io.StringIO("text")], ids=lambda wrong: type(wrong).__name__
)
async def test_what_gives_no_bytes_is_refused(manager, storage, wrong):
    with pytest.raises(InvalidArgumentException):
        await manager.upload_service.upload_stream("a.txt", wrong)
    assert await names_in(storage) == []


async def test_what_was_uploaded_is_told(either):
    attach = await either.upload_service.upload_bytes(
        "Bericht für Ada.pdf", PDF, folder="reports/2026", metadata={"author": "Ada", "Ort": "Köln"}
    )
    info = await either.info_service.get_file_info(attach.file_id)

    assert attach.file_name == info.file_name == "Bericht für Ada.pdf"
    assert (info.file_id, info.file_size, info.content_type) == (attach.file_id, len(PDF), "application/pdf")
    assert info.metadata == {"author": "Ada", "ort": "Köln"}
    assert info.last_modify_time.tzinfo is UTC


async def test_the_key_has_folder_random_and_name(manager):
    attach = await manager.upload_service.upload_bytes("../q3.pdf", PDF, folder="/reports/../x/")
    without = await manager.upload_service.upload_bytes("q3.pdf", PDF)

    assert attach.file_id.startswith("mem:reports/x/")
    assert len(attach.file_id) == len("mem:reports/x/0123456789abcdef_q3.pdf")
    assert len(without.file_id) == len("mem:0123456789abcdef_q3.pdf")


async def test_an_attach_is_the_same_after_json(manager):
    attach = await manager.upload_service.upload_bytes("a.txt", b"")

    assert FileAttach.model_validate_json(attach.model_dump_json()) == attach
    assert attach.fusion_id == attach.file_id


async def test_the_type_is_seen_in_the_content_not_believed(manager):
    file = upload_file(b"<!DOCTYPE html><script>alert(1)</script>", "photo.png")

    attach = await manager.upload_service.upload_file(file)

    assert (await manager.info_service.get_file_info(attach.file_id)).content_type == "text/html"


@pytest.mark.parametrize("name", [*HOSTILE_NAMES.values(), *GOOD_NAMES], ids=ascii)
async def test_every_name_is_made_safe_and_kept(either, name):
    attach = await either.upload_service.upload_bytes(name, b"content", folder=name)

    info = await either.info_service.get_file_info(attach.file_id)
    assert info.file_name == attach.file_name
    assert info.metadata == {}
    assert name not in GOOD_NAMES or attach.file_name == name
    assert await either.download_service.download_bytes(attach.file_id) == b"content"


@pytest.mark.parametrize("key", ["original-name", "Original-Name"])
async def test_no_metadata_takes_the_place_of_the_name(either, key):
    with pytest.raises(InvalidArgumentException, match="'original-name' is taken"):
        await either.upload_service.upload_bytes("a.txt", b"", metadata={key: "b.txt"})


@pytest.mark.parametrize(("position", "rewind"), [(0, False), (2, False), (5, False), (2, True)])
async def test_an_upload_is_stored_whole_wherever_it_stands_and_stays_open(manager, position, rewind):
    file = upload_file(b"12345")
    await file.seek(position)

    attach = await manager.upload_service.upload_file(file, rewind=rewind)

    assert await manager.download_service.download_bytes(attach.file_id) == b"12345"
    assert not file.file.closed
    assert file.file.tell() == 5


@pytest.mark.parametrize("rewind", [True, False])
async def test_a_closed_upload_is_refused(manager, rewind):
    file = upload_file()
    await file.close()

    with pytest.raises(InvalidArgumentException, match=r"a\.txt"):
        await manager.upload_service.upload_file(file, rewind=rewind)


@pytest.mark.parametrize("name", [None, ""])
async def test_an_upload_without_a_name_gets_one(manager, name):
    assert (await manager.upload_service.upload_file(upload_file(name=name))).file_name == "file"


async def test_nothing_is_uploaded_where_no_file_was_chosen(manager, storage):
    assert await manager.upload_service.upload_file(empty_input()) is None
    assert await manager.upload_service.upload_files([empty_input()]) == []
    [attach] = await manager.upload_service.upload_files([empty_input(), upload_file(name="a.txt"), empty_input()])
    assert attach.file_name == "a.txt"
    assert await names_in(storage) == ["a.txt"]


# ---- rules


def strict(storage, **rules):
    return StorageManager.from_storages(storage, validator=FileValidator(FileTypeConfig(**rules), 10))


@pytest.mark.parametrize(
    "name", ["x.php", "x.php ", "x.PHP.", "x.exe\0", "a.php\n", "x.ｐｈｐ", "x.p\u00adhp", "x.php~"]
)
@pytest.mark.parametrize("rules", [{"blacklist": ["php", ".EXE"]}, {"whitelist": ["pdf"]}], ids=["black", "white"])
async def test_no_spelling_gets_past_the_rules(storage, name, rules):
    with pytest.raises(InvalidFileTypeException, match=r"upload|validate"):
        await strict(storage, **rules).upload_service.upload_bytes(name, b"")
    assert await names_in(storage) == []


async def test_no_long_name_is_cut_to_an_extension_that_is_refused(storage):
    name = "a" * 234 + ".php" + "照" * 9
    attach = await strict(storage, blacklist=["txt"]).upload_service.upload_bytes(name, b"")
    assert attach.file_id.endswith(".php")  # so the name that counts is this one

    with pytest.raises(InvalidFileTypeException):
        await strict(storage, blacklist=["php"]).upload_service.upload_bytes(name, b"")


async def test_rules_for_content_hold_for_uploads(storage):
    with pytest.raises(InvalidFileTypeException, match="text/html"):
        await strict(storage, type_whitelist=["image/*"]).upload_service.upload_bytes("a.png", b"<html>")


@pytest.mark.parametrize("declared", [None, 5], ids=["unknown", "a lie"])
async def test_the_limit_counts_what_really_comes(storage, declared):
    seen = Closing(*[b"12345"] * 1000)

    with pytest.raises((FileTooLargeException, InvalidArgumentException)):
        await strict(storage).upload_service.upload_stream("a.txt", seen.stream(), declared)
    assert seen.closed
    assert await names_in(storage) == []


# ---- several uploads


class Gated(MemoryStorage):
    """Counts the writes under way; those of a name wait, fail or are passed on."""

    def __init__(self, failing=None):
        super().__init__()
        self.failing = failing
        self.under_way = self.most = 0
        self.stored = asyncio.Event()

    async def write(self, content, key, *, overwrite=True):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            if self.failing is not None and content.filename == "bad.txt":
                await self.stored.wait()
                raise self.failing
            written = await super().write(content, key, overwrite=overwrite)
            self.stored.set()
            await asyncio.sleep(0)
            return written
        finally:
            self.under_way -= 1


class Held(MemoryStorage):
    """Takes so many files; further writes wait forever."""

    def __init__(self, takes):
        super().__init__()
        self.takes = takes
        self.held = asyncio.Event()

    async def write(self, content, key, *, overwrite=True):
        if len(self._files) == self.takes:
            self.held.set()
            await asyncio.Event().wait()
        return await super().write(content, key, overwrite=overwrite)


async def test_several_are_uploaded_at_once_within_the_bound():
    storage = Gated()
    manager = StorageManager.from_storages(storage, concurrency=3)

    stored = await manager.upload_service.upload_files([upload_file(name=f"{n}.txt") for n in range(10)], folder="x")

    assert [attach.file_name for attach in stored] == [f"{n}.txt" for n in range(10)]
    assert storage.most == 3


async def test_none_is_a_list():
    assert await StorageManager.from_storages(MemoryStorage()).upload_service.upload_files([]) == []


@pytest.mark.parametrize(
    "failure", [StorageOperationException("no more space"), ZeroDivisionError("whatever")], ids=["storage", "other"]
)
async def test_when_one_fails_nothing_is_left_and_the_error_names_it(failure):
    storage = Gated(failure)
    files = [upload_file(name=f"{n}.txt") for n in range(5)]
    files.insert(2, upload_file(name="bad.txt"))

    with pytest.raises(type(failure)) as caught:
        await StorageManager.from_storages(storage, concurrency=3).upload_service.upload_files(files)

    assert caught.value is failure
    assert "bad.txt" in f"{failure} {getattr(failure, '__notes__', '')}"
    assert await names_in(storage) == []
    assert not any(file.file.closed for file in files)


async def test_when_one_fails_the_others_can_be_uploaded_again():
    storage = Gated(StorageOperationException("no more space"))
    service = StorageManager.from_storages(storage, concurrency=1).upload_service
    files = [upload_file(b"a", name="1.txt"), io.BytesIO(b"xbc"), upload_file(name="bad.txt")]
    files[1].seek(1)

    with pytest.raises(StorageOperationException):
        await service.upload_files(files)

    assert [await storage.read(attach.file_id) for attach in await service.upload_files(files[:2])] == [b"a", b"bc"]


async def test_an_upload_that_is_refused_names_it(storage):
    files = [upload_file(name="1.txt"), upload_file(b"12345678901", name="large.txt"), upload_file(name="3.txt")]

    with pytest.raises(FileTooLargeException, match=r"large\.txt"):
        await strict(storage).upload_service.upload_files(files)
    assert await names_in(storage) == []


@pytest.mark.parametrize("done", range(5))
async def test_when_cancelled_nothing_is_left(done):
    storage = Held(done)
    manager = StorageManager.from_storages(storage, concurrency=2)
    files = [upload_file(name=f"{n}.txt") for n in range(5)]

    task = asyncio.create_task(manager.upload_service.upload_files(files))
    await storage.held.wait()
    assert len(await names_in(storage)) == done
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names_in(storage) == []


async def test_what_cannot_be_undone_is_noted():
    class Stuck(Gated):
        async def delete(self, name):
            raise StorageOperationException("stuck")

    failure = StorageOperationException("no more space")
    with pytest.raises(StorageOperationException) as caught:
        await StorageManager.from_storages(Stuck(failure)).upload_service.upload_files(
            [upload_file(name="1.txt"), upload_file(name="bad.txt")]
        )
    assert any("stuck" in note for note in caught.value.__notes__)


# ---- downloads


@pytest.fixture
async def attach(manager):
    return await manager.upload_service.upload_bytes("a.bin", CONTENT)


async def test_downloads_in_every_way(manager, attach, tmp_path):
    downloads, out, path = manager.download_service, io.BytesIO(), tmp_path / "copy.bin"

    assert await downloads.download_bytes(attach.file_id) == CONTENT
    assert await downloads.download_to_stream(attach.file_id, out) == len(CONTENT)
    assert await downloads.download_to_stream(attach.file_id, path) == len(CONTENT)
    assert out.getvalue() == path.read_bytes() == CONTENT


@pytest.mark.parametrize("chunk_size", [1000, 65_536, len(CONTENT), len(CONTENT) + 1])
async def test_chunks_are_as_large_as_asked(manager, attach, chunk_size):
    chunks = [chunk async for chunk in manager.download_service.download_to_generator(attach.file_id, chunk_size)]

    assert b"".join(chunks) == CONTENT
    assert {len(chunk) for chunk in chunks[:-1]} <= {chunk_size}


WAYS = {
    "bytes": lambda service, file_id: service.download_bytes(file_id),
    "stream": lambda service, file_id: service.download_to_stream(file_id, io.BytesIO()),
    "generator": lambda service, file_id: collect(service.download_to_generator(file_id)),
    "zip": lambda service, file_id: collect(service.stream_zip([FileDownload(file_id=file_id)])),
    "prepared zip": lambda service, file_id: service.prepare_zip([FileDownload(file_id=file_id)]),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_missing_file_is_said_to_be_missing(manager, way):
    with pytest.raises(FileNotFoundException, match=r"mem:no\.txt"):
        await way(manager.download_service, "mem:no.txt")


async def test_a_missing_file_leaves_nothing_at_the_path(manager, tmp_path):
    with pytest.raises(FileNotFoundException):
        await manager.download_service.download_to_stream("mem:no.txt", tmp_path / "copy.txt")
    assert list(tmp_path.iterdir()) == []


# ---- archives


@pytest.fixture
async def three(manager):
    """Two files of one name, and one that has another name in the archive."""
    uploads = manager.upload_service
    ids = [(await uploads.upload_bytes("a.txt", text)).file_id for text in (b"one", b"two", b"three")]
    return [*(FileDownload(file_id=file_id) for file_id in ids[:2]), FileDownload(file_id=ids[2], file_name="../c.txt")]


def unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("compress", [False, True])
async def test_an_archive_has_every_file_under_its_name(manager, three, compress):
    out = io.BytesIO()
    written = await manager.download_service.download_files_as_zip(three, out, compress=compress)

    assert written == len(out.getvalue())
    assert unzipped(out.getvalue()) == {"a.txt": b"one", "a_2.txt": b"two", "c.txt": b"three"}


async def test_the_length_is_known_before(manager, three):
    archive = await manager.download_service.prepare_zip(three)

    data = await collect(archive.stream())
    assert archive.size == len(data)
    assert len(unzipped(data)) == 3


async def test_no_files_are_an_empty_archive(manager):
    archive = await manager.download_service.prepare_zip([])

    assert unzipped(await collect(archive.stream())) == {}
    assert archive.size == 22


async def test_an_archive_that_fails_leaves_nothing_at_the_path(manager, three, tmp_path):
    with pytest.raises(FileNotFoundException):
        await manager.download_service.download_files_as_zip(
            [*three, FileDownload(file_id="mem:no.txt")], tmp_path / "files.zip"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_member_that_is_missing_is_listed_if_asked_for(manager, three, when):
    async def delete():
        await manager.delete_service.delete_file(three[1].file_id)

    if when == "before":
        await delete()
    archive = await manager.download_service.prepare_zip(three, on_error="list")
    assert (archive.size is None) == (when == "before")
    if when == "after":
        await delete()

    files = unzipped(await collect(archive.stream()))
    assert files == {"a.txt": b"one", "c.txt": b"three", "ERRORS.txt": b"a_2.txt: not found\n"}


async def test_a_member_that_is_deleted_meanwhile_ends_the_archive(manager, three):
    archive = await manager.download_service.prepare_zip(three)
    await manager.delete_service.delete_file(three[2].file_id)

    sent, error = await until_failure(archive.stream())
    assert isinstance(error, FileNotFoundException)
    assert not zipfile.is_zipfile(io.BytesIO(sent))


async def test_a_consumer_that_leaves_closes_what_is_read(manager):
    open_now = set()

    class Watched(MemoryStorage):
        async def stream(self, name, offset=0, length=None, *, chunk_size=1000):
            open_now.add(str(name))
            try:
                async with aclosing(super().stream(name, offset, length, chunk_size=chunk_size)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            finally:
                open_now.discard(str(name))

    manager = StorageManager.from_storages(Watched())
    attaches = [await manager.upload_service.upload_bytes(f"{n}.bin", CONTENT) for n in range(4)]
    archive = manager.download_service.stream_zip([FileDownload(file_id=attach.file_id) for attach in attaches])
    await anext(archive)
    assert open_now

    await archive.aclose()

    assert open_now == set()


# ---- deleting, telling


async def test_deleting_twice_is_no_error(manager, attach):
    for _ in range(2):
        await manager.delete_service.delete_file(attach.file_id)
    with pytest.raises(FileNotFoundException):
        await manager.info_service.get_file_info(attach.file_id)


async def test_files_of_several_storages_are_deleted_together(manager, storage):
    other = manager.storages[1]
    ids = [*[str(await storage.save(b"", "a.txt")) for _ in range(3)], str(await other.save(b"", "b.txt"))]

    await manager.delete_service.delete_files([*ids, ids[0], "mem:never.txt"])

    assert [await manager.file(file_id).exists() for file_id in ids] == [False] * 4


async def test_one_id_that_is_not_served_deletes_nothing(manager, attach):
    with pytest.raises(StorageException):
        await manager.delete_service.delete_files([attach.file_id, "gs:b/a.txt"])
    assert await manager.file(attach.file_id).exists()


async def test_every_storage_is_tried_though_one_fails():
    class Stuck(ChosenIdsStorage):
        async def delete(self, name):
            raise StorageOperationException("stuck")

    stuck, storage = Stuck(), MemoryStorage()
    manager = StorageManager.from_storages(stuck, storage)
    ids = [str(await made.save(b"", "a.txt")) for made in (stuck, storage)]

    with pytest.raises(StorageOperationException, match="stuck"):
        await manager.delete_service.delete_files(ids)
    assert [await manager.file(file_id).exists() for file_id in ids] == [True, False]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ({}, "a.txt"),
        ({"original-name": "Bericht%20f%C3%BCr.pdf"}, "Bericht für.pdf"),
        ({"original-name": "100%.pdf"}, "100%.pdf"),
        ({"original-name": "%FF%00..%2F..%2Fetc"}, "etc"),
    ],
    ids=str,
)
async def test_a_name_that_others_wrote_is_read_safely(manager, storage, stored, shown):
    await storage.upload(b"", "a.txt", metadata=stored)

    info = await manager.info_service.get_file_info("mem:a.txt")

    assert isinstance(info, FileBasicInfo)
    assert (info.file_name, info.metadata) == (shown, {})
