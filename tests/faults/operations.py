"""What the applications do that are killed: each operation begins with rows of its own."""

from contextlib import asynccontextmanager, suppress

from sqlalchemy import delete, select, text, update

from async_storages import FileGoneException
from tests.support.tracked import Album, Book, Loan, Shelf, pending

OPERATIONS = {}


def operation(work):
    OPERATIONS[work.__name__.replace("_", " ")] = work
    return work


async def add(app, *objects):
    async with app.sessions.begin() as session:
        session.add_all(objects)
    return objects[0].id


@asynccontextmanager
async def changing(app, id_=None, class_=Book):
    """A session, and an object that somebody committed before."""
    id_ = id_ or await add(app, class_(file=pending("old")))
    async with app.sessions.begin() as session:
        yield session, await session.get(class_, id_)


@operation
async def create(app):
    await add(app, Book(file=pending("new")))


@operation
async def create_several(app):
    await add(app, *(Book(file=pending(name)) for name in "abc"))


@operation
async def replace(app):
    async with changing(app) as (_, book):
        book.file = pending("new")


@operation
async def replace_twice(app):
    async with changing(app) as (session, book):
        book.file = pending("superseded")
        await session.flush()
        book.file = pending("new")


@operation
async def set_to_None(app):  # noqa: N802 - its name is for people
    async with changing(app) as (_, book):
        book.file = None


@operation
async def delete_row(app):
    async with changing(app) as (session, book):
        await session.delete(book)


@operation
async def delete_orphan(app):
    shelf = await add(app, Shelf(books=[Book(file=pending("a")), Book(file=pending("b"))]))
    async with changing(app, shelf, Shelf) as (session, found):
        await session.refresh(found, ["books"])
        del found.books[0]


@operation
async def savepoint_released(app):
    async with changing(app) as (session, book), session.begin_nested():
        book.file = pending("new")


@operation
async def savepoint_rolled_back(app):
    async with changing(app) as (session, book):
        inner = await session.begin_nested()
        book.file = pending("inner")
        await session.flush()
        await inner.rollback()
        session.add(Book(file=pending("outer")))


@operation
async def roll_back(app):
    async with changing(app) as (session, book):
        book.file = pending("new")
        session.add(Book(file=pending("another")))
        await session.flush()
        await session.rollback()


@operation
async def move_between_rows(app):
    async with changing(app) as (session, book):
        file, book.file = book.file, None
        await session.flush()
        session.add(Book(file=file))


@operation
async def copy_and_delete_the_first(app):
    first = await add(app, Book(shared=pending("shared")))
    async with changing(app, first) as (session, book):
        session.add(Book(shared=book.shared))
    async with changing(app, first) as (session, book):
        await session.delete(book)


@operation
async def same_id_in_two_tables(app):
    first = await add(app, Book(shared=pending("shared")))
    async with changing(app, first) as (session, book):
        session.add(loan := Loan(shared=book.shared))
    async with changing(app, loan.id, Loan) as (session, found):
        await session.delete(found)


@operation
async def bulk_update(app):
    first = await add(app, Book(file=pending("old")))
    async with app.sessions.begin() as session:
        await session.execute(update(Book).where(Book.id == first).values(file=None))


@operation
async def bulk_delete(app):
    books = [Book(file=pending("a")), Book(file=pending("b"))]
    await add(app, *books)
    async with app.sessions.begin() as session:
        await session.execute(delete(Book).where(Book.id.in_([book.id for book in books])))


@operation
async def raw_SQL_delete(app):  # noqa: N802 - its name is for people
    first = await add(app, Book(file=pending("old")))
    async with app.sessions.begin() as session:
        await session.execute(text("DELETE FROM books WHERE id = :id"), {"id": first})


@operation
async def cascade_of_the_database(app):
    shelf = await add(app, Shelf(loans=[Loan(file=pending("a")), Loan(file=pending("b"))]))
    async with changing(app, shelf, Shelf) as (session, found):
        await session.delete(found)


@operation
async def ledger_save(app):
    saved = await app.ledger.save(app.storage, b"new", "new")
    await add(app, Book(file=saved))


@operation
async def storage_save(app):
    """A crash between the two lines leaves the file: the docs say so, and the harness does not kill there."""
    saved = await app.storage.save(b"new", "new")
    await add(app, Book(file=saved))


async def _twice(app, saved):
    """A transaction that is rolled back, and another attempt."""
    async with app.sessions() as session:
        session.add(Book(file=saved))
        await session.flush()
        await session.rollback()
        session.add(Book(file=saved))
        with suppress(FileGoneException):
            await session.commit()


@operation
async def ledger_save_twice(app):
    await _twice(app, await app.ledger.save(app.storage, b"new", "new"))


@operation
async def storage_save_twice(app):
    await _twice(app, await app.storage.save(b"new", "new"))


@operation
async def change_list(app):
    album = await add(app, Album(pages=[pending("a"), pending("b")]))
    async with changing(app, album, Album) as (_, found):
        found.pages.append(pending("c"))
        found.pages.remove(found.pages[0])


@operation
async def two_phases(app):
    first = await add(app, Book(file=pending("old")))
    async with app.sessions_of_two_phases() as session:
        (await session.get(Book, first)).file = pending("new")
        await session.run_sync(lambda sync: sync.prepare())
        await session.commit()


@operation
async def stored_delete(app):
    async with changing(app) as (_, book):
        file, book.file = book.file, None
    await file.delete()


@operation
async def drop(app):
    """What this process drops, another one may restore."""
    async with changing(app) as (_, book):
        book.title, book.file = book.file.file_id, None


@operation
async def restore(app):
    async with app.sessions() as session:
        dropped = select(Book).where(Book.title.is_not(None)).order_by(Book.id).limit(1)
        book = await session.scalar(dropped.with_for_update(skip_locked=True))
        if book is None:
            return
        id_, book.file, book.title = book.id, book.title, None
        try:
            await session.commit()
        except FileGoneException:
            await session.rollback()
            await session.execute(update(Book).where(Book.id == id_).values(title=None))
            await session.commit()


NOT_ON_SQLITE = {"two phases"}
ONLY_AT_STEPS = {"storage save", "storage save twice"}
"""Those with a window that only a kill elsewhere meets."""
