"""People who work in a world, each with their own session, and a function for each thing that they do.

Nothing here judges. A function may be refused: `is_refusal` tells what the documentation allows.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import delete, event, insert, inspect, select, text, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError
from sqlalchemy.orm.exc import FlushError, ObjectDeletedError, StaleDataError

from async_storages import FileGoneException, InvalidArgumentException, StorageUnavailableException
from async_storages.files import new_file_state_of
from async_storages.integrations.sqlalchemy.columns.fields import fields_of, stored_files_in
from tests.support.tracked import Album, Book, Loan, Shelf

_REFUSALS = (
    *(FileGoneException, InvalidArgumentException, StorageUnavailableException),
    *(IntegrityError, StaleDataError, ObjectDeletedError, FlushError),
)
_LOCKED = {"55P03", "40P01", "40001", 1205, 1213}
"""A lock was not to be had, a deadlock, a serialization failure: PostgreSQL's states, MariaDB's numbers."""

_NOT_THERE = (
    "Could not refresh instance",
    "is not persistent within this Session",
    "is not present in this Session",
    "cannot be refreshed",
)
"""What SQLAlchemy says of objects whose rows are gone."""


class Row(NamedTuple):
    """A row; what it prints can be read again: see `ROW_CLASSES`."""

    class_: type[Any]
    id: int

    def __repr__(self):
        return f"{self.class_.__name__}[{self.id}]"

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return Place(self.class_, name, self.id)


class Rows:
    """The rows of a class: ``rows[1].file`` is a Place."""

    def __init__(self, class_):
        self._class = class_

    def __getitem__(self, id_):
        return Row(self._class, id_)


class Place(NamedTuple):
    """A column of a row."""

    class_: type[Any]
    attribute: str
    id: int

    @property
    def name(self):
        return f"{self.class_.__tablename__}.{self.attribute}", self.id

    @property
    def column(self):
        return getattr(self.class_, self.attribute)

    def __repr__(self):
        return f"{self.class_.__name__}[{self.id}].{self.attribute}"


PLACES = [
    *(Place(Book, attribute, id_) for attribute in ("file", "shared", "deferred", "kept") for id_ in (1, 2, 3)),
    *(Place(Loan, attribute, id_) for attribute in ("file", "shared") for id_ in (1, 2)),
]
LISTS = [Place(Album, attribute, id_) for attribute in ("pages", "shared") for id_ in (1, 2)]
ROW_CLASSES = {class_.__name__: Rows(class_) for class_ in (Book, Loan, Album)}


@dataclass(eq=False)
class Person:
    """A session and what is remembered of it.

    Attributes:
        session: An AsyncSession.
        savepoints: Those that are open, the outermost first.
        objects: Rows that are kept in memory, as an application's caches do.
        orphans: Rows that the next flush deletes, as nothing owns them any more.
        written: For the transaction and each savepoint, the names of new files by the place they were put into.
        unseen: Ids of files that statements which no session understands have written in this transaction.
        dropped: Ids of those that such statements have dropped.
        flushed: Ids of results of `save()` that a flush has seen, ever.
        kept: Those of columns that keep their files.
    """

    session: Any
    savepoints: list[Any]
    objects: list[Any]
    orphans: list[Any]
    written: list[dict[Any, str]]
    unseen: set[str]
    dropped: set[str]
    flushed: set[str]
    kept: set[str]

    @classmethod
    def with_session(cls, session):
        person = cls(session, [], [], [], [{}], set(), set(), set(), set())
        event.listen(session.sync_session, "after_flush", person._flushed)
        return person

    def _flushed(self, session, context):
        for each in (*session.new, *session.dirty):
            for field in fields_of(inspect(each).mapper):
                files = stored_files_in(each.__dict__.get(field.key))
                self.flushed.update(file.file_id for file in files if new_file_state_of(file) is not None)
                if not field.can_delete_files:
                    self.kept.update(file.file_id for file in files)

    def forget(self):
        """The transaction has ended."""
        self.savepoints.clear()
        self.orphans.clear()
        self.written[:] = [{}]
        self.unseen.clear()
        self.dropped.clear()

    def keep(self, *rows):
        """So that they are in the identity map next time, however old."""
        self.objects[:] = [*self.objects, *rows][-12:]

    async def run(self, work, *args, **options):
        return await self.session.run_sync(lambda session: work(self, session, *args, **options))

    async def start_again(self):
        await self.session.rollback()
        self.forget()

    async def begin_nested(self):
        self.savepoints.append(await self.session.begin_nested())
        self.written.append({})

    async def release(self):
        if self.savepoints:
            await self.savepoints.pop().commit()
            inner = self.written.pop()
            self.written[-1].update(inner)

    async def roll_back_savepoint(self):
        if self.savepoints:
            await self.savepoints.pop().rollback()
            self.written.pop()

    async def commit(self):
        await self.session.commit()

    async def flush(self):
        await self.session.flush()


def is_refusal(error):
    cause = error.orig if isinstance(error, DBAPIError) else error  # SQLAlchemy does not wrap what fetching rows raises
    if _LOCKED.intersection([getattr(cause, "sqlstate", None), *cause.args[:1]]) or "is locked" in str(cause):
        return True
    if type(error) is InvalidRequestError:
        return any(text in str(error) for text in _NOT_THERE)
    return isinstance(error, _REFUSALS)


# ---- objects


def put(person, session, place, value):
    row = _row(person, session, place)
    setattr(row, place.attribute, value)
    return row not in session.deleted and row not in person.orphans


def remove(person, session, class_, id_):
    row = session.get(class_, id_)
    if row is not None:
        person.keep(row)
        session.delete(row)


def move(person, session, source, target, *, in_two_flushes):
    value = getattr(_row(person, session, source), source.attribute)
    setattr(_row(person, session, source), source.attribute, None)
    if in_two_flushes:
        session.flush()
    setattr(_row(person, session, target), target.attribute, value)


def swap(person, session, source, target, *, in_two_flushes):
    one, other = _row(person, session, source), _row(person, session, target)
    first, second = getattr(one, source.attribute), getattr(other, target.attribute)
    setattr(one, source.attribute, second)
    if in_two_flushes:
        session.flush()
    setattr(other, target.attribute, first)


def copy(person, session, source, target):
    setattr(_row(person, session, target), target.attribute, getattr(_row(person, session, source), source.attribute))


def merge(person, session, place, value):
    person.keep(session.merge(place.class_(**{"id": place.id, place.attribute: value})))


def shelve(person, session, shelf_id, row_class, id_):
    shelf = session.get(Shelf, shelf_id)
    if shelf is None:
        session.add(shelf := Shelf(id=shelf_id))
    rows = shelf.books if row_class is Book else shelf.loans
    row = session.get(row_class, id_)
    if row is not None and row not in rows:
        rows.append(row)
        person.keep(row)


def take_off(person, session, shelf_id):
    shelf = session.get(Shelf, shelf_id)
    if shelf is not None and shelf.books:
        person.orphans.append(shelf.books.pop())
        person.keep(person.orphans[-1])


def change_state(person, session, place, what):
    if what == "add again":
        session.add_all([row for row in person.objects if inspect(row).transient])
        return
    row = session.get(place.class_, place.id)
    if row is None:
        return
    person.keep(row)
    if what == "expunge":
        session.expunge(row)
    elif what == "refresh":
        session.refresh(row)
    else:
        session.expire(row, [place.attribute] if what == "expire attribute" else None)


def violate(person, session, value):
    session.add_all([Book(title="same", file=value), Book(title="same")])
    session.flush()


def _row(person, session, place):
    row = session.get(place.class_, place.id)
    if row is None:
        session.add(row := place.class_(id=place.id))
    person.keep(row)
    return row


# ---- lists


def _append(files, value):
    files.append(value)


def _put_first(files, value):
    files.insert(0, value)


def _replace_first(files, value):
    files[:1] = [value]


def _pop(files, value):
    if files:
        files.pop()


def _remove_first(files, value):
    if files:
        files.remove(files[0])


def _repeat(files, value):
    files.extend(files[:1])


def _reverse(files, value):
    files.reverse()


def _clear(files, value):
    files.clear()


LIST_CHANGES = {
    work.__name__.strip("_").replace("_", " "): work
    for work in (_append, _put_first, _replace_first, _pop, _remove_first, _repeat, _reverse, _clear)
}


def change_list(person, session, place, what, value):
    row = _row(person, session, place)
    files = getattr(row, place.attribute)
    if files is None or what == "assign":
        setattr(row, place.attribute, [value])
    else:
        LIST_CHANGES[what](files, value)


def list_from(person, session, place, source):
    """A list gets the file of another row."""
    file = getattr(_row(person, session, source), source.attribute)
    if file is not None:
        row = _row(person, session, place)
        setattr(row, place.attribute, [*(getattr(row, place.attribute) or ()), file])


# ---- statements


def all_rows(place):
    return True


def one(place):
    return place.class_.id == place.id


def named(place):
    return place.column.is_not(None)


def limited(place):
    first = select(place.class_.id).order_by(place.class_.id).limit(1).subquery()
    return place.class_.id.in_(select(first.c.id))  # MariaDB has no LIMIT in IN itself


def from_queue(place):
    first = select(place.class_.id).where(named(place)).order_by(place.class_.id).limit(1)
    return place.class_.id == first.with_for_update(skip_locked=True).scalar_subquery()


CRITERIA = {work.__name__.replace("_", " "): work for work in (all_rows, one, named, limited, from_queue)}


def _chosen(statement, place, criteria):
    found = CRITERIA[criteria](place)
    return statement if found is True else statement.where(found)


async def bulk_update(session, place, criteria, value, *, returning):
    statement = _chosen(update(place.class_), place, criteria).values({place.attribute: value})
    returning = returning and session.get_bind().dialect.update_returning
    result = await session.execute(statement.returning(place.class_.id) if returning else statement)
    result.close()


async def bulk_delete(session, place, criteria, *, returning):
    statement = _chosen(delete(place.class_), place, criteria)
    result = await session.execute(statement.returning(place.class_.id) if returning else statement)
    result.close()


def _new_row(place, value):
    return {"id": place.id, place.attribute: value}


async def plain_insert(session, place, value):
    await session.execute(insert(place.class_).values(**_new_row(place, value)))


async def insert_or_nothing(session, place, value):
    dialect = _dialect(session)
    statement = dialect.insert(place.class_).values(**_new_row(place, value))
    if dialect is mysql:
        await session.execute(statement.prefix_with("IGNORE"))
    else:
        await session.execute(statement.on_conflict_do_nothing())


async def insert_or_update(session, place, value):
    dialect = _dialect(session)
    statement = dialect.insert(place.class_).values(**_new_row(place, value))
    if dialect is mysql:
        new = {place.attribute: statement.inserted[place.attribute]}
        await session.execute(statement.on_duplicate_key_update(new))
        return
    new = {place.attribute: statement.excluded[place.attribute]}
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=new))


async def insert_many(session, place, value):
    await session.execute(insert(place.class_), [_new_row(place, value)])


async def insert_from_select(session, place, value):
    found = select(place.class_.id + 10, place.column).where(one(place))
    await session.execute(insert(place.class_).from_select(["id", place.attribute], found))


async def bulk_save(session, place, value):
    await session.run_sync(lambda session: session.bulk_save_objects([place.class_(**_new_row(place, value))]))


async def bulk_insert_mappings(session, place, value):
    await session.run_sync(lambda session: session.bulk_insert_mappings(place.class_, [_new_row(place, value)]))


async def bulk_update_mappings(session, place, value):
    await session.run_sync(lambda session: session.bulk_update_mappings(place.class_, [_new_row(place, value)]))


async def core_update(session, place, value):
    table = place.class_.__table__
    statement = update(table).where(table.c.id == place.id).values({place.attribute: value})
    await (await session.connection()).execute(statement)


async def core_delete(session, place, value):
    table = place.class_.__table__
    await (await session.connection()).execute(delete(table).where(table.c.id == place.id))


async def core_insert(session, place, value):
    await (await session.connection()).execute(insert(place.class_.__table__).values(**_new_row(place, value)))


async def core_copy(session, place, value):
    table = place.class_.__table__
    statement = update(table).where(table.c.id == place.id).values(shared=table.c.file)
    await (await session.connection()).execute(statement)


async def text_move(session, place, value):
    table = place.class_.__tablename__
    await session.execute(text(f"UPDATE {table} SET shared = file, file = NULL WHERE id = {place.id}"))


async def text_copy(session, place, value):
    table, attribute = place.class_.__tablename__, place.attribute
    other = f"SELECT file FROM {table} WHERE id <> {place.id} ORDER BY id LIMIT 1"
    await session.execute(text(f"UPDATE {table} SET {attribute} = ({other}) WHERE id = {place.id}"))


async def text_delete(session, place, value):
    await session.execute(text(f"DELETE FROM {place.class_.__tablename__} WHERE id = {place.id}"))


async def update_to_sql(session, place, value):
    """A file column is set to another column of the row."""
    await session.execute(update(place.class_).where(one(place)).values(shared=place.class_.file))


async def delete_shelf(session, place, value):
    """The database's cascade takes the loans."""

    def work(session):
        shelf = session.get(Shelf, 1)
        if shelf is not None:
            session.delete(shelf)
            session.flush()

    await session.run_sync(work)


STATEMENTS = {
    work.__name__.replace("_", " "): work
    for work in (
        *(plain_insert, insert_or_nothing, insert_or_update, insert_many, insert_from_select),
        *(bulk_save, bulk_insert_mappings, bulk_update_mappings),
        *(core_update, core_delete, core_insert, core_copy, update_to_sql),
        *(text_move, text_copy, text_delete, delete_shelf),
    )
}
TEXTS = {"text move", "text copy", "text delete"}


def _dialect(session):
    return {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql}[session.get_bind().dialect.name]
