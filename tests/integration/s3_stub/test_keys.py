"""Keys as other tools and other servers write them."""

import pytest

from async_storages.content import Content
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FileId

ENCODINGS = ["aws", "versitygw", "obs"]
"""Servers that encode keys in listings, and such as do not."""

LIKE_CODES = ["a b.txt", "a%20b.txt", "a%2Bb.txt", "a+b.txt"]


async def listed(storage, prefix=""):
    return [FileId.parse(info.file_id).key async for info in storage.list(prefix)]


@pytest.mark.parametrize("behaviour", ENCODINGS)
async def test_listings_are_decoded_only_where_they_are_encoded(on, behaviour):
    stub, storage = await on(behaviour)
    for key in LIKE_CODES:
        stub.put(key, key.encode())
    assert await listed(storage) == LIKE_CODES


@pytest.mark.parametrize("behaviour", ENCODINGS)
async def test_list_then_delete_deletes_the_file_that_was_listed(on, behaviour):
    stub, storage = await on(behaviour)
    stub.put("a+b.txt", b"old")
    stub.put("a b.txt", b"precious")
    ids = [info.file_id async for info in storage.list() if info.file_size == 3]
    await storage.delete_many(ids)
    assert list(stub.objects()) == ["a b.txt"]


@pytest.mark.parametrize("behaviour", ENCODINGS)
async def test_unfinished_uploads_are_decoded_only_where_they_are_encoded(on, behaviour):
    stub, storage = await on(behaviour)
    upload_id = await storage.part_uploads.begin("a+b.txt", content_type="text/plain")
    [(file_id, found)] = await storage.part_uploads.unfinished("a")
    assert (file_id.key, found) == ("a+b.txt", upload_id)
    await storage.part_uploads.abort(file_id, found)
    assert not stub.uploads()


AWKWARD = ["/leading.txt", "a//b.txt", "./a.txt", "a/./b.txt", "folder/", "back\\slash.txt", "//", "."]


@pytest.mark.parametrize("key", AWKWARD)
async def test_keys_of_other_tools_are_listed_read_copied_and_deleted(on, key):
    stub, storage = await on()
    stub.put(key, b"content")
    [info] = [info async for info in storage.list()]
    file = storage.file(info.file_id)
    assert (info.file_id, info.file_size) == (f"s3:test/{key}", 7)
    assert await file.read() == b"content"
    assert await storage.exists(file)
    assert (await storage.stat(info.file_id)).file_size == 7
    await storage.copy(file, "copy.txt")
    await storage.delete(file)
    assert {key: held.data for key, held in stub.objects().items()} == {"copy.txt": b"content"}


@pytest.mark.parametrize("key", AWKWARD)
async def test_several_keys_of_other_tools_are_deleted_at_once(on, key):
    stub, storage = await on()
    stub.put(key, b"content")
    await storage.delete_many([f"s3:test/{key}"])
    assert not stub.objects()


@pytest.mark.parametrize("key", AWKWARD)
async def test_keys_of_other_tools_are_never_written(on, key):
    stub, storage = await on()
    stub.put("a.txt", b"content")
    held = dict(stub.objects())
    file_id = f"s3:test/{key}"
    with pytest.raises(InvalidArgumentException):
        await storage.upload(b"other", file_id)
    async with Content(b"other") as content:
        with pytest.raises(InvalidArgumentException):
            await storage.write(content, file_id)
    with pytest.raises(InvalidArgumentException):
        await storage.copy("a.txt", file_id)
    with pytest.raises(InvalidArgumentException):
        await storage.set_metadata(file_id, {"a": "1"})
    with pytest.raises(InvalidArgumentException):
        storage.presign(file_id, method="PUT")
    with pytest.raises(InvalidArgumentException):
        await storage.presign_post(file_id)
    assert stub.objects() == held


@pytest.mark.parametrize("key", AWKWARD)
async def test_a_bare_name_is_no_such_key(on, key):
    stub, storage = await on()
    stub.put(key, b"content")
    with pytest.raises(InvalidArgumentException):
        await storage.read(key)


@pytest.mark.parametrize("key", ["../a.txt", "a/../b.txt", "a/.."])
async def test_what_may_lead_elsewhere_stays_refused(on, key):
    stub, storage = await on()
    stub.put(key, b"content")
    with pytest.raises(InvalidArgumentException):
        await storage.read(f"s3:test/{key}")
    assert await listed(storage) == []


async def test_a_folder_stays_a_folder(on):
    stub, storage = await on()
    stub.put("acme//a.txt", b"acme's")
    stub.put("other//a.txt", b"other's")
    tenant = storage.within("acme")
    assert await listed(tenant) == ["acme//a.txt"]
    assert await tenant.read("s3:test/acme//a.txt") == b"acme's"


async def test_missing_files_that_a_server_reports_are_deleted(on):
    stub, storage = await on("versitygw")
    stub.put("a.txt", b"content")
    await storage.delete_many(["a.txt", "missing.txt"])
    assert not stub.objects()
    await storage.delete("missing.txt")


async def test_a_bucket_of_a_tenant(stub_of):
    stub = await stub_of("ceph16", buckets=("acme:photos",))
    async with stub.storage() as storage:
        stored = await storage.save(b"content", "a.txt")
        await storage.copy(stored, "b.txt")
        assert stored.file_id.startswith("s3:acme:photos/")
        assert await storage.read(stored.file_id) == b"content"
        assert len([info async for info in storage.list()]) == 2
