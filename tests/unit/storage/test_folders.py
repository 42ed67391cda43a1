"""A storage that is kept to a folder serves nothing else."""

import pytest

from async_storages import InvalidArgumentException, MemoryStorage, RouteNotSupportedException


async def test_bare_keys_are_relative_to_the_folder():
    storage = MemoryStorage()
    mine = storage.within("tenants", "acme")
    assert await mine.upload(b"hello", "a.txt") == "a.txt"
    assert await storage.read("tenants/acme/a.txt") == b"hello"
    assert [info.file_id async for info in mine.list("a")] == ["mem:tenants/acme/a.txt"]
    assert mine.within("deeper").prefix == "tenants/acme/deeper/"
    assert (storage.prefix, mine.prefix, mine.name) == ("", "tenants/acme/", None)


def test_ids_elsewhere_are_refused():
    mine = MemoryStorage().within("acme")
    for file_id in ("mem:other/a.txt", "mem:acme2/a.txt"):
        with pytest.raises(RouteNotSupportedException, match="keeps to 'acme/'"):
            mine.identify(file_id)


@pytest.mark.parametrize("folders", [(), ("",), ("a/b",), ("..",), ("a", "../b")], ids=str)
def test_a_folder_that_could_lead_elsewhere_is_refused(folders):
    with pytest.raises(InvalidArgumentException, match="within"):
        MemoryStorage().within(*folders)
