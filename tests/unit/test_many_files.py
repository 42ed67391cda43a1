"""`file_urls`: where it finds files, what URLs it gives them, and what pydantic makes of those."""

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace

import boto3
import pytest
from jinja2 import Template
from pydantic import BaseModel, ConfigDict, RootModel, TypeAdapter

from async_storages import (
    FileAttach,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    OperationNotSupportedException,
    PendingFile,
    RouteNotSupportedException,
    S3Storage,
    StorageManager,
    StoredFile,
    StoredImage,
    file_urls,
    registry,
)

CREDENTIALS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}


@pytest.fixture(autouse=True)
def _empty_registry():
    with registry.isolated():
        yield


@pytest.fixture
def s3():
    return S3Storage("photos", endpoint_url="http://localhost:9000", **CREDENTIALS)


class Photo(BaseModel):
    model_config = ConfigDict(extra="allow")

    title: str = "cat"
    image: StoredImage | None = None
    more: list["Photo"] = []


@dataclass
class Page:
    photos: list[object]


@dataclass(slots=True)
class Cell:
    file: object = None


class Mapped:
    """As SQLAlchemy makes classes: what is loaded is in ``__dict__``, what is not is asked for by a descriptor."""

    __mapper__ = "of this class"

    def __init__(self, **loaded):
        self.__dict__.update(loaded)

    @property
    def deferred(self):
        raise AssertionError("loaded")

    expired = deferred


STORAGE = MemoryStorage()


def stored(key, place=STORAGE):
    return StoredImage(f"mem:{key}", place)


A, B = stored("a"), stored("b")
PHOTO = Photo(image=A, more=[Photo(more=[Photo(image=B)])])
CYCLE = Mapped(file=A, children=[Mapped(file=B)])
CYCLE.children[0].parent = CYCLE


def deep(levels):
    value = A
    for _ in range(levels):
        value = [value]
    return value


FOUND = {
    "a file": (A, "a"),
    "None": (None, ""),
    "an empty list": ([], ""),
    "a list, some of it twice": ([A, None, B, A], "ab"),
    "tuples in a set": ({(A, B)}, "ab"),
    "a generator": ((file for file in (A, B)), "ab"),
    "dictionaries and their values": ({"x": A, "y": {"z": B}.values()}, "ab"),
    "models in models": (PHOTO, "ab"),
    "an extra of a model": (Photo(other=[A]), "a"),
    "a root model": (RootModel[list[Photo]]([PHOTO]), "ab"),
    "a model that was not validated": (Photo.model_construct(image=A), "a"),
    "dataclasses": (Page([Cell(A), Cell(Page([B]))]), "ab"),
    "mapped objects": ([Mapped(file=A, id=1, data=b"x" * 999), Mapped(_file=B)], "ab"),
    "mapped objects that know each other": (CYCLE, "ab"),
    "ten thousand lists in each other": (deep(10_000), "a"),
    "content that is pending": (Mapped(file=PendingFile(b"x", "a.txt"), other=B), "b"),
    "an object that nothing tells to be data": (SimpleNamespace(file=A), ""),
    "what only looks like files": ([FileAttach(file_id="mem:a", file_name="a"), "mem:a", 1, b"a", Photo], ""),
}


@pytest.mark.parametrize(("objects", "found"), [pytest.param(*case, id=name) for name, case in FOUND.items()])
async def test_files_are_found(objects, found):
    assert await file_urls(objects, presign=False) == {f"mem:{key}": f"mem:{key}" for key in found}


async def test_an_iterator_that_is_held_is_not_used_up():
    held = iter([A])
    assert await file_urls([Mapped(files=held)], presign=False) == {}
    assert next(held) is A


async def test_each_storage_is_asked_once_and_each_file_named_once():
    asked = []

    class Noted(S3Storage):
        def presign_many(self, names, *rest):
            asked.append(names)
            return super().presign_many(names, *rest)

    s3 = Noted("photos", endpoint_url="http://localhost:9000", **CREDENTIALS)
    other = s3.with_bucket("scans")
    manager = StorageManager.from_storages(s3, other)
    files = [StoredFile(f"s3:{bucket}/{n}", manager) for n in (1, 2, 1) for bucket in ("photos", "scans")]
    urls = await file_urls([*files, StoredFile("s3:photos/1", s3)])
    assert sorted(map(sorted, asked)) == [["s3:photos/1", "s3:photos/2"], ["s3:scans/1", "s3:scans/2"]]
    assert [urls[str(file)].partition("?")[0] for file in files[:2]] == [
        "http://localhost:9000/photos/1",
        "http://localhost:9000/scans/1",
    ]


async def test_urls_end_when_they_are_told_to(s3):
    [url] = (await file_urls(s3.file("a b.jpg"), expires_in=60)).values()
    assert url.startswith("http://localhost:9000/photos/a%20b.jpg?")
    assert "&X-Amz-Expires=60&" in url


async def test_urls_are_stable_within_a_window(s3, monkeypatch):
    photo, window = s3.file("a.png"), timedelta(hours=1)

    async def made_at(moment):
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: moment)
            return await file_urls([photo], stable=window)

    assert await made_at(7_200) == await made_at(10_799.9) != await made_at(10_800)


async def test_urls_that_are_not_presigned_are_those_of_the_storage():
    storage = S3Storage("photos", custom_domain="cdn.example.com", **CREDENTIALS)
    assert await file_urls(storage.file("a.jpg"), presign=False) == {"s3:photos/a.jpg": "https://cdn.example.com/a.jpg"}


@pytest.fixture
def session():
    return boto3.Session("AKIDFOUND", "secret", region_name="us-east-1")


async def test_credentials_are_found_before_anything_is_presigned(session):
    storage = S3Storage("photos", endpoint_url="http://localhost:9000", session=session)
    [url] = (await file_urls(storage.file("a.jpg"))).values()
    assert "X-Amz-Credential=AKIDFOUND" in url


async def test_an_old_row_with_a_bare_key_has_the_url_of_its_file(tmp_path):
    storage = LocalStorage(tmp_path, base_url="/files", secret_key="secret")
    old = StoredFile("old/a.txt", storage)
    urls = await file_urls([old])
    assert urls["old/a.txt"].startswith("/files/old/a.txt?")


PROBLEMS = {
    "a storage that cannot presign": ([A], OperationNotSupportedException, "file_urls 'mem:a'.*presign=False"),
    "no storage": ([stored("a", None)], RouteNotSupportedException, "file_urls 'mem:a': no registered storage"),
    "a bucket that is not served": (
        [StoredFile("s3:other/a", S3Storage("photos", **CREDENTIALS))],
        RouteNotSupportedException,
        "'s3:other/a'",
    ),
    "a malformed id": ([StoredFile("nonsense:a", STORAGE)], InvalidArgumentException, "unknown scheme"),
    "one id in two storages": (
        [A, stored("a", MemoryStorage())],
        InvalidArgumentException,
        "file_urls 'mem:a': files of two storages have this id",
    ),
}


@pytest.mark.parametrize(
    ("objects", "error", "reason"), [pytest.param(*case, id=name) for name, case in PROBLEMS.items()]
)
async def test_what_has_no_url_is_named(objects, error, reason):
    with pytest.raises(error, match=reason):
        await file_urls(objects, strict=True)


async def test_a_row_of_another_storage_costs_the_others_nothing(s3, caplog):
    foreign = StoredFile("s3:other/röntgen.png", s3)
    urls = await file_urls([foreign, s3.file("a.jpg")])
    assert list(urls) == ["s3:photos/a.jpg"]
    [record] = caplog.records
    assert (record.name, record.levelname) == ("async_storages", "WARNING")
    assert "'s3:other/röntgen.png'" in record.getMessage()


async def test_a_template_finds_the_url_of_a_file_object():
    urls = await file_urls([A], presign=False)
    template = Template("<img src='{{ urls[file] }}'>{{ urls[nothing] }}{{ urls.get(nothing, 'none') }}")
    assert template.render(urls=urls, file=A, nothing=None) == f"<img src='{urls[A.file_id]}'>none"
    assert (urls[A], A in urls, None in urls) == (urls["mem:a"], True, False)


async def test_a_bad_expiry_is_refused(s3):
    with pytest.raises(InvalidArgumentException, match="604800"):
        await file_urls(s3.file("a"), expires_in=604_801)


async def test_two_storages_at_one_place_hold_the_same_file(s3):
    again = S3Storage("photos", endpoint_url="http://localhost:9000", **CREDENTIALS)
    assert len(await file_urls([s3.file("a"), again.file("a")])) == 1


# ---- what pydantic makes of them


@pytest.mark.parametrize(
    "wrap", [lambda urls: urls, lambda urls: {"file_urls": urls, "tenant": 7}], ids=["bare", "key"]
)
async def test_the_urls_are_a_serialisation_context(wrap):
    context = wrap(await file_urls(PHOTO, presign=False) | {"mem:b": "https://cdn.example.com/b"})
    listing = TypeAdapter(list[Photo])
    dumped = json.loads(listing.dump_json([PHOTO], context=context))
    assert dumped == listing.dump_python([PHOTO], context=context)
    assert dumped[0]["image"] == "mem:a"
    assert dumped[0]["more"][0]["more"][0]["image"] == "https://cdn.example.com/b"


@pytest.mark.parametrize(
    "context",
    [None, {}, {"tenant": 7}, {"file_urls": None}, "tenant", object()],
    ids=lambda context: type(context).__name__,
)
def test_without_urls_ids_are_serialised(context):
    assert Photo(image=A).model_dump(context=context)["image"] == "mem:a"
