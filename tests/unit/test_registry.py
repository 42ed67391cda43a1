import copy

import pytest

from async_storages import LocalStorage, MemoryStorage, registry
from async_storages.errors import InvalidArgumentException, RouteNotSupportedException
from async_storages.registry import StorageAddress, StorageRef


@pytest.fixture(autouse=True)
def _empty():
    with registry.isolated():
        yield


def test_a_registered_storage_is_found_by_its_name():
    storage, other = MemoryStorage(), MemoryStorage(name="other")
    registry.register("documents", storage)
    registry.register("documents", storage)  # twice is once
    assert registry.get("documents") is storage
    assert registry.get("other") is other
    assert (other.name, storage.name) == ("other", None)
    assert registry.names() == ("documents", "other")


def test_a_name_that_is_taken_stays_taken():
    storage = MemoryStorage(name="documents")
    for take in (lambda: registry.register("documents", MemoryStorage()), lambda: MemoryStorage(name="documents")):
        with pytest.raises(InvalidArgumentException, match=r"'documents' is taken; use registry\.override"):
            take()
    assert registry.get("documents") is storage


def test_a_forgotten_name_is_free():
    MemoryStorage(name="documents")
    registry.unregister("documents")
    registry.unregister("documents")
    assert registry.names() == ()
    MemoryStorage(name="documents")


@pytest.mark.parametrize("name", ["", None, 7, b"documents"])
def test_a_name_is_a_text(name):
    with pytest.raises(InvalidArgumentException, match="non-empty str"):
        registry.register(name, MemoryStorage())


@pytest.mark.parametrize(("known", "shown"), [((), "registered: none"), (("b", "a"), "registered: 'a', 'b'")])
def test_an_unknown_name_tells_which_there_are(known, shown):
    for name in known:
        MemoryStorage(name=name)
    with pytest.raises(InvalidArgumentException, match=f"no storage is registered as 'c'.*{shown}"):
        registry.get("c")


def test_what_is_registered_in_isolation_is_forgotten():
    storage = MemoryStorage(name="documents")
    with registry.isolated():
        assert registry.names() == ()
        MemoryStorage(name="documents")
    assert registry.get("documents") is storage


# ---- override


def test_overrides_nest_and_end():
    first, second, third = MemoryStorage(), MemoryStorage(), MemoryStorage()
    registry.register("default", first)
    with registry.override("default", second) as given:
        assert given is registry.get("default") is second
        with registry.override("default", third), registry.override("other", first):
            assert registry.get("default") is third
        assert registry.get("default") is second
        assert registry.names() == ("default",)
    assert registry.get("default") is first


@pytest.mark.parametrize("registered", [True, False])
def test_an_override_ends_with_an_exception_too(registered):
    if registered:
        MemoryStorage(name="default")
    before = dict(registry._storages)
    with pytest.raises(LookupError), registry.override("default", MemoryStorage()):
        raise LookupError
    assert registry._storages == before


def test_an_override_outlives_what_happens_inside():
    storage = MemoryStorage(name="default")
    with registry.override("default", MemoryStorage()):
        registry.unregister("default")
    assert registry.get("default") is storage


# ---- find


@pytest.fixture
def folders(tmp_path):
    return LocalStorage(tmp_path / "a"), LocalStorage(tmp_path / "b")


def test_the_default_storage_comes_first_even_where_others_fit():
    registry.register("a", MemoryStorage())
    registry.register("default", default := MemoryStorage())
    assert registry.find("mem:x") is default


def test_the_only_storage_that_serves_is_found_under_all_its_names(folders):
    registry.register("default", folders[0])
    registry.register("a", memory := MemoryStorage())
    registry.register("b", memory)
    assert registry.find("mem:x") is memory


def test_several_that_serve_are_too_many(folders):
    for name, storage in zip("ab", folders, strict=True):
        registry.register(name, storage)
    with pytest.raises(RouteNotSupportedException, match=r"'file:x': several registered storages serve.*'a', 'b'"):
        registry.find("file:x")


@pytest.mark.parametrize("file_id", ["s3:b/x", "nonsense:x", "", "mem:../x", "mem:\0"])
def test_an_id_that_nobody_serves_is_named(file_id):
    registry.register("default", MemoryStorage())
    with pytest.raises(RouteNotSupportedException, match=r"no registered storage serves.*'default'") as raised:
        registry.find(file_id)
    assert raised.value.file_id == file_id


@pytest.mark.parametrize("name", ["default", "a"])
@pytest.mark.parametrize("file_id", ["file:x", "x"], ids=["id", "bare"])
def test_an_address_tells_storages_apart(folders, name, file_id):
    registry.register(name, folders[0])
    registry.register("b", folders[1])
    registry.register("mem", MemoryStorage())
    for storage in folders:
        assert registry.find(file_id, at=StorageAddress.of(storage)) is storage


def test_no_other_storage_stands_in_for_the_one_at_an_address(folders):
    registry.register("default", folders[0])
    registry.register("mem", MemoryStorage())
    for elsewhere in (
        StorageAddress.of(folders[1]),
        StorageAddress("file", None, None),
        StorageAddress("s3", "b", None),
    ):
        with pytest.raises(RouteNotSupportedException, match="no registered storage serves"):
            registry.find("x", at=elsewhere)


def test_a_storage_without_location_is_not_the_one_with():
    """The same bucket on AWS, and on a server of one's own."""

    class Bucket(MemoryStorage):
        bucket = "b"

    aws, own = Bucket(), Bucket()
    aws.location, own.location = None, "http://localhost:9000/b"
    registry.register("default", own)
    with pytest.raises(RouteNotSupportedException):
        registry.find("x", at=StorageAddress.of(aws))
    registry.register("aws", aws)
    assert registry.find("x", at=StorageAddress.of(aws)) is aws


# ---- StorageRef


def test_a_ref_resolves_what_it_holds_at_that_moment():
    ref = StorageRef(None)
    assert not ref.is_resolvable
    with pytest.raises(InvalidArgumentException, match="'default'"):
        ref.resolve()
    default, named, own = MemoryStorage(name="default"), MemoryStorage(name="named"), MemoryStorage()
    for value, storage in ((None, default), ("default", default), ("named", named), (own, own)):
        ref.value = value
        assert ref.is_resolvable
        assert ref.resolve() is storage
    ref.value = "unknown"
    assert not ref.is_resolvable


def test_copies_of_what_holds_a_ref_share_it():
    ref = StorageRef("documents")
    assert copy.deepcopy({"storage": ref})["storage"] is ref
    assert repr(ref) == "StorageRef('documents')"


def test_an_override_reaches_files_and_columns():
    ref = StorageRef("documents")
    with registry.override("documents", MemoryStorage()) as storage:
        assert ref.resolve() is storage
    assert not ref.is_resolvable
