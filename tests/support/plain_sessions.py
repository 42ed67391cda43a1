"""Plain Sessions with the interface of AsyncSession, each call in a thread, so that the same tests drive both."""

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType

from sqlalchemy.orm import Session, sessionmaker

PLAIN_DRIVERS = {"asyncpg": "psycopg", "psycopg": "psycopg", "aiosqlite": "pysqlite", "asyncmy": "pymysql"}

_AT_ONCE = {
    *("add", "add_all", "expire", "expire_all", "expunge", "expunge_all"),
    *("get_bind", "in_transaction", "is_modified"),
}
"""Methods that AsyncSession does not wait for either."""


def plain_url(url):
    """The same database through a driver that blocks."""
    scheme, _, rest = url.partition("://")
    database, _, driver = scheme.partition("+")
    return f"{database}+{PLAIN_DRIVERS[driver]}://{rest}"


class _Threaded:
    """Calls the methods of an object in threads."""

    def __init__(self, target):
        self.target = target

    def __getattr__(self, name):
        found = getattr(self.target, name)
        return partial(asyncio.to_thread, found) if callable(found) and name not in _AT_ONCE else found

    async def run_sync(self, func, *args):
        return await asyncio.to_thread(func, self.target, *args)


class PlainConnection(_Threaded):
    """A connection of a plain Session."""

    @property
    def sync_connection(self):
        return self.target

    def begin(self):
        return _Begun(self.target.begin)

    def begin_nested(self):
        return _Begun(self.target.begin_nested)


class PlainSession(_Threaded):
    """A plain Session; attributes that would load something must have been loaded before."""

    def __getattr__(self, name):
        return getattr(self.target, name) if name in {"bind", "dirty", "new", "deleted"} else super().__getattr__(name)

    @property
    def sync_session(self):
        return self.target

    async def execute(self, statement, *args, execution_options=MappingProxyType({}), **options):
        """With all rows at hand, as AsyncSession has them: SQLite commits nothing while some are not fetched."""
        execution_options = {**execution_options, "prebuffer_rows": True}
        return await asyncio.to_thread(
            self.target.execute, statement, *args, execution_options=execution_options, **options
        )

    async def connection(self, **options):
        return PlainConnection(await asyncio.to_thread(self.target.connection, **options))

    def begin(self):
        return _begun(self.target.begin)

    def begin_nested(self):
        return _Begun(self.target.begin_nested)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        await asyncio.to_thread(self.target.close)


class _Begun:
    """What `begin_nested` gives: to be awaited, or to be entered."""

    def __init__(self, begin):
        self._begin = begin
        self._entered = None

    def __await__(self):
        return self._begun().__await__()

    async def _begun(self):
        return _Threaded(await asyncio.to_thread(self._begin))

    async def __aenter__(self):
        self._entered = _begun(self._begin)
        return await self._entered.__aenter__()

    async def __aexit__(self, *error):
        return await self._entered.__aexit__(*error)


@asynccontextmanager
async def _begun(begin):
    transaction = await asyncio.to_thread(begin)
    await asyncio.to_thread(transaction.__enter__)
    try:
        yield _Threaded(transaction)
    except BaseException as error:
        if not await asyncio.to_thread(transaction.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await asyncio.to_thread(transaction.__exit__, None, None, None)


class PlainSessions:
    """Makes plain Sessions, as an async_sessionmaker makes AsyncSessions."""

    def __init__(self, maker):
        self.maker = maker
        self.kw = maker.kw

    @classmethod
    def of(cls, async_maker, bind):
        """With the options of an async_sessionmaker, on another engine, or on the plain connection that it has."""
        if isinstance(async_maker.kw.get("bind"), PlainConnection):
            bind = async_maker.kw["bind"].target
        options = {name: value for name, value in async_maker.kw.items() if name not in {"bind", "sync_session_class"}}
        return cls(sessionmaker(bind, class_=async_maker.kw.get("sync_session_class", Session), **options))

    def __call__(self, **options):
        return PlainSession(self.maker(**options))

    @asynccontextmanager
    async def begin(self):
        async with self() as session, session.begin():
            yield session
