"""Uploads in parts to a folder; how browsers use them is in tests/integration/fastapi/test_direct_parts.py."""

import pytest

from async_storages import FileNotFoundException, LocalStorage, OperationNotSupportedException


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path, base_url="/files", secret_key="a secret")


async def begun(storage, *names):
    return [await storage.part_uploads.begin(name, content_type="video/mp4") for name in names]


@pytest.mark.parametrize(
    ("one", "other"), [("films/a.mp4", "films/b.mp4"), ("a.mp4", "b.mp4"), ("a.mp4", "films/a.mp4")]
)
async def test_an_upload_goes_to_the_file_it_was_begun_for(storage, one, other):
    [upload_id] = await begun(storage, one)
    assert await storage.part_uploads.parts(one, upload_id) == []
    for call in (storage.part_uploads.parts(other, upload_id), storage.part_uploads.presign_part(other, upload_id, 1)):
        with pytest.raises(FileNotFoundException):
            await call
    await storage.part_uploads.abort(other, upload_id)
    assert await storage.part_uploads.parts(one, upload_id) == []


async def test_uploads_under_way_are_listed_by_the_key_they_go_to(storage):
    ids = await begun(storage, "a.mp4", "films/b.mp4", "films/c.mp4", "other/d.mp4")
    await storage.upload(b"x", "films/0")
    found = await storage.part_uploads.unfinished("films/")
    assert sorted((file.key, upload_id) for file, upload_id in found) == [
        ("films/b.mp4", ids[1]),
        ("films/c.mp4", ids[2]),
    ]
    assert len(await storage.part_uploads.unfinished("")) == 4
    within = await storage.within("films").part_uploads.unfinished("")
    assert set(found) == set(within)


async def test_what_could_not_be_signed_does_not_begin(tmp_path):
    with pytest.raises(OperationNotSupportedException):
        await begun(LocalStorage(tmp_path), "a.mp4")
    assert list(tmp_path.rglob("*")) == []


class Late(LocalStorage):
    """Lists what is gone by then."""

    async def list(self, prefix=""):
        listed = [info async for info in super().list(prefix)]
        await self.delete(listed[0].file_id)
        for info in listed:
            yield info


async def test_an_upload_that_ends_while_they_are_listed_hides_no_other(storage):
    await begun(storage, "films/b.mp4", "films/c.mp4")
    late = Late(storage.root)
    assert len(await late.part_uploads.unfinished("films/")) == 1
