"""What the killed leave in a database: connections that the server has yet to end, and prepared transactions."""

from sqlalchemy import text

_OTHERS = {
    "postgresql": text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ),
    "mysql": text(
        "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    ),
}
_PREPARED = text("SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid")
_PREPARED_IN_MYSQL = text("XA RECOVER")


async def wait_for_the_dead(engine):
    """Servers end what the killed have begun when they see that they are gone."""
    if (others := _OTHERS.get(engine.dialect.name)) is None:
        return
    async with engine.connect() as connection:
        while await connection.scalar(others):
            await connection.rollback()


async def end_prepared(engine, random):
    """What is prepared stays so, until somebody decides: as a transaction manager does."""
    if engine.dialect.name == "sqlite":
        return
    is_mysql = engine.dialect.name == "mysql"
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for name in await (_names_in_mysql if is_mysql else _names)(connection):
            what = "ROLLBACK" if random is not None and random.random() < 0.5 else "COMMIT"
            await connection.exec_driver_sql(f"XA {what} '{name}'" if is_mysql else f"{what} PREPARED '{name}'")


async def _names(connection):
    return (await connection.scalars(_PREPARED)).all()


async def _names_in_mysql(connection):
    """Those of the whole server: one place at a time has some."""
    return sorted(row.data for row in await connection.execute(_PREPARED_IN_MYSQL))
