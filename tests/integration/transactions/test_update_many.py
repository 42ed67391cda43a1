"""Bulk updates by primary key whose rows name the files that they have, as repositories send whole objects."""

import pytest
from sqlalchemy import update
from sqlalchemy.orm import with_loader_criteria

from async_storages import InvalidArgumentException
from tests.support.named import saved
from tests.support.tracked import Book, pending


@pytest.fixture
async def stored(sessions):
    """Two books, of which the first has files."""
    async with sessions.begin() as session:
        session.add_all([Book(id=1, title="a", file=pending("one"), kept=pending("two")), Book(id=2, title="b")])
    async with sessions() as session:
        return [await session.get(Book, number) for number in (1, 2)]


def whole(book, **changes):
    return {name: getattr(book, name) for name in ("id", "title", "file", "kept")} | changes


async def test_rows_that_keep_their_files_are_updated(sessions, stored, left):
    async with sessions.begin() as session:
        rows = [whole(book, title=f"{book.title}!") for book in stored]
        rows[1]["file"] = None
        await session.execute(update(Book), rows)
    async with sessions() as session:
        books = [await session.get(Book, number) for number in (1, 2)]
        assert [(book.title, book.file) for book in books] == [("a!", stored[0].file), ("b!", None)]
    assert await left() == {"one", "two"}


@pytest.mark.parametrize("change", ["another file", "no file", "content", "a file for the other", "hidden"])
async def test_a_row_that_gets_another_file_is_refused(sessions, storage, stored, left, change):
    other = {
        "another file": {"file": await saved(storage, "other")},
        "no file": {"kept": None},
        "content": {"file": pending("content")},
    }.get(change, {})
    second = {"file": stored[0].file} if change == "a file for the other" else {}
    statement = update(Book)
    if change == "hidden":  # from the query for the files, not from such an update
        statement = statement.options(with_loader_criteria(Book, Book.id != 1))
    async with sessions() as session:
        with pytest.raises(InvalidArgumentException, match="list of parameters"):
            await session.execute(statement, [whole(stored[0], **other), whole(stored[1], **second)])
        await session.rollback()
    async with sessions() as session:
        assert (await session.get(Book, 1)).file == stored[0].file
