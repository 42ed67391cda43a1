"""The column types by themselves: DDL, literals, copies, pickles, subclasses; nothing here needs a database."""

import copy
import pickle
import subprocess
import sys
import threading

import pytest
from sqlalchemy import ARRAY, Column, MetaData, String, Table, column, select, type_coerce
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql, sqlite
from sqlalchemy.dialects.mysql import mariadb
from sqlalchemy.schema import CreateTable

from async_storages import InvalidArgumentException, LocalStorage, MemoryStorage, PendingFile, StoredFile, registry
from async_storages.integrations.sqlalchemy import FileType, ImageType
from tests.support.documents import Base, Document, FixedType, TenantType

FILE = Document.__table__.c.file

DIALECTS = {
    "sqlite": (sqlite.dialect(), "VARCHAR(1024)"),
    "postgresql": (postgresql.dialect(), "VARCHAR(1024)"),
    "mysql": (mysql.dialect(), "VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
    "mariadb": (mariadb.MariaDBDialect(), "VARCHAR(1024) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
    "mssql": (mssql.dialect(), "NVARCHAR(1024)"),
    "oracle": (oracle.dialect(), "VARCHAR2(1024 CHAR)"),
}
each_dialect = pytest.mark.parametrize(("dialect", "ddl"), DIALECTS.values(), ids=DIALECTS.keys())


@each_dialect
@pytest.mark.parametrize("type_", [FileType(), ImageType("photos")], ids=["FileType", "ImageType"])
def test_the_column_is_a_string_that_tells_case_apart(dialect, ddl, type_):
    table = Table("documents", MetaData(), Column("path", type_))
    assert f"path {ddl}" in " ".join(str(CreateTable(table).compile(dialect=dialect)).split())


def test_the_length_is_the_users():
    assert FileType("documents", 255).compile(dialect=sqlite.dialect()) == "VARCHAR(255)"
    assert FileType("documents", length=None).compile(dialect=sqlite.dialect()) == "VARCHAR"


def test_a_variant_for_one_database():
    type_ = FileType("documents").with_variant(FileType("documents", 255), "mysql")
    assert type_.compile(dialect=mysql.dialect()).startswith("VARCHAR(255) ")
    assert type_.compile(dialect=sqlite.dialect()) == "VARCHAR(1024)"


def test_no_repr_shows_the_storage(tmp_path):
    storage = LocalStorage(tmp_path, base_url="https://user:pass@example.com", secret_key="s3cret")
    table = Table("documents", MetaData(), Column("file", FileType(storage)), Column("image", ImageType(storage, 99)))
    file = table.c.file.type.coerce("a.txt")
    shown = repr(table) + repr(file) + repr(table.c.file.type.storage)
    assert "FileType(length=1024)" in shown
    assert "ImageType(length=99)" in shown
    assert "s3cret" not in shown
    assert "pass" not in shown


class TestCopies:
    @pytest.fixture
    def column(self):
        table = Table("documents", MetaData(), Column("file", FileType(None)), Column("files", ARRAY(FileType(None))))
        return table.c.file

    @pytest.mark.parametrize(
        "copied",
        [
            lambda column: column.type.copy(),
            lambda column: copy.deepcopy(column.type),
            lambda column: column.table.to_metadata(MetaData()).c.file.type,
            lambda column: copy.deepcopy(column.table.metadata).tables["documents"].c.file.type,
            lambda column: column.type.dialect_impl(sqlite.dialect()),
            lambda column: column.table.alias().c.file.type,
            lambda column: column.type.with_variant(FileType(None, 9), "mysql"),
        ],
        ids=["copy()", "deepcopy", "to_metadata", "deepcopy of the MetaData", "dialect's", "alias", "with_variant"],
    )
    def test_a_storage_that_is_set_later_reaches_every_copy(self, column, copied):
        other = copied(column)
        storage = MemoryStorage()
        column.type.storage = storage
        assert other.storage is storage
        assert other.coerce("a.txt").storage is storage

    def test_two_columns_have_two_storages(self, column):
        column.type.storage = MemoryStorage()
        assert column.table.c.files.type.item_type.storage is None

    def test_a_pickled_type_finds_its_storage_by_name(self, storage):
        loaded = pickle.loads(pickle.dumps(FileType("documents", 99)))
        assert (loaded.storage, loaded.length) == ("documents", 99)
        assert loaded.coerce("a.txt").storage is storage

    def test_pickled_metadata_has_the_same_columns(self, storage):
        table = pickle.loads(pickle.dumps(Base.metadata)).tables["documents"]
        assert [str(column.type) for column in table.c] == [str(column.type) for column in Document.__table__.c]
        assert table.c.photo.type.coerce("a.png").storage is storage


class Shouting(FileType):
    def process_result_value(self, value, dialect):
        return super().process_result_value(value.upper(), dialect)


class TestSubclasses:
    def test_arguments_pass(self, storage):
        assert FixedType(length=9).coerce("a.txt").storage is storage
        assert FixedType().length == 1024

    @pytest.mark.parametrize("make", [FixedType, lambda: TenantType({7: None}, 7)], ids=["fixed", "by tenant"])
    def test_statements_are_cached_by_column(self, make):
        """A warning, which is an error here, would say that they are not cached at all."""

        def key(type_):
            return select(type_coerce(column("file"), type_))._generate_cache_key()

        type_ = make()
        assert key(type_) == key(type_) != key(make())

    def test_caching_can_be_declined_and_is_inherited_so(self):
        class Uncached(FileType):
            cache_ok = False

        class AlsoUncached(Uncached):
            pass

        assert select(type_coerce(column("file"), AlsoUncached()))._generate_cache_key() is None

    def test_process_result_value_can_be_extended(self):
        load = Shouting("documents").result_processor(sqlite.dialect(), None)
        assert load("mem:a") == StoredFile("MEM:A")

    @pytest.mark.parametrize("type_", [FileType("documents"), ImageType("documents")], ids=["FileType", "ImageType"])
    def test_process_result_value_says_what_is_loaded(self, type_):
        load = type_.result_processor(sqlite.dialect(), None)
        for value in (None, "mem:a", "bare", "nosuch:a", ""):
            loaded = load(value)
            assert loaded == type_.process_result_value(value, sqlite.dialect())
            assert loaded is None or (type(loaded), str(loaded)) == (type_.python_type, value)

    def test_a_processor_of_the_driver_is_kept(self, monkeypatch):
        monkeypatch.setattr(String, "result_processor", lambda self, dialect, coltype: str.lower)
        assert str(FileType().result_processor(sqlite.dialect(), None)("MEM:A")) == "mem:a"


@pytest.mark.parametrize(
    "options",
    [{"on_delete": "cascade"}, {"folder": "a", "upload_to": str.format}, {"validators": [len]}],
    ids=["on_delete", "folder and upload_to", "validators"],
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(InvalidArgumentException):
        FileType(**options)


def test_a_file_cannot_be_bound_while_pending(storage):
    with pytest.raises(InvalidArgumentException, match="enable_file_tracking") as refused:
        FileType("documents").process_bind_param(PendingFile(b"s3cret", filename="a.txt"), sqlite.dialect())
    assert (refused.value.operation, refused.value.file_id) == ("bind", "a.txt")
    assert "s3cret" not in str(refused.value)


def test_without_sqlalchemy_the_import_says_what_to_install():
    program = "import sys; sys.modules['sqlalchemy'] = None; import async_storages.integrations.sqlalchemy"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "ImportError: this needs SQLAlchemy: run" in ran.stderr
    assert 'pip install "sqlalchemy-async-storages[sqlalchemy]"' in ran.stderr


# ---- metadata with live storages is pickled with their names, never with what they hold


def pickled(storage):
    table = Table("documents", MetaData(), Column("file", FileType(storage)), Column("image", FileType(storage)))
    return pickle.dumps(table.metadata)


def test_metadata_with_a_live_storage_is_pickled_without_it(tmp_path):
    data = pickled(LocalStorage(tmp_path, base_url="https://example.com", secret_key="s3cret"))
    assert b"s3cret" not in data


def test_a_storage_that_cannot_be_pickled_does_not_matter():
    storage = MemoryStorage()
    storage.lock = threading.Lock()
    loaded = pickle.loads(pickled(storage))
    assert "file" in loaded.tables["documents"].c


def test_a_named_storage_is_found_again_by_its_name(tmp_path):
    storage = LocalStorage(tmp_path, name="pickled")
    try:
        loaded = pickle.loads(pickled(storage)).tables["documents"].c.file.type
        assert loaded.coerce("a.txt").storage is storage
    finally:
        registry.unregister("pickled")


def test_an_unnamed_one_is_found_by_its_address_and_never_taken_for_another_folder(tmp_path):
    storage, other = LocalStorage(tmp_path / "here"), LocalStorage(tmp_path / "there")
    loaded = pickle.loads(pickled(storage)).tables["documents"].c.file.type
    with registry.override("default", other):
        file = loaded.process_result_value("file:a.txt", None)
        with pytest.raises(registry.RouteNotSupportedException):
            _ = file.storage
        with registry.override("here", storage):
            assert file.storage is storage


def test_an_unnamed_one_can_be_set_again(tmp_path):
    storage = LocalStorage(tmp_path)
    loaded = pickle.loads(pickled(storage)).tables["documents"].c.file.type
    loaded.storage = storage
    assert loaded.coerce("a.txt").storage is storage
