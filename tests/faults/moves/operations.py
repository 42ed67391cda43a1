"""What an application does while files are moved: each row says what its file holds."""

from contextlib import suppress
from uuid import uuid4

from sqlalchemy import func, select
from sqlalchemy.exc import InvalidRequestError

from async_storages import FileGoneException, PendingFile
from tests.faults.moves.places import Bundle, Copy, Paper

OPERATIONS = {}


def operation(work):
    OPERATIONS[work.__name__.replace("_", " ")] = work
    return work


def _new():
    content = uuid4().hex[:12]
    return content, PendingFile(content.encode(), filename=f"{content}.txt")


async def _any(session, class_, *, locked=True):
    chosen = (
        select(class_)
        .where(class_.content.is_not(None))
        .order_by(func.random() if _has_random(session) else func.rand())
    )
    chosen = chosen.limit(1)
    return await session.scalar(chosen.with_for_update(skip_locked=True) if locked else chosen)


def _has_random(session):
    return session.get_bind().dialect.name != "mysql"


@operation
async def create(app):
    async with app.sessions.begin() as session:
        for _ in range(2):
            content, file = _new()
            session.add(Paper(content=content, file=file))


@operation
async def create_bundle(app):
    pairs = [_new() for _ in range(3)]
    async with app.sessions.begin() as session:
        session.add(Bundle(content=",".join(content for content, _ in pairs), files=[file for _, file in pairs]))


@operation
async def replace(app):
    """Loaded without a lock, so that a mover may come between; another request is noticed by the content."""
    async with app.sessions.begin() as session:
        if (paper := await _any(session, Paper, locked=False)) is not None:
            loaded = paper.content
            with suppress(InvalidRequestError):  # the row was deleted meanwhile
                await session.refresh(paper, with_for_update=True, attribute_names=["content"])
                if paper.content == loaded:
                    paper.content, paper.file = _new()


@operation
async def empty(app):
    async with app.sessions.begin() as session:
        if (paper := await _any(session, Paper)) is not None:
            paper.content = paper.file = None


@operation
async def delete(app):
    async with app.sessions.begin() as session:
        for class_ in (Paper, Copy):
            if (row := await _any(session, class_)) is not None:
                await session.delete(row)


@operation
async def copy(app):
    """A second row names the file, by the id that it was loaded with."""
    async with app.sessions.begin() as session:
        if (paper := await _any(session, Paper)) is not None:
            session.add(Copy(content=paper.content, file=paper.file))


@operation
async def read(app):
    async with app.sessions() as session:
        paper = await _any(session, Paper, locked=False)
    if paper is not None:
        with suppress(FileNotFoundError):  # somebody may have deleted the row meanwhile
            assert await paper.file.read() == paper.content.encode()


@operation
async def change_bundle(app):
    with suppress(FileGoneException):  # a mover came between: as if somebody else had changed the list
        async with app.sessions.begin() as session:
            if (bundle := await _any(session, Bundle, locked=False)) is not None:
                await session.refresh(bundle, with_for_update=True)
                content, file = _new()
                kept = bundle.content.split(",")[1:]
                bundle.files.append(file)
                del bundle.files[0]
                bundle.content = ",".join([*kept, content])


@operation
async def roll_back(app):
    async with app.sessions() as session:
        content, file = _new()
        session.add(Paper(content=content, file=file))
        if (paper := await _any(session, Paper)) is not None:
            paper.content, paper.file = _new()
        await session.flush()
        await session.rollback()
