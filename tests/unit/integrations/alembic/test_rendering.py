"""Rendering of file columns in migrations."""

import pytest
from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.migration import MigrationContext
from sqlalchemy import ARRAY, JSON, LargeBinary, String, Text, TypeDecorator, Unicode
from sqlalchemy.dialects import mysql, postgresql

from async_storages import InvalidArgumentException, MemoryStorage
from async_storages.integrations.alembic.rendering import render_item
from async_storages.integrations.sqlalchemy import FileListType, FileType, ImageType
from tests.support.documents import FixedType, TenantType

FILES = "async_storages.integrations.sqlalchemy"
TESTS = "tests.support.documents"
JSONB = (
    "sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True, astext_type={}Text()), 'postgresql')"
)
MYSQL = "mysql.VARCHAR(charset='utf8mb4', collation='utf8mb4_bin', length=768)"
TEXT_ON_MYSQL = FileType().with_variant(mysql.TEXT(), "mysql")


class TextType(FileType):
    impl = Text


def written(type_, dialect="sqlite", **options):
    """The rendering of a type, and the imports that it needs."""
    prefixes = {"sqlalchemy_module_prefix": "sa.", "alembic_module_prefix": "op.", "user_module_prefix": None}
    opts = prefixes | {"render_item": render_item} | options
    context = AutogenContext(MigrationContext.configure(dialect_name=dialect), opts=opts, autogenerate=False)
    return render._repr_type(type_, context), context.imports


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        (FileType(), "sa.Unicode(length=1024)"),
        (ImageType("photos", 200, width="width"), "sa.Unicode(length=200)"),
        (FileType(MemoryStorage(), length=None, folder="x"), "sa.Unicode()"),
        (FixedType(), "sa.Unicode(length=1024)"),
        (TenantType({"a": None}, "a"), "sa.Unicode(length=1024)"),
        (TextType(length=99), "sa.Text(length=99)"),
        (ARRAY(FileType(length=99)), "sa.ARRAY(sa.Unicode(length=99))"),
        (
            FileType().with_variant(String(9), "oracle"),
            "sa.Unicode(length=1024).with_variant(sa.String(length=9), 'oracle')",
        ),
        (Text().with_variant(FileType(length=9), "oracle"), "sa.Text().with_variant(sa.Unicode(length=9), 'oracle')"),
    ],
    ids=repr,
)
def test_plain_types_need_no_import(type_, expected):
    assert written(type_) == (expected, set())


@pytest.mark.parametrize(
    ("type_", "expected", "module"),
    [
        (FileType("documents", 99), f"{FILES}.FileType(length=99)", FILES),
        (ImageType(length=None), f"{FILES}.ImageType(length=None)", FILES),
        (FileListType(length=9), f"{FILES}.FileListType()", FILES),
        (FixedType(), f"{TESTS}.FixedType(length=1024)", TESTS),
        (ARRAY(FileType()), f"sa.ARRAY({FILES}.FileType(length=1024))", FILES),
        (
            FileType().with_variant(Text(), "oracle"),
            f"{FILES}.FileType(length=1024).with_variant(sa.Text(), 'oracle')",
            FILES,
        ),
    ],
    ids=repr,
)
def test_classes_come_with_their_import(type_, expected, module):
    assert written(type_, async_storages_render="class") == (expected, {f"import {module}"})


@pytest.mark.parametrize(
    ("type_", "dialect", "expected", "imported"),
    [
        (FileListType(), "postgresql", JSONB.format("sa."), {"postgresql"}),
        (postgresql.ARRAY(FileType(length=9)), "postgresql", "postgresql.ARRAY(sa.Unicode(length=9))", {"postgresql"}),
        (FileType(length=768), "mysql", f"sa.Unicode(length=768).with_variant({MYSQL}, 'mysql')", {"mysql"}),
        (FileType(length=768), "mariadb", f"sa.Unicode(length=768).with_variant({MYSQL}, 'mariadb')", {"mysql"}),
        (TEXT_ON_MYSQL, "mysql", "sa.Unicode(length=1024).with_variant(mysql.TEXT(), 'mysql')", {"mysql"}),
    ],
)  # fmt: skip
def test_what_a_database_needs_is_a_variant(type_, dialect, expected, imported):
    assert written(type_, dialect) == (expected, {f"from sqlalchemy.dialects import {name}" for name in imported})


def test_what_alembic_forgets_to_import_is_imported():
    text, imports = written(FileListType(), "sqlite")

    assert text == JSONB.format("")
    assert imports == {"from sqlalchemy.dialects import postgresql", "from sqlalchemy import Text"}


class Other(TypeDecorator):
    impl = LargeBinary


@pytest.mark.parametrize(
    ("kind", "item"),
    [("type", Unicode(1024)), ("type", JSON()), ("type", Other()), ("type", None), ("column", FileType())],
    ids=repr,
)
def test_the_rest_is_left_to_alembic(kind, item):
    assert render_item(kind, item, None) is False


def test_unknown_style_is_refused():
    with pytest.raises(InvalidArgumentException, match="async_storages_render is 'plain' or 'class', not 'klass'"):
        written(FileType(), async_storages_render="klass")
