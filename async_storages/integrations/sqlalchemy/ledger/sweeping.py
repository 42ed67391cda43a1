"""What a sweep does in the database: finding files that no row names although nobody said so."""

from sqlalchemy import Connection, Table, func, select

from async_storages.integrations.sqlalchemy.ledger.journal import BATCH, Intent
from async_storages.integrations.sqlalchemy.ledger.references import References
from async_storages.integrations.sqlalchemy.ledger.tables import State, now

__all__ = ["count_live", "unnamed"]


def count_live(connection: Connection, table: Table) -> int:
    """How many files there are to look at."""
    found = select(func.count()).select_from(table).where(table.c.state == State.LIVE)
    return connection.scalar(found) or 0


def unnamed(
    connection: Connection, table: Table, references: References, older_than: float, after: str
) -> tuple[list[Intent], str | None]:
    """Files that no row names, among the next ones in the order of their ids; and where to go on, if anywhere."""
    found = (
        select(table.c.id, table.c.storage)
        .where(table.c.id > after, table.c.state == State.LIVE, table.c.pinned.is_(False))
        .where(table.c.since <= now() - older_than)
        .order_by(table.c.id)
        .limit(BATCH)
    )
    files = [Intent(*row) for row in connection.execute(found)]
    named = references.named(connection, [each.id for each in files])
    return [each for each in files if each.id not in named], files[-1].id if len(files) == BATCH else None
