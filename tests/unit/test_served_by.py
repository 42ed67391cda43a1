"""`ServedBy`: which ids a field of files lets in, and what is said of the others."""

import json
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

from async_storages import (
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    S3Storage,
    ServedBy,
    StorageException,
    StorageManager,
    StoredFile,
    StoredImage,
    registry,
)
from tests.support.managers import offline

FASTDFS_ID = "group1/M00/00/00/wKgBZ2ZmZmaAAAAAAAAAAAAAAAA123.txt"


@pytest.fixture(autouse=True)
def _empty_registry():
    with registry.isolated():
        yield


def s3(**options):
    return S3Storage("photos", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret", **options)


def adapter(storage, kind=StoredFile):
    return TypeAdapter(Annotated[kind, ServedBy(storage)])


SERVED = {
    "a storage": (s3(), "s3:photos/a.txt", "s3:photos/a.txt"),
    "a storage, a bare key": (s3(), "a.txt", "s3:photos/a.txt"),
    "a storage with a prefix": (s3(prefix="tenant-1/"), "s3:photos/tenant-1/a.txt", "s3:photos/tenant-1/a.txt"),
    "a manager's bucket": (offline(allowed_buckets=["scans"]), "s3:scans/a.txt", "s3:scans/a.txt"),
    "a manager's other system": (StorageManager.from_storages(s3(), MemoryStorage()), "mem:a", "mem:a"),
}


@pytest.mark.parametrize(
    ("storage", "given", "file_id"), [pytest.param(*case, id=name) for name, case in SERVED.items()]
)
def test_ids_that_are_served_are_let_in(storage, given, file_id):
    for file in (adapter(storage).validate_python(given), adapter(storage).validate_json(json.dumps(given))):
        assert file.file_id == file_id
        assert file.storage is storage.storage_for(file_id)


REFUSED = {
    "another bucket": (s3(), "s3:other-bucket/x", "the file is not served here: it is in s3:other-bucket"),
    "another scheme": (s3(), "gs:photos/x", "the file is not served here: it is in gs:photos"),
    "a scheme without buckets": (s3(), "file:x", "the file is not served here: it is in file"),
    "outside of the prefix": (s3(prefix="tenant-1/"), "s3:photos/tenant-2/x", "it is in s3:photos"),
    "a bucket that is not allowed": (
        offline(),
        "s3:other-bucket/x",
        "the file is not served here: it is in s3:other-bucket",
    ),
    "a system that the mode lacks": (offline("s3"), FASTDFS_ID, "the file is not served here: it is in fastdfs"),
    "an unknown scheme": (s3(), "ftp:host/x", "unknown scheme 'ftp'"),
    "no key": (s3(), "s3:photos", "not of the form scheme:bucket/key"),
    "the way out of a folder": (LocalStorage("files"), "file:../secret", "'..'"),
    "a control character": (s3(), "s3:photos/\0", "U[+]0000"),
    "no id of FastDFS": (offline("fastdfs"), "passwords.txt", "."),
    "nothing": (s3(), "", "cannot be empty"),
    "a number": (s3(), 7, "valid string"),
    "null": (s3(), None, "valid string"),
}


@pytest.mark.parametrize(
    ("storage", "given", "reason"), [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "python"])
def test_other_ids_are_one_validation_error_that_says_why(storage, given, reason, as_json):
    class Body(BaseModel):
        file: Annotated[StoredFile, ServedBy(storage)]

    with pytest.raises(ValidationError, match=reason) as caught:
        Body.model_validate_json(json.dumps({"file": given})) if as_json else Body.model_validate({"file": given})
    [error] = caught.value.errors()
    assert error["loc"] == ("file",)
    assert "secret_access_key" not in str(error)
    assert "location=" not in error["msg"]


def test_file_objects_are_asked_for_as_well():
    held = StoredImage("mem:a", MemoryStorage())
    assert adapter(StorageManager.from_storages(s3(), MemoryStorage())).validate_python(held) is held
    with pytest.raises(ValidationError, match="the file is not served here: it is in mem"):
        adapter(s3()).validate_python(held)


def test_a_field_may_be_empty_and_names_its_class():
    image = adapter(s3(), StoredImage | None)
    assert image.validate_python(None) is None
    assert type(image.validate_python("a.png")) is StoredImage
    assert image.json_schema() == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert image.dump_json(image.validate_python("a.png")) == b'"s3:photos/a.png"'


@pytest.mark.parametrize("kind", [list[StoredFile], str, StoredFile | str])
def test_it_is_refused_where_it_would_check_nothing(kind):
    with pytest.raises(InvalidArgumentException, match="belongs to one file"):
        adapter(s3(), kind)


def test_it_takes_a_storage():
    with pytest.raises(InvalidArgumentException, match="not None"):
        ServedBy(None)


async def test_a_name_is_looked_up_when_the_first_id_comes():
    files = TypeAdapter(list[Annotated[StoredFile, ServedBy("documents")]])
    with pytest.raises(StorageException, match="no storage is registered as 'documents'") as caught:
        files.validate_python(["mem:a"])
    assert not isinstance(caught.value, ValueError)  # it would be shown to the client
    storage = MemoryStorage(name="documents")
    await storage.upload(b"hello", "a")
    [file] = files.validate_python(["mem:a"])
    assert await file.read() == b"hello"


async def test_a_request_body():
    app = FastAPI()

    class Body(BaseModel):
        file: Annotated[StoredFile, ServedBy(s3())]

    @app.post("/")
    async def post(body: Body) -> Body:
        return body

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        good = await client.post("/", json={"file": "s3:photos/a.txt"})
        bad = await client.post("/", json={"file": "s3:other-bucket/a.txt"})
    assert good.json() == {"file": "s3:photos/a.txt"}
    assert (bad.status_code, bad.json()["detail"]) == (
        422,
        [
            {
                "type": "file_not_served",
                "loc": ["body", "file"],
                "msg": "the file is not served here: it is in s3:other-bucket",
                "input": "s3:other-bucket/a.txt",
                "ctx": {"place": "s3:other-bucket"},
            }
        ],
    )
