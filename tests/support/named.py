"""Files whose content is their name, and a look at those that committed rows name."""

from contextlib import asynccontextmanager

from sqlalchemy import select

from async_storages import InvalidArgumentException, StoredFile
from async_storages.integrations.sqlalchemy.columns.fields import fields_of_table


async def saved(storage, name):
    """A file that no session knows of yet."""
    return await storage.save(name.encode(), name)


async def named(engine, metadata, **options):
    """The names of the files that committed rows name, once for each; all are there and hold what was put in.

    A file that is missing, or holds something else, fails the test. `options` are the connection's: where to look.
    """
    found = []
    async with engine.connect() as connection:
        await connection.execution_options(**options)
        for table in metadata.sorted_tables:
            for field in fields_of_table(table):
                found += await connection.scalars(select(field.column))
    names = []
    for file in _flat(found):
        assert await file.read() == file.filename.encode()
        names.append(file.filename)
    return sorted(names)


def _flat(values):
    for value in values:
        if isinstance(value, StoredFile):
            yield value
        elif value is not None:
            yield from _flat(value)


class Attempt:
    """Something that a ledger may refuse, and tracking may not."""

    is_refused = False


@asynccontextmanager
async def kept_or_refused(level):
    """A ledger may refuse what its worker would not see; tracking without one asks the database."""
    attempt = Attempt()
    try:
        yield attempt
    except InvalidArgumentException:
        if level == 1:
            raise
        attempt.is_refused = True
