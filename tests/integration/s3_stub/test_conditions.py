"""`save`, `overwrite=False` and direct uploads on servers that honour, ignore or refuse conditions."""

import httpx
import pytest

from async_storages import FileExistsException, OperationNotSupportedException
from async_storages.integrations.fastapi import DirectUploads
from async_storages.testing.s3_stub import PRESETS, S3Stub
from tests.support.direct import PNG, SECRET
from tests.support.patience import TIME_OUT

SERVERS = [name for name in PRESETS if name not in {"cdn", "website", "glacier"}]
REFUSES = {name for name in SERVERS if PRESETS[name].conditions_on_put == "refused"}


@pytest.fixture(params=SERVERS)
async def stub(request):
    async with S3Stub(PRESETS[request.param]) as stub:
        stub.preset = request.param
        yield stub


async def test_new_files_are_stored_everywhere(stub):
    async with stub.storage() as storage:
        for _ in range(2):
            saved = await storage.save(b"new", "a.txt")
            assert await saved.read() == b"new"


@pytest.mark.parametrize("setting", ["auto", False])
async def test_a_file_that_is_there_stays(stub, setting):
    refused = OperationNotSupportedException if stub.preset in REFUSES and setting == "auto" else FileExistsException
    async with stub.storage(conditional_writes=setting) as storage:
        await storage.upload(b"old", "a.txt")
        await storage.upload(b"other", "b.txt")
        with pytest.raises(refused):
            await storage.upload(b"new", "a.txt", overwrite=False)
        with pytest.raises(refused):
            await storage.copy("b.txt", "a.txt", overwrite=False)
        assert await storage.read("a.txt") == b"old"
        assert sorted([info.file_name async for info in storage.list()]) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("content", [b"<!DOCTYPE html>", PNG + b"other"], ids=["refused", "other"])
async def test_what_is_sent_to_a_form_again_reaches_no_file_that_is_attached(stub, content):
    async with stub.storage() as storage, httpx.AsyncClient(timeout=TIME_OUT) as client:
        uploads = DirectUploads(storage, SECRET, folder="photos")
        begun = await uploads.start("cat.png")

        async def send(content):
            return await client.post(begun.url, data=begun.fields, files={"file": content})

        assert (await send(PNG)).is_success
        attached = await uploads.attach(begun.key)
        assert (await send(content)).is_success
        with pytest.raises(FileExistsException):
            await uploads.attach(begun.key)
        assert await attached.read() == PNG
        assert [info.file_id async for info in storage.list("photos/")] == [attached.file_id]
