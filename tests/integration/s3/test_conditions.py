"""`overwrite=False` on servers that honour conditions, and on those that ignore some or all of them."""

import asyncio
from contextlib import suppress

import pytest

from async_storages import FileExistsException, events
from async_storages.backends.buckets.server_errors import FileChanged
from async_storages.backends.s3.conditional_writes import Support
from async_storages.backends.s3.conditions_probe import ConditionsProbe
from async_storages.naming import unique_key
from async_storages.scanning import quarantine
from async_storages.scanning.verdicts import Clean
from async_storages.testing.contract.cancellation import every_cancellation
from tests.support.s3 import copy_in_parts
from tests.support.s3_kinds import SERVERS, storage_on

PART = 5 << 20
OLD, SMALL, LARGE = b"old", b"small", bytes(range(256)) * (PART // 256) + b"and a part"

HONOURED, IGNORED = Support.HONOURED, Support.IGNORED
KNOWN = {
    "seaweedfs": {"put": HONOURED, "copy": HONOURED, "complete": HONOURED, "source": HONOURED},
    "moto": {"put": HONOURED, "copy": IGNORED, "complete": HONOURED, "source": IGNORED},
    "minio-gateway": {"put": IGNORED, "copy": IGNORED, "complete": IGNORED, "source": HONOURED},
    "ministack": {"put": HONOURED, "copy": IGNORED, "complete": HONOURED, "source": HONOURED},
}
"""What the servers of the suite do; docs/providers/s3.md says it too."""

NOT_AT_ONCE = {("seaweedfs", "complete"), ("moto", "put"), ("moto", "complete")}
"""Where the server looks and then writes, so that of two at once both may succeed."""


@pytest.fixture(params=SERVERS)
def kind(request):
    return request.param


@pytest.fixture
def server(kind, request):
    return request.getfixturevalue(SERVERS[kind])


@pytest.fixture
async def storage(server):
    async with storage_on(server, part_size=PART) as storage:
        yield storage


async def put(storage, name):
    await storage.upload(SMALL, name, overwrite=False)


async def put_parts(storage, name):
    await storage.upload(LARGE, name, overwrite=False)


async def copy(storage, name):
    await storage.upload(SMALL, "origin")
    await storage.copy("origin", name, overwrite=False)


WAYS = {"put": (put, SMALL), "complete": (put_parts, LARGE), "copy": (copy, SMALL)}
ways = pytest.mark.parametrize("way", WAYS)


async def left_in(storage):
    """Keys, and open uploads; but for the origin of copies."""
    keys = {info.file_id.partition("/")[2] async for info in storage.list()} - {"origin"}
    return sorted(keys), await storage._client.list_multipart_uploads(storage.bucket)


async def test_the_probe_finds_out_what_a_server_does_and_leaves_nothing(storage, kind):
    probe = ConditionsProbe(storage._client.wire, storage.bucket, "a folder/")
    found = {request: await probe.creation(request) for request in ("put", "copy", "complete")}
    assert {**found, "source": await probe.copy_source()} == KNOWN[kind]
    assert await left_in(storage) == ([], [])


@ways
@pytest.mark.parametrize("setting", ["auto", False])
async def test_a_file_that_is_there_stays(server, way, setting):
    create, content = WAYS[way]
    async with storage_on(server, conditional_writes=setting, part_size=PART) as storage:
        await storage.upload(OLD, "file")
        with pytest.raises(FileExistsException):
            await create(storage, "file")
        assert await storage.read("file") == OLD
        await create(storage, "new")
        assert await storage.read("new") == content
        assert await left_in(storage) == (["file", "new"], [])


@ways
async def test_a_cancelled_call_removes_no_file_that_was_there(storage, way):
    create, _ = WAYS[way]
    await storage.upload(OLD, "file")
    with suppress(FileExistsException):
        await create(storage, "file")  # so that the server is known
    with suppress(FileExistsException):  # the last one, which is not cancelled
        async for _ in every_cancellation(lambda: create(storage, "file")):
            assert await storage.read("file") == OLD
    assert await storage.read("file") == OLD
    assert await left_in(storage) == (["file"], [])


@ways
async def test_a_cancelled_call_removes_no_file_that_another_has_made_meanwhile(storage, kind, way):
    """Where conditions are ignored the other's file may be replaced; it is not removed."""
    create, content = WAYS[way]
    await create(storage, "known")
    look = storage._client.head_object

    async def look_before_the_other(bucket, key, **options):
        if key != "file":
            return await look(bucket, key, **options)
        try:
            return await look(bucket, key, **options)
        finally:
            await storage._client.put_object(bucket, key, OLD, headers={})

    storage._client.head_object = look_before_the_other
    if KNOWN[kind][way] is HONOURED:
        await storage.upload(OLD, "file")
    with suppress(FileExistsException):
        async for _ in every_cancellation(lambda: create(storage, "file")):
            if await storage.exists("file"):
                assert await storage.read("file") in {OLD, content}
                await storage.delete("file")
    assert await storage.read("file") in {OLD, content}


@ways
async def test_of_many_who_create_one_file_one_succeeds_where_conditions_are_honoured(storage, kind, way):
    create, content = WAYS[way]
    outcomes = await asyncio.gather(*(create(storage, "file") for _ in range(5)), return_exceptions=True)
    failures = [outcome for outcome in outcomes if outcome is not None]
    assert {type(failure) for failure in failures} <= {FileExistsException}
    assert len(failures) == 4 or KNOWN[kind][way] is IGNORED or (kind, way) in NOT_AT_ONCE
    assert await storage.read("file") == content
    assert await left_in(storage) == (["file"], [])


async def test_a_server_is_tried_once_for_each_bucket(storage):
    tried = []
    wire = storage._client.wire
    exchange = wire.exchange

    async def counted(request, **options):
        if "async-storages-probe" in (request.key or "") and request.method == "PUT":
            tried.append(request.bucket)
        return await exchange(request, **options)

    wire.exchange = counted
    await storage.save(SMALL, "saved.txt")
    assert tried == []
    await asyncio.gather(*(storage.upload(SMALL, f"{number}", overwrite=False) for number in range(20)))
    assert tried == [storage.bucket] * 2
    other = storage.within("a")
    await other.upload(SMALL, "0", overwrite=False)
    assert len(tried) == 2


# ---- the version that is copied


REPLACEMENTS = {"small": (SMALL, b"other"), "parts": (LARGE, b"other" + LARGE[5:]), "same": (SMALL, SMALL)}


@pytest.mark.parametrize(("content", "other"), REPLACEMENTS.values(), ids=REPLACEMENTS)
@pytest.mark.parametrize("is_in_parts", [False, True], ids=["at once", "in parts"])
async def test_a_copy_is_of_the_version_that_was_found_or_none(storage, monkeypatch, content, other, is_in_parts):
    if is_in_parts:
        copy_in_parts(monkeypatch, len(content) - 1, PART)
    await storage.upload(content, "origin")
    head = storage._client.head_object
    replaced = []

    async def head_and_replace(bucket, key, **options):
        found = await head(bucket, key, **options)
        if key == "origin" and not replaced:
            replaced.append(await storage.upload(other, "origin"))
        return found

    monkeypatch.setattr(storage._client, "head_object", head_and_replace)  # three kinds of servers have no common proxy
    target = unique_key("copy.bin")
    try:
        await storage.copy("origin", target, overwrite=False)
    except FileChanged:
        assert await left_in(storage) == ([], [])
    else:
        assert await storage.read(target) == content


async def test_what_is_swapped_only_while_it_is_copied_is_not_released(storage, monkeypatch):
    """Within the second that servers tell the time in, for which no test can aim."""
    monkeypatch.setattr(quarantine, "_version", lambda info: (info.etag, info.file_size))
    file = await storage.save(SMALL, "a.bin", folder="quarantine")
    back = []

    class SwapsAfterwards:
        async def scan(self, scanned):
            await storage.upload(b"virus", scanned.name)
            return Clean()

    def swap_back(event):
        if event.operation == "copy":
            events.hooks.remove(swap_back)
            back.append(asyncio.ensure_future(storage.upload(SMALL, file.name)))

    get_info = type(file).get_info

    async def get_info_afterwards(self):
        await asyncio.gather(*back)
        return await get_info(self)

    monkeypatch.setattr(type(file), "get_info", get_info_afterwards)
    events.hooks.append(swap_back)
    reviewed = await quarantine.review_quarantined_file(file, SwapsAfterwards(), folder="released")
    assert reviewed.released is None
    assert [key for key in (await left_in(storage))[0] if key.startswith("released/")] == []
