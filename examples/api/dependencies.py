"""What the routes ask for."""

from typing import Annotated

from fastapi import Depends, Header, Path, Request
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from api.models import Document
from api.schemas import Number
from async_storages import FileNotFoundException
from async_storages.integrations.fastapi import DirectUploads, session_dependency
from async_storages.integrations.sqlalchemy import FileLedger

sessions = async_sessionmaker(expire_on_commit=False)  # `create_app` says on which database

SessionDep = Annotated[AsyncSession, session_dependency(sessions)]


async def current_user(x_user: Annotated[str, Header(max_length=64)] = "guest") -> str:
    """Whoever the client says it is: put your authentication here."""
    return x_user


UserDep = Annotated[str, Depends(current_user)]


async def own_document(number: Annotated[Number, Path()], session: SessionDep, user: UserDep) -> Document:
    """The document of that number, if it is the user's."""
    document = await session.get(Document, number)
    if document is None or document.owner != user:
        raise FileNotFoundException(f"{user!r} has no document {number}", operation="find")
    return document


DocumentDep = Annotated[Document, Depends(own_document)]


async def get_ledger(request: Request) -> FileLedger:
    """The application's ledger."""
    ledger: FileLedger = request.app.state.ledger
    return ledger


async def get_uploads(request: Request) -> DirectUploads:
    """The application's direct uploads."""
    uploads: DirectUploads = request.app.state.uploads
    return uploads


LedgerDep = Annotated[FileLedger, Depends(get_ledger)]
UploadsDep = Annotated[DirectUploads, Depends(get_uploads)]
