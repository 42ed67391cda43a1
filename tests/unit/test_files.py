import asyncio
import copy
import io
import json
import pickle

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from async_storages import LocalStorage, MemoryStorage, registry
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    OperationNotSupportedException,
    RouteNotSupportedException,
    StorageUnavailableException,
)
from async_storages.files import StoredFile, StoredImage, storage_ref_of
from async_storages.ids import FileId
from async_storages.images.probe import ImageSize
from async_storages.many_files import prefetch
from async_storages.registry import StorageRef
from tests.support.chosen_ids import ChosenIdsStorage
from tests.support.images import SIZE, camera_jpeg, displayed_size, encode

PNG = encode("PNG")
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' width='5' height='6'/>"


class Untouchable(MemoryStorage):
    """A storage that must not be asked anything."""

    def operation(self, name, file=None):
        raise AssertionError(f"{name} of {file}")


class Down(MemoryStorage):
    """A storage whose server cannot be reached."""

    async def stat(self, name):
        raise StorageUnavailableException("down")


@pytest.fixture(autouse=True)
def _empty_registry():
    with registry.isolated():
        yield


@pytest.fixture
async def storage():
    async with MemoryStorage() as opened:
        await opened.upload(b"hello", "docs/9f86d081884c7d65_q3.pdf")
        await opened.upload(PNG, "cat.png")
        yield opened


# ---- what needs no storage


def test_nothing_is_asked_before_something_is_awaited():
    storage = Untouchable()
    for file in (
        StoredImage("mem:docs/9f86d081884c7d65_q3.pdf", storage),
        storage.file("docs/9f86d081884c7d65_q3.pdf"),
    ):
        assert [file.file_id, file.scheme, file.bucket] == ["mem:docs/9f86d081884c7d65_q3.pdf", "mem", None]
        assert [file.name, file.filename] == ["docs/9f86d081884c7d65_q3.pdf", "q3.pdf"]
        assert file.content_type == "application/pdf"
        assert [file.known_info, file.known_size] == [None, None]
        assert (file.storage, str(file), storage_ref_of(file)) == (storage, file.file_id, storage)
        file.read().close()
        file.stream()
    assert repr(file) == "<StoredFile 'mem:docs/9f86d081884c7d65_q3.pdf'>"
    assert StoredImage("mem:a.png", storage).known_dimensions is None


@pytest.mark.parametrize(
    ("file_id", "scheme", "bucket", "name"),
    [
        ("s3:b/照片 %41?#.jpg", "s3", "b", "照片 %41?#.jpg"),
        ("gs:b/k", "gs", "b", "k"),
        ("file:a/b", "file", None, "a/b"),
        ("group1/M00/00/1E/a.bin", "fastdfs", None, "group1/M00/00/1E/a.bin"),
    ],
)
def test_the_id_tells_its_parts_without_any_storage(file_id, scheme, bucket, name):
    file = StoredFile(file_id)
    assert (file.scheme, file.bucket, file.name) == (scheme, bucket, name)


@pytest.mark.parametrize("file_id", ["nonsense:x", "s3:", "C:\\x", "", "mem:\0"], ids=ascii)
async def test_a_broken_row_is_loaded_compared_and_pickled_and_refused_when_used(file_id):
    registry.register("default", MemoryStorage())
    file = StoredFile(file_id, StorageRef("default"))
    twin = pickle.loads(pickle.dumps(file))
    assert twin == file != StoredFile("mem:a")
    assert str(twin) == file.file_id
    assert repr(file) == f"<StoredFile {file_id!r}>"
    for use in (file.read, twin.exists, file.get_path):
        with pytest.raises(InvalidArgumentException) as refused:
            await use()
        assert refused.value.file_id == file_id
    with pytest.raises(InvalidArgumentException):
        _ = file.name


def test_files_are_equal_and_hashed_by_id():
    first, same, image, other = StoredFile("mem:a"), StoredFile("mem:a", "x"), StoredImage("mem:a"), StoredFile("mem:b")
    assert first == same == image
    assert first != other
    assert (first == "mem:a", first == None, first == FileId("mem", None, "a")) == (False, False, False)  # noqa: E711
    assert {first, same, image, other} == {first, other}
    assert {first: 1}[image] == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_is_the_file_itself(duplicate):
    file = StoredFile("mem:a", Untouchable())
    assert duplicate(file) is file
    assert duplicate([file]) == [file]


def test_an_id_is_taken_in_every_form():
    class Text(str):
        __slots__ = ()

        def __str__(self):
            return "something else"

    for file_id in ("mem:a", FileId("mem", None, "a"), Text("mem:a")):
        assert type(StoredFile(file_id).file_id) is str
        assert StoredFile(file_id).file_id == "mem:a"


@pytest.mark.parametrize("file_id", [None, 7, b"mem:a", StoredFile("mem:a")], ids=lambda value: type(value).__name__)
def test_what_is_no_id_is_refused(file_id):
    with pytest.raises(InvalidArgumentException, match=f"not {type(file_id).__name__}"):
        StoredFile(file_id)


# ---- finding the storage


def test_the_storage_is_found_in_every_place(storage):
    registry.register("documents", storage)
    for place in (storage, "documents", StorageRef(storage), StorageRef("documents"), None):
        assert StoredFile("mem:a", place).storage is storage
    registry.register("default", storage)
    assert StoredFile("mem:a", StorageRef(None)).storage is storage


@pytest.mark.parametrize(
    ("place", "error"),
    [
        (None, RouteNotSupportedException),
        ("unknown", InvalidArgumentException),
        (StorageRef(None), InvalidArgumentException),
        (MemoryStorage(), RouteNotSupportedException),
    ],
    ids=["nowhere", "unknown-name", "no-default", "another"],
)
async def test_without_its_storage_a_file_is_a_clear_error(place, error):
    file = StoredFile("file:a", place)
    for use in (file.read, file.exists, file.get_info, file.delete, file.get_presigned_url):
        with pytest.raises(error) as raised:
            await use()
        assert raised.value.file_id == "file:a"


def test_an_old_rows_bare_key_belongs_to_the_columns_storage(storage):
    for place in (storage, StorageRef(storage)):
        file = StoredFile("docs/9f86d081884c7d65_q3.pdf", place)
        assert (file.scheme, file.bucket, file.name) == ("mem", None, "docs/9f86d081884c7d65_q3.pdf")
        assert file.file_id == "docs/9f86d081884c7d65_q3.pdf"
        assert file.storage is storage


async def test_an_old_rows_bare_key_is_read(storage):
    assert await StoredFile("docs/9f86d081884c7d65_q3.pdf", storage).read() == b"hello"


# ---- pickling


@pytest.fixture
def folders(tmp_path):
    return LocalStorage(tmp_path / "a"), LocalStorage(tmp_path / "b")


def pickled(file):
    return pickle.loads(pickle.dumps(file))


@pytest.mark.parametrize("kind", [StoredFile, StoredImage])
def test_a_pickled_file_keeps_class_and_id_and_no_storage(kind, folders):
    data = pickle.dumps(kind("file:a", LocalStorage(folders[0].root, secret_key="TOP-SECRET")))
    assert b"SECRET" not in data
    twin = pickle.loads(data)
    assert (type(twin), twin.file_id) == (kind, "file:a")


def test_a_pickled_file_finds_its_storage_by_name(tmp_path):
    named = LocalStorage(tmp_path, name="documents")
    LocalStorage(tmp_path / "other", name="default")
    for place in (named, "documents", StorageRef(named), StorageRef("documents")):
        for file_id in ("file:a", "bare/key"):
            assert pickled(StoredFile(file_id, place)).storage is named


PICKLED_BY_EARLIER_VERSIONS = {
    "by address": (
        b"\x80\x02casync_storages.files\nStoredFile\nq\x00X\x06\x00\x00\x00file:aq\x01casync_storages.registry\n"
        b"Address\nq\x02)\x81q\x03]q\x04(X\x04\x00\x00\x00fileq\x05NX\x06\x00\x00\x00/filesq\x06eb\x86q\x07Rq\x08."
    ),
    "by a column's reference": (
        b"\x80\x02casync_storages.files\nStoredFile\nq\x00X\x06\x00\x00\x00file:aq\x01casync_storages.registry\n"
        b"Ref\nq\x02X\t\x00\x00\x00documentsq\x03\x85q\x04Rq\x05\x86q\x06Rq\x07."
    ),
}


@pytest.mark.parametrize("data", PICKLED_BY_EARLIER_VERSIONS.values(), ids=PICKLED_BY_EARLIER_VERSIONS)
def test_a_file_that_an_earlier_version_pickled_finds_its_storage(data):
    storage = LocalStorage("/files", name="documents")
    file = pickle.loads(data)
    assert (type(file), file.file_id, file.storage) == (StoredFile, "file:a", storage)


def test_a_columns_default_is_still_the_default():
    file = pickled(StoredFile("mem:a", StorageRef(None)))
    with pytest.raises(InvalidArgumentException, match="'default'"):
        _ = file.storage
    storage = MemoryStorage(name="default")
    assert file.storage is storage


@pytest.mark.parametrize("file_id", ["file:a", "bare/key"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_pickled_file_of_an_unnamed_storage_is_found_by_its_address(file_id, times, folders):
    first, second = folders
    registry.register("default", second)
    registry.register("memory", MemoryStorage())
    for place in (first, StorageRef(first)):
        file = StoredFile(file_id, place)
        for _ in range(times):
            file = pickled(file)
        with pytest.raises(RouteNotSupportedException, match=r"no registered storage.*registry\.register"):
            _ = file.storage  # never another storage's file of the same id
        with registry.override("first", LocalStorage(first.root)) as again:
            assert file.storage is again


class Router:
    """Routes everything to one storage."""

    name = None

    def __init__(self, storage):
        self.storage = storage

    def identify(self, name):
        return self.storage.identify(name)

    def storage_for(self, file_id):
        return self.storage.storage_for(file_id)


def test_a_routers_file_is_found_in_the_storage_that_holds_it(folders):
    file = pickled(StoredFile("file:a", Router(folders[0])))
    registry.register("default", folders[1])
    with pytest.raises(RouteNotSupportedException):
        _ = file.storage
    with registry.override("first", folders[0]):
        assert file.storage is folders[0]


def test_a_named_routers_file_is_routed_by_it_again(folders):
    router = Router(folders[0])
    router.name = "manager"
    file = pickled(StoredFile("file:a", router))
    with registry.override("manager", Router(folders[1])), registry.override("first", folders[0]):
        assert file.storage is folders[1]


def test_what_its_own_storage_refused_no_other_serves(folders):
    file = pickled(StoredFile("mem:a", folders[0]))
    registry.register("default", MemoryStorage())
    with pytest.raises(RouteNotSupportedException):
        _ = file.storage


# ---- what its storage does


async def test_everything_about_a_file(storage, tmp_path):
    file = storage.file("docs/9f86d081884c7d65_q3.pdf")
    assert await file.exists()
    assert await file.get_size() == file.known_size == 5
    assert await file.get_info() == file.known_info == await storage.stat(file)
    assert await file.read() == (await file.open()).read() == b"hello"
    assert b"".join([chunk async for chunk in file.stream(1, 3, chunk_size=2)]) == b"ell"
    assert await file.get_path() == await storage.url(file)
    for target in (tmp_path / "a", io.BytesIO()):
        assert await file.download_to(target) == 5
    assert ((tmp_path / "a").read_bytes(), target.getvalue()) == (b"hello", b"hello")
    await file.delete()
    assert (await file.exists(), file.known_size, file.known_info) == (False, None, None)
    with pytest.raises(FileNotFoundException):
        await file.get_size()


async def test_an_upload_replaces_the_content_and_what_was_known(storage):
    file = storage.file("docs/9f86d081884c7d65_q3.pdf")
    await file.get_info()
    await file.upload(b"more than before", content_type="text/x-new", metadata={"k": "v"})
    assert file.known_size is None
    info = await file.get_info()
    assert (info.file_size, info.content_type, info.metadata) == (16, "text/x-new", {"k": "v"})


async def test_a_saved_image_knows_its_size_and_dimensions(storage):
    file = StoredImage.of(await storage.save(PNG, "cat.png"))
    assert (file.known_size, file.known_dimensions, file.known_info) == (len(PNG), SIZE, None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (PNG, ImageSize(*SIZE)),
        (camera_jpeg(6), ImageSize(*displayed_size(camera_jpeg(6)), 6)),
        (SVG, None),
        (b"text", None),
        (b"", None),
    ],
    ids=["png", "turned", "svg", "text", "empty"],
)
async def test_dimensions_are_as_displayed_and_none_where_there_are_none(storage, content, expected):
    await storage.upload(content, "image")
    image = StoredImage("mem:image", storage)
    assert await image.get_image_size() == expected
    dimensions = expected and (expected.width, expected.height)
    assert await image.get_dimensions() == image.known_dimensions == dimensions


@pytest.mark.parametrize(("content", "error"), [(PNG[:20], InvalidArgumentException), (None, FileNotFoundException)])
async def test_dimensions_of_what_is_broken_or_missing_are_a_clear_error(storage, content, error):
    if content is not None:
        await storage.upload(content, "image")
    with pytest.raises(error, match="'mem:image'"):
        await StoredImage("mem:image", storage).get_dimensions()


async def test_a_storage_without_presigned_urls_says_so(storage):
    with pytest.raises(OperationNotSupportedException, match=r"presign 'mem:cat\.png': MemoryStorage cannot presign"):
        await storage.file("cat.png").get_presigned_url()


async def test_presigned_urls_pass_their_options_on(tmp_path):
    storage = LocalStorage(tmp_path, base_url="https://example.com", secret_key="secret")
    url = await storage.file("a b.txt").get_presigned_url(60, filename="c.txt", content_type="text/plain")
    path, token = url.split("?token=")
    request = storage.verify_presigned("GET", "a b.txt", token)
    assert path == "https://example.com/a%20b.txt"
    assert (request.filename, request.disposition, request.content_type) == ("c.txt", "attachment", "text/plain")


# ---- prefetch


async def test_a_prefetch_learns_what_there_is_and_passes_over_what_there_is_not(storage):
    await storage.upload(PNG[:20], "broken.png")
    names = ["cat.png", "broken.png", "missing.png", "docs/9f86d081884c7d65_q3.pdf"]
    images = [StoredImage(f"mem:{name}", storage) for name in names]
    plain = StoredFile("mem:cat.png", storage)
    await prefetch([images[0], None, *images[1:], plain, StoredImage("mem:../x", storage)], "info", "dimensions")
    assert [image.known_dimensions for image in images] == [SIZE, None, None, None]
    assert [image.known_size for image in (*images, plain)] == [len(PNG), 20, None, 5, len(PNG)]
    assert images[0].known_info == await storage.stat("cat.png")


@pytest.mark.parametrize(
    ("what", "info", "dimensions"), [((), True, False), (("info",), True, False), (("dimensions",), False, True)]
)
async def test_a_prefetch_asks_for_no_more_than_it_is_told(storage, what, info, dimensions):
    image = StoredImage("mem:cat.png", storage)
    await prefetch(iter([image]), *what)
    assert (image.known_info is not None, image.known_dimensions is not None) == (info, dimensions)


@pytest.mark.parametrize(
    ("what", "options", "reason"),
    [(("size",), {}, "not \\('size',\\)"), ((), {"concurrency": 0}, "at least 1"), (("info", 7), {}, "prefetch takes")],
)
async def test_a_prefetch_of_something_else_is_refused(storage, what, options, reason):
    with pytest.raises(InvalidArgumentException, match=reason):
        await prefetch([storage.file("cat.png")], *what, **options)


async def test_a_prefetch_keeps_to_its_concurrency():
    running, most = 0, 0

    class Counting(MemoryStorage):
        async def stat(self, name):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return await super().stat(name)

    storage = Counting()
    await prefetch([StoredFile(f"mem:{number}", storage) for number in range(20)], concurrency=3)
    assert most == 3


async def test_a_prefetch_from_a_server_that_is_down_fails():
    with pytest.raises(StorageUnavailableException):
        await prefetch([StoredFile("mem:a", Down())])
    await prefetch([])
    await prefetch([None, None])


# ---- the same file as another class


def test_an_image_of_a_file_shares_what_is_known(storage):
    file = StoredFile("mem:cat.png", storage)
    file.remember(size=7, image_size=ImageSize(1, 2))
    image = StoredImage.of(file)
    assert (type(image), image, image.storage) == (StoredImage, file, storage)
    assert (image.known_size, image.known_dimensions) == (7, (1, 2))
    assert StoredFile.of(image) is image
    assert StoredImage.of(image) is image


def test_what_is_remembered_adds_up(storage):
    file = StoredImage("mem:cat.png", storage)
    file.remember(size=0)
    file.remember(image_size=ImageSize(1, 2))
    file.remember()
    assert (file.known_size, file.known_dimensions) == (0, (1, 2))


# ---- pydantic


class Document(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    file: StoredFile
    image: StoredImage | None = None
    attachments: list[StoredFile] = []


@pytest.mark.parametrize("strict", [True, False])
def test_models_take_ids_and_file_objects(strict):
    held = StoredImage("mem:b.png", "documents")
    made = Document.model_validate({"file": "s3:b/a.txt", "image": held, "attachments": ["mem:c", held]}, strict=strict)
    assert (type(made.file), made.file.file_id, storage_ref_of(made.file)) == (StoredFile, "s3:b/a.txt", None)
    assert made.image is held
    assert made.attachments[1] is held
    assert Document(file="group1/M00/00/00/a.bin").file.scheme == "fastdfs"


def test_models_make_files_of_the_class_they_name():
    file = StoredFile("mem:a.png", "documents")
    made = Document(file=file, image=file)
    assert made.file is file
    assert (type(made.image), storage_ref_of(made.image)) == (StoredImage, "documents")


def test_models_are_made_of_rows():
    class Row:
        file = StoredFile("mem:a", Untouchable())
        image = None
        attachments = (StoredFile("mem:b"),)

    made = Document.model_validate(Row())
    assert made.file is Row.file
    assert made.model_dump() == {"file": "mem:a", "image": None, "attachments": ["mem:b"]}


def test_models_go_through_json_and_python():
    made = Document(file="mem:a", image="s3:b/照片.png", attachments=["mem:b"])
    plain = {"file": "mem:a", "image": "s3:b/照片.png", "attachments": ["mem:b"]}
    assert made.model_dump() == made.model_dump(mode="json") == json.loads(made.model_dump_json()) == plain
    assert Document.model_validate_json(made.model_dump_json()) == made == Document.model_validate(plain)
    assert made.model_copy(deep=True) == made


@pytest.mark.parametrize("mode", ["python", "json"])
def test_urls_computed_beforehand_stand_in_for_ids(mode):
    made = Document(file="mem:a", attachments=["mem:a", "mem:b"])
    context = {"file_urls": {"mem:a": "https://example.com/a?signature=1"}}
    assert made.model_dump(mode=mode, context=context) == {
        "file": "https://example.com/a?signature=1",
        "image": None,
        "attachments": ["https://example.com/a?signature=1", "mem:b"],
    }
    for nothing in ({}, {"file_urls": {}}, {"other": 1}, None):
        assert made.model_dump(mode=mode, context=nothing)["file"] == "mem:a"


@pytest.mark.parametrize("mode", ["validation", "serialization"])
@pytest.mark.parametrize("kind", [StoredFile, StoredImage])
def test_the_json_schema_is_a_string(kind, mode):
    assert TypeAdapter(kind).json_schema(mode=mode) == {"type": "string"}
    assert TypeAdapter(kind | None).json_schema(mode=mode) == {"anyOf": [{"type": "string"}, {"type": "null"}]}


@pytest.mark.parametrize("bad", ["", "nonsense:x", "s3:b", "mem:\0", "C:\\x", 7, None, {"file_id": "mem:a"}], ids=ascii)
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "python"])
def test_a_bad_id_is_a_validation_error(bad, as_json):
    with pytest.raises(ValidationError) as caught:
        Document.model_validate_json(json.dumps({"file": bad})) if as_json else Document.model_validate({"file": bad})
    assert [error["loc"] for error in caught.value.errors()] == [("file",)]


def test_a_model_that_was_not_validated_is_dumped_all_the_same():
    made = Document.model_construct(file="mem:a", attachments=[])
    assert made.model_dump_json() == '{"file":"mem:a","image":null,"attachments":[]}'


async def test_a_validated_file_is_read_from_the_default_storage(storage):
    with registry.override("default", storage):
        assert await Document(file="mem:cat.png").file.read() == PNG


async def test_a_file_whose_id_was_chosen_is_never_replaced():
    storage = ChosenIdsStorage()
    stored = await storage.save(b"old", "a.txt")
    with pytest.raises(OperationNotSupportedException, match="replaces no files"):
        await stored.upload(b"new")
    assert len(storage._files) == 1


def test_the_size_that_an_id_tells_is_known():
    assert StoredFile("group1/M00/00/00/wKgDhF7zb-GAdBjQAAAADcNDGRM463.txt").known_size == 13
    assert StoredFile("group1/M00/00/00/wKgDhF7zb-GAdBjQAAAADcNDGRM463.txt").known_crc32 is None  # or another one
    assert (StoredFile("mem:a.txt").known_size, StoredFile("mem:a.txt").known_crc32) == (None, None)


async def test_what_was_just_uploaded_has_a_known_checksum():
    async with MemoryStorage() as storage:
        stored = await storage.save(b"hello", "a.txt")
    assert stored.known_crc32 == 0x3610A686
