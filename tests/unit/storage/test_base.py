import inspect
import io
import re
from contextlib import aclosing, suppress
from enum import Enum

import pytest
from starlette.datastructures import UploadFile

from async_storages import LocalStorage, MemoryStorage, registry
from async_storages.backends.memory import MemoryStorage as Backend
from async_storages.content import Content, PendingFile
from async_storages.errors import (
    AccessDeniedException,
    ChecksumMismatchException,
    DeleteNotSupportedException,
    FileExistsException,
    FileNotFoundException,
    FileTooLargeException,
    InvalidArgumentException,
    OperationNotSupportedException,
    RouteNotSupportedException,
    StorageClosedException,
    StorageUnavailableException,
)
from async_storages.files import StoredFile, StoredImage
from async_storages.ids import FileId
from async_storages.storage.base import Storage
from async_storages.storage.operation import IdentifiedKey
from tests.support.corpus import GOOD_NAMES, HOSTILE_NAMES
from tests.support.images import SIZE, encode
from tests.support.streams import Closing, collect, empty_input, stream


@pytest.fixture
async def storage():
    async with MemoryStorage() as opened:
        await opened.upload(b"hello", "a.txt")
        yield opened


async def keys(storage):
    return [info.file_id async for info in storage.list()]


# ---- names


class Names(str, Enum):  # noqa: UP042 - whose str() is the member's name
    TEXT = "a.txt"


@pytest.mark.parametrize(
    "name", ["a.txt", "mem:a.txt", FileId("mem", None, "a.txt"), StoredFile("mem:a.txt"), Names.TEXT], ids=repr
)
async def test_every_method_takes_a_name_in_every_form(storage, name):
    assert storage.identify(name) == FileId("mem", None, "a.txt")
    assert storage.storage_for(name) is storage
    assert storage.file(name).storage is storage
    assert await storage.read(name) == b"hello"
    assert (await storage.open(name)).read() == b"hello"
    assert await storage.get_size(name) == 5
    assert await storage.info(name) == await storage.stat(name)
    assert await storage.get_path(name) == await storage.url(name) == "mem:a.txt"
    assert await storage.download_to(name, io.BytesIO()) == 5
    assert await storage.upload(b"new", name) == "a.txt"
    await storage.delete(name)
    assert not await storage.exists(name)


@pytest.mark.parametrize(
    "key",
    ["..", ".", "../a", "a/..", "a/../b", "a/./b", "/a", "a/", "a//b", "a\\b", "a\0", "a\n", "\ud800", ""],
    ids=ascii,
)
@pytest.mark.parametrize("prefix", ["", "mem:"], ids=["bare", "id"])
async def test_a_key_that_could_lead_elsewhere_is_refused_everywhere(storage, key, prefix):
    uses = [
        storage.read,
        storage.stat,
        storage.exists,
        storage.delete,
        storage.url,
        lambda name: storage.upload(b"x", name),
    ]
    for use in uses:
        with pytest.raises(InvalidArgumentException) as refused:
            await use(prefix + key)
        assert refused.value.operation
        assert refused.value.file_id in {prefix + key, f"mem:{key}"}
    assert await keys(storage) == ["mem:a.txt"]


@pytest.mark.parametrize("name", [None, 7, b"a.txt", ["a.txt"]], ids=repr)
async def test_what_is_no_name_is_refused(storage, name):
    for use in (storage.read, storage.stat, storage.delete, lambda name: storage.upload(b"x", name)):
        with pytest.raises(InvalidArgumentException, match=f"not {type(name).__name__}"):
            await use(name)


@pytest.mark.parametrize("name", ["file:a.txt", "s3:b/a.txt", FileId("gs", "b", "k")], ids=str)
async def test_another_backends_id_is_refused(storage, name):
    for use in (storage.read, storage.exists, lambda name: storage.upload(b"x", name)):
        with pytest.raises(RouteNotSupportedException, match=r"MemoryStorage.* does not serve"):
            await use(name)


@pytest.mark.parametrize("name", ["c:x", "C:\\x", "http://a/b", "note: a.txt"])
async def test_a_key_with_a_foreign_scheme_is_refused_at_upload(storage, name):
    with pytest.raises(InvalidArgumentException, match="unknown scheme"):
        await storage.upload(b"x", name)


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
async def test_a_hostile_name_is_refused_or_kept_inside_and_its_clean_form_is_good(storage, name):
    clean = storage.get_name(name)
    assert await storage.upload(b"x", clean) == clean
    if name != clean:
        with pytest.raises((InvalidArgumentException, RouteNotSupportedException)):
            await storage.upload(b"x", name)
    saved = await storage.save(b"x", name, folder=name)
    assert await saved.read() == b"x"
    assert await keys(storage) == sorted(["mem:a.txt", f"mem:{clean}", saved.file_id])


@pytest.mark.parametrize("name", GOOD_NAMES)
async def test_a_good_name_is_taken_as_it_is(storage, name):
    assert await storage.upload(b"x", name) == name
    assert (await storage.save(b"x", name)).filename == name


# ---- uploading


async def test_an_upload_replaces_unless_it_must_not(storage):
    assert await storage.upload(b"new", "a.txt") == "a.txt"
    with pytest.raises(FileExistsException, match=r"'a.txt'|'mem:a.txt'"):
        await storage.upload(b"newer", "a.txt", overwrite=False)
    assert await storage.read("a.txt") == b"new"


async def test_the_uploaded_keys_name_tells_the_type(storage):
    for content in (b"a,b", PendingFile(b"a,b", "client.txt"), Content(b"a,b", filename="client.txt")):
        await storage.upload(content, "folder/table.csv")
        assert (await storage.stat("folder/table.csv")).content_type == "text/csv"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_size": 4}, FileTooLargeException),
        ({"min_size": 6}, InvalidArgumentException),
        ({"size": 4}, InvalidArgumentException),
        ({"size": 6}, InvalidArgumentException),
        ({"expected": {"crc32": "00000000"}}, ChecksumMismatchException),
        ({"content_type": "a\r\nb"}, InvalidArgumentException),
        ({"metadata": {"k": "\n"}}, InvalidArgumentException),
        ({"checksum": "none"}, TypeError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
@pytest.mark.parametrize("method", ["upload", "save"])
async def test_what_does_not_hold_stores_nothing_and_names_the_operation(storage, method, options, error):
    closing = Closing(b"wor", b"ld")
    with pytest.raises(error) as refused:
        await getattr(storage, method)(closing.stream(), "b.txt", **options)
    assert error is TypeError or refused.value.operation in {method, "write"}
    assert await keys(storage) == ["mem:a.txt"]


async def test_a_source_is_closed_after_an_upload(storage):
    for closing in (Closing(b"a"), Closing(b"a", b"b")):
        await storage.upload(closing.stream(), "b.txt")
        assert closing.closed
    with pytest.raises(FileTooLargeException):
        await storage.upload(closing.sync(), "b.txt", max_size=0)
    assert closing.closed


async def test_a_content_may_be_uploaded_twice_if_it_can_be_read_twice(storage):
    content = Content(b"hello")
    for name in ("b.txt", "c.txt"):
        await storage.upload(content, name)
        assert await storage.read(name) == b"hello"
    once = Content(stream(b"hello"))
    await storage.upload(once, "d.txt")
    with pytest.raises(InvalidArgumentException, match="only once"):
        await storage.upload(once, "e.txt")
    assert not await storage.exists("e.txt")


# ---- saving


@pytest.mark.parametrize(
    ("content", "filename", "folder", "key"),
    [
        (b"", "q3.pdf", "", "[0-9a-f]{16}_q3.pdf"),
        (b"", "q3.pdf", "reports/2026/", "reports/2026/[0-9a-f]{16}_q3.pdf"),
        (b"", None, "", "[0-9a-f]{16}_file"),
        (PendingFile(b"", "a.txt"), None, "", "[0-9a-f]{16}_a.txt"),
        (PendingFile(b"", "a.txt"), "b.txt", "", "[0-9a-f]{16}_b.txt"),
        (Content(b"", filename="a.txt"), "b.txt", "", "[0-9a-f]{16}_b.txt"),
        (Content(b"", filename="a.txt"), None, "", "[0-9a-f]{16}_a.txt"),
        (b"", "../../etc/passwd", "../up", "up/[0-9a-f]{16}_passwd"),
    ],
)
async def test_a_saved_file_has_a_key_of_its_own(storage, content, filename, folder, key):
    saved = await storage.save(content, filename, folder=folder)
    assert re.fullmatch(f"mem:{key}", saved.file_id)
    assert saved.storage is storage


async def test_two_files_of_one_name_are_two_files(storage):
    first, second = [await storage.save(content, "a.txt") for content in (b"1", b"2")]
    assert (await first.read(), await second.read()) == (b"1", b"2")


async def test_a_key_that_was_identified_before_leads_each_storage_to_its_own_folder(tmp_path):
    whole = LocalStorage(tmp_path)
    tenant = whole.within("tenant")
    key = IdentifiedKey.fresh(whole, "a.txt")
    for storage, file_id in ((whole, str(key.file_id)), (tenant, f"file:tenant/{key}")):
        async with Content(b"x") as content:
            assert await storage.write(content, key, overwrite=False) == file_id
    assert [info.file_id async for info in whole.list()] == [f"file:{key}", f"file:tenant/{key}"]


async def test_a_saved_image_is_known_without_asking(storage):
    saved = StoredImage.of(await storage.save(encode("PNG"), "cat.png", metadata={"by": "Ann"}))
    assert saved.known_dimensions == SIZE
    assert saved.known_size == await saved.get_size()
    assert (await saved.get_info()).metadata == {"by": "Ann"}


@pytest.mark.parametrize(("filename", "folder"), [(7, ""), (b"a", ""), ("a", None), ("a", 7)])
async def test_a_name_of_another_type_is_a_clear_error(storage, filename, folder):
    with pytest.raises(InvalidArgumentException, match="a name is a str") as refused:
        await storage.save(b"", filename, folder=folder)
    assert str(refused.value)


# ---- deleting


async def test_several_files_are_deleted_at_once_missing_ones_included(storage):
    for name in ("b", "c", "d"):
        await storage.upload(b"x", name)
    await storage.delete_many(iter(["b", "missing", storage.file("c"), "mem:a.txt"]), concurrency=2)
    assert await keys(storage) == ["mem:d"]
    await storage.delete_many([])


async def test_every_file_is_tried_before_a_failure_surfaces():
    class Flaky(MemoryStorage):
        async def delete(self, name):
            if name == "b":
                raise StorageUnavailableException("down", operation="delete", file_id=name)
            await super().delete(name)

    storage = Flaky()
    for name in "abc":
        await storage.upload(b"x", name)
    with pytest.raises(StorageUnavailableException, match="delete 'b': down"):
        await storage.delete_many("abc", concurrency=1)
    assert await keys(storage) == ["mem:b"]


async def test_deleting_none_at_a_time_is_refused_and_not_taken_for_done(storage):
    with pytest.raises(InvalidArgumentException, match="at least 1"):
        await storage.delete_many(["a.txt"], concurrency=0)


# ---- closed and read-only storages


async def test_a_closed_storage_refuses_everything_until_it_is_opened_again():
    async with MemoryStorage() as storage:
        await storage.upload(b"x", "a")
    await storage.aclose()
    for use in (
        storage.read,
        storage.stat,
        storage.exists,
        storage.delete,
        storage.url,
        lambda name: storage.upload(b"", name),
    ):
        with pytest.raises(StorageClosedException, match=r"'a'.*async with storage"):
            await use("a")
    with pytest.raises(StorageClosedException):
        await keys(storage)
    async with storage:
        assert await storage.read("a") == b"x"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda storage: storage.upload(b"x", "a"), AccessDeniedException),
        (lambda storage: storage.save(b"x", "a"), AccessDeniedException),
        (lambda storage: storage.copy("a", "b"), AccessDeniedException),
        (lambda storage: storage.set_metadata("a", {}), AccessDeniedException),
        (lambda storage: storage.delete("a"), DeleteNotSupportedException),
        (lambda storage: storage.delete_many(["a"]), DeleteNotSupportedException),
        (lambda storage: StoredFile("mem:a", storage).delete(), DeleteNotSupportedException),
        (lambda storage: StoredFile("mem:a", storage).upload(b"x"), AccessDeniedException),
    ],
    ids=["upload", "save", "copy", "set_metadata", "delete", "delete_many", "file.delete", "file.upload"],
)
async def test_a_read_only_storage_is_only_read(change, error):
    storage = MemoryStorage(read_only=True)
    storage.read_only = False
    await storage.upload(b"x", "a")
    storage.read_only = True
    with pytest.raises(error, match="read_only=True"):
        await change(storage)
    assert await storage.read("a") == b"x"
    assert await keys(storage) == ["mem:a"]


# ---- ranges


@pytest.mark.parametrize(("length", "chunk_size"), [(-1, 1), (1, 0), (None, -1)])
async def test_a_range_that_is_none_is_refused(storage, length, chunk_size):
    with pytest.raises(InvalidArgumentException, match=r"stream 'mem:a.txt': a stream cannot have"):
        await collect(storage.stream("a.txt", 0, length, chunk_size=chunk_size))


# ---- backends of others


@pytest.mark.parametrize(("has_bucket", "file_id"), [(True, "boxes:b/k"), (False, "box:k")])
async def test_a_new_backend_teaches_the_grammar_its_scheme(has_bucket, file_id):
    class Box(Backend, has_bucket=has_bucket):
        scheme = file_id.partition(":")[0]  # stays known in this process
        bucket = "b" if has_bucket else None

    class Sub(Box):
        """One more of the same scheme."""

    with registry.isolated():
        storage = Sub(name="default")
        assert await storage.write(Content(b"x"), "k") == file_id
        assert await StoredFile(file_id).read() == b"x"


@pytest.mark.parametrize("scheme", ["c", "Box", "a b", ""])
def test_a_new_backend_with_an_impossible_scheme_is_refused(scheme):
    with pytest.raises(InvalidArgumentException, match="cannot be a scheme"):
        type("Box", (Backend,), {"scheme": scheme})


def test_the_contract_is_small():
    abstract = {name for name, value in inspect.getmembers(Storage) if getattr(value, "__isabstractmethod__", False)}
    assert abstract == {"write", "stream", "stat", "delete", "url"}


@pytest.mark.parametrize("options", [{}, {"method": "PUT", "content_length": 5}, {"filename": "b.txt"}], ids=str)
async def test_presigned_urls_come_in_the_order_of_the_names(tmp_path, options):
    storage = LocalStorage(tmp_path, base_url="/files", secret_key="secret")
    urls = await storage.presigned_urls(iter(["2.txt", "1.txt"]), 60, **options)
    for url, key in zip(urls, ["2.txt", "1.txt"], strict=True):
        path, token = url.split("?token=")
        allowed = storage.verify_presigned(options.get("method", "GET"), key, token)
        assert (path, allowed.filename) == (f"/files/{key}", options.get("filename"))


async def test_a_storage_that_cannot_presign_says_so(storage):
    with pytest.raises(OperationNotSupportedException, match="MemoryStorage cannot presign"):
        await storage.presigned_urls(["a.txt"])


async def test_a_missing_file_is_named(storage):
    for use in (storage.read, storage.get_size, storage.info, storage.open):
        with pytest.raises(FileNotFoundException, match=r"'(mem:)?missing'"):
            await use("missing")


# ---- sources that were read before, and uploads where no file was chosen


class HalfWay(MemoryStorage):
    """Fails after the first chunk as often as it is told."""

    failures = 0

    async def write(self, content, key, *, overwrite=True):
        if self.failures:
            self.failures -= 1
            async with aclosing(aiter(content)) as chunks:
                await anext(chunks)
            raise StorageUnavailableException("told to")
        return await super().write(content, key, overwrite=overwrite)


LONG = bytes(range(256)) * 4000
DOORS = {
    "save": lambda storage, content: storage.save(content, "a.txt"),
    "upload": lambda storage, content: storage.upload(content, "a.txt"),
}
each_door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@each_door
@pytest.mark.parametrize("make", [io.BytesIO, lambda data: UploadFile(io.BytesIO(data), filename="a.txt")])
async def test_a_second_attempt_stores_the_whole(door, make):
    storage, content = HalfWay(), make(LONG)
    storage.failures = 2
    for attempt in range(2):
        with pytest.raises(StorageUnavailableException):
            await door(storage, PendingFile(content) if attempt else content)
    assert await storage.read(str(await door(storage, content))) == LONG


@each_door
async def test_an_upload_that_was_read_before_is_stored_whole(storage, door):
    upload = UploadFile(io.BytesIO(LONG), filename="a.txt")
    await upload.read()
    for _ in range(2):
        assert await storage.read(str(await door(storage, upload))) == LONG


@each_door
async def test_a_file_at_its_end_is_refused_and_what_is_stored_stays(storage, door):
    file = io.BytesIO(b"abc")
    file.read()
    with pytest.raises(InvalidArgumentException, match=r"seek\(0\)"):
        await door(storage, file)
    assert (await keys(storage), await storage.read("a.txt")) == (["mem:a.txt"], b"hello")
    file.seek(1)
    assert await storage.read(str(await door(storage, file))) == b"bc"


@each_door
@pytest.mark.parametrize("fails", [True, False], ids=["after a failure", "after a success"])
@pytest.mark.parametrize("how", ["sync", "stream"])
async def test_a_generator_is_stored_once(door, how, fails):
    storage, content = HalfWay(), getattr(Closing(b"a", b"b"), how)()
    storage.failures = int(fails)
    with suppress(StorageUnavailableException):
        await door(storage, content)
    before = await keys(storage)
    with pytest.raises(InvalidArgumentException, match="generator can be read only once"):
        await door(storage, content)
    assert await keys(storage) == before


async def test_nothing_is_saved_where_no_file_was_chosen(storage):
    assert await storage.save(empty_input()) is None
    assert await storage.save(empty_input(), "a.txt", folder="b") is None
    assert await keys(storage) == ["mem:a.txt"]


async def test_no_file_takes_the_place_of_another_where_none_was_chosen(storage):
    for content in (empty_input(), PendingFile(empty_input())):
        with pytest.raises(InvalidArgumentException, match="no file was chosen"):
            await storage.upload(content, "a.txt")
    assert await storage.read("a.txt") == b"hello"


async def test_a_nameless_upload_with_bytes_and_an_empty_one_with_a_name_are_files(storage):
    for upload, data in (
        (UploadFile(io.BytesIO(b"x"), filename=""), b"x"),
        (UploadFile(io.BytesIO(), filename="n"), b""),
    ):
        assert await (await storage.save(upload)).read() == data
