"""`file_urls` of what sessions load."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import defer, selectinload

from async_storages import file_urls
from tests.support.documents import Document, Folder


@pytest.fixture
async def rows(session):
    session.add(Folder(id=1, documents=[Document(file="a.txt", copy="b.txt"), Document(photo="c.png")]))
    await session.commit()
    session.expunge_all()


LISTINGS = {
    "objects": (select(Document), "all", "abc"),
    "one object": (select(Document).where(Document.id == 1), "one", "ab"),
    "rows of columns": (select(Document.id, Document.file, Document.copy), "all", "ab"),
    "mappings of objects": (select(Document), "mappings", "abc"),
    "related objects": (select(Folder).options(selectinload(Folder.documents)), "all", "abc"),
    "related objects that are not loaded": (select(Folder), "all", ""),
    "a deferred column": (select(Document).options(defer(Document.file)), "all", "bc"),
}
NAMES = {"a": "mem:a.txt", "b": "mem:b.txt", "c": "mem:c.png"}


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("query", "method", "found"), [pytest.param(*case, id=name) for name, case in LISTINGS.items()]
)
async def test_what_is_loaded_has_urls_and_nothing_is_loaded(session, statements, query, method, found):
    result = getattr(await session.execute(query), method)()
    held = result.all() if method == "mappings" else result
    sent = len(statements)
    assert set(await file_urls(held, presign=False)) == {NAMES[name] for name in found}
    assert len(statements) == sent


async def test_expired_rows_stay_expired(session, statements):
    document = Document(file="a.txt")
    session.add(document)
    await session.commit()
    sent = len(statements)
    assert await file_urls([document], presign=False) == {}
    assert len(statements) == sent
