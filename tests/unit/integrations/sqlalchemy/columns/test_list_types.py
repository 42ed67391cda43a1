"""The types of columns with several files: DDL, copies, cache keys, options."""

import copy

import pytest
from sqlalchemy import Column, MetaData, Table, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateTable

from async_storages import InvalidArgumentException, MemoryStorage, UploadOptions, Variant, Variants
from async_storages.integrations.sqlalchemy import FileListType, ImageListType
from tests.support.documents import row_class


@pytest.mark.parametrize(
    ("dialect", "ddl"),
    [(sqlite.dialect(), "pages JSON"), (postgresql.dialect(), "pages JSONB"), (mysql.dialect(), "pages JSON")],
    ids=["sqlite", "postgresql", "mysql"],
)
def test_the_column(dialect, ddl):
    table = row_class(pages=Column(FileListType("documents"))).__table__
    assert f"{ddl}, " in " ".join(str(CreateTable(table).compile(dialect=dialect)).split())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda table: table.to_metadata(MetaData())])
def test_a_copy_keeps_the_storage(copied):
    table = Table("albums", MetaData(), Column("pages", FileListType(None)))
    later = copied(table)
    table.c.pages.type.storage = storage = MemoryStorage()
    assert later.c.pages.type.coerce(["a"])[0].storage is storage
    assert later.c.pages.type.storage is storage


def test_each_column_is_cached_by_itself():
    class OwnType(FileListType):
        pass

    def key(type_):
        return select(Column("pages", type_))._generate_cache_key().key

    one, other = FileListType("documents"), FileListType("documents")
    assert key(one) == key(one)
    others = OwnType("documents"), FileListType("documents", 9), FileListType("documents", facts=["size"])
    assert len({key(each) for each in (one, other, *others)}) == 5


def test_its_repr_makes_it_again():
    type_ = ImageListType("documents", length=99)
    assert eval(repr(type_)).item_type.length == 99


def test_options_are_those_of_a_file_column():
    with pytest.raises(InvalidArgumentException, match="on_delete"):
        FileListType(on_delete="remove")
    with pytest.raises(InvalidArgumentException, match="looks like the key of an upload"):
        ImageListType(variants=Variants(**{"a" * 16 + "_x": Variant(20)}))
    options = UploadOptions(cache_control="no-store")
    assert ImageListType(upload_options=options).item_type.upload_options is options


@pytest.mark.parametrize(
    ("type_", "facts", "error"),
    [
        (FileListType, "size", r"such as \('size',\), not the string 'size'"),
        (FileListType, ["width", "height"], "facts= names size, .*, not 'width'"),
        (ImageListType, "width", r"such as \('size',\), not the string 'width'"),
        (ImageListType, ["etag"], "facts= names size, .*, not 'etag'"),
        (ImageListType, ["width"], "together, or neither"),
        (ImageListType, [7], "not 7"),
    ],
)
def test_facts_that_make_no_sense(type_, facts, error):
    with pytest.raises(InvalidArgumentException, match=error):
        type_(facts=facts)


def test_variants_are_those_of_its_images():
    recipes = Variants(thumb=Variant(20))
    type_ = ImageListType(MemoryStorage(), variants=recipes)
    assert type_.coerce(["a.png"])[0].variant("thumb").file_id.startswith("mem:variants/a.png/thumb-")
    with pytest.raises(InvalidArgumentException, match="belongs to its original"):
        type_.coerce([type_.coerce(["a.png"])[0].variant("thumb")])
