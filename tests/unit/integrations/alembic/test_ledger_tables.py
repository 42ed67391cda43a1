"""Operations on the ledger's tables, as autogenerate collects and writes them."""

import pytest
from alembic.operations.ops import CreateTableOp, DropTableOp
from sqlalchemy import Column, Integer, MetaData, Table

from async_storages.integrations.alembic.ledger_tables import CreateFileLedgerOp, DropFileLedgerOp, collect_ledgers
from async_storages.integrations.sqlalchemy import add_ledger_tables


def ledger_tables(name="stored_files", schema=None):
    add_ledger_tables(metadata := MetaData(schema=schema), name)
    return list(metadata.tables.values())


OTHER = Table("documents", MetaData(), Column("id", Integer, primary_key=True))


@pytest.mark.parametrize(
    ("table_op", "ledger_op"),
    [(CreateTableOp, CreateFileLedgerOp), (DropTableOp, DropFileLedgerOp)],
    ids=["create", "drop"],
)
@pytest.mark.parametrize("schema", [None, "files"])
def test_the_tables_of_a_ledger_become_one_operation(table_op, ledger_op, schema):
    operations = [table_op.from_table(table) for table in (OTHER, *ledger_tables(schema=schema))]
    collect_ledgers(operations)
    other, ledger = operations
    assert other.table_name == "documents"
    assert type(ledger) is ledger_op
    assert (ledger.name, ledger.schema) == ("stored_files", schema)
    assert type(ledger.reverse().reverse()) is ledger_op


def test_a_table_that_an_older_ledger_lacks_is_created_unless_it_is_there():
    [missing] = [table for table in ledger_tables() if table.name.endswith("_columns")]
    operations = [CreateTableOp.from_table(table) for table in (OTHER, missing)]
    collect_ledgers(operations)
    assert [operation.if_not_exists for operation in operations] == [None, True]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (CreateFileLedgerOp(), "op.create_file_ledger()"),
        (DropFileLedgerOp("other"), "op.drop_file_ledger('other')"),
        (CreateFileLedgerOp("other", "files"), "op.create_file_ledger('other', schema='files')"),
    ],
    ids=["default", "name", "schema"],
)
def test_the_call_in_a_migration(operation, expected):
    assert operation.render("op.") == expected
