"""The application with plain Sessions: path operations are declared with ``def``, and run in threads."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Response, UploadFile
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from async_storages import LocalStorage, StorageManager, run_sync
from async_storages.integrations.fastapi import (
    StoredFileResponse,
    register_exception_handlers,
    response_with_urls,
    session_dependency,
    signed_downloads,
    storage_lifespan,
)
from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from profiles.admin import add_admin
from profiles.models import Base, Document, Profile
from profiles.schemas import DocumentOut, ProfileOut

sessions = sessionmaker(expire_on_commit=False)  # `create_app` says on which database
SessionDep = Annotated[Session, session_dependency(sessions)]


def get_profile(profile_id: int, session: SessionDep) -> Profile:
    """The profile of the path."""
    profile = session.get(Profile, profile_id)
    if profile is None:
        raise HTTPException(404, "There is no such profile.")
    return profile


def get_document(document_id: int, session: SessionDep) -> Document:
    """The document of the path."""
    document = session.get(Document, document_id)
    if document is None:
        raise HTTPException(404, "There is no such document.")
    return document


ProfileDep = Annotated[Profile, Depends(get_profile)]
DocumentDep = Annotated[Document, Depends(get_document)]

router = APIRouter()


@router.post("/profiles", status_code=201, response_model=ProfileOut)
def create_profile(name: Annotated[str, Form()], session: SessionDep, picture: UploadFile | None = None) -> Response:
    """Make a profile, with a picture or without."""
    profile = Profile(name=name, picture=picture, documents=[])
    session.add(profile)
    try:
        session.commit()
    except IntegrityError as error:  # the picture, which was uploaded before, goes with the row
        raise HTTPException(409, "This name is taken.") from error
    return run_sync(response_with_urls(ProfileOut, profile, 201))


@router.get("/profiles/{profile_id}", response_model=ProfileOut)
def show_profile(profile: ProfileDep) -> Response:
    """A profile with the URLs of its files."""
    return run_sync(response_with_urls(ProfileOut, profile))


@router.delete("/profiles/{profile_id}", status_code=204)
def delete_profile(profile: ProfileDep, session: SessionDep) -> None:
    """Delete a profile with all its files."""
    session.delete(profile)
    session.commit()


@router.put("/profiles/{profile_id}/picture", response_model=ProfileOut)
def set_picture(profile: ProfileDep, picture: UploadFile, session: SessionDep) -> Response:
    """Upload a picture, or replace the one before."""
    profile.picture = picture
    session.commit()
    return run_sync(response_with_urls(ProfileOut, profile))


@router.get("/profiles/{profile_id}/picture")
def show_picture(profile: ProfileDep) -> StoredFileResponse:
    """The picture: a redirect to its URL."""
    return StoredFileResponse(profile.picture)


@router.delete("/profiles/{profile_id}/picture", status_code=204)
def clear_picture(profile: ProfileDep, session: SessionDep) -> None:
    """Delete the picture."""
    profile.picture = None
    session.commit()


@router.post("/profiles/{profile_id}/documents", status_code=201, response_model=DocumentOut)
def add_document(profile: ProfileDep, file: UploadFile, session: SessionDep) -> Response:
    """Upload a document."""
    document = Document(profile=profile, file=file)
    session.add(document)
    session.commit()
    return run_sync(response_with_urls(DocumentOut, document, 201))


@router.get("/documents/{document_id}")
def download_document(document: DocumentDep) -> StoredFileResponse:
    """The document: a redirect to its URL."""
    return StoredFileResponse(document.file)


@router.put("/documents/{document_id}", response_model=DocumentOut)
def replace_document(document: DocumentDep, file: UploadFile, session: SessionDep) -> Response:
    """Put another file in its place."""
    document.file = file
    session.commit()
    return run_sync(response_with_urls(DocumentOut, document))


@router.delete("/documents/{document_id}", status_code=204)
def delete_document(document: DocumentDep, session: SessionDep) -> None:
    """Delete a document with its file."""
    session.delete(document)
    session.commit()


def create_app(database_url: str, storage: LocalStorage) -> FastAPI:
    """The application on a database, such as ``sqlite:///profiles.sqlite``, and a storage."""
    engine = create_engine(database_url)
    ledger = FileLedger(engine, Base.metadata)
    enable_file_tracking(sessions, ledger=ledger).configure(bind=engine)
    manager = StorageManager.from_storages(storage, name="files")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield
        engine.dispose()

    app = FastAPI(lifespan=storage_lifespan(manager, ledger=ledger, lifespan=lifespan))
    app.state.ledger = ledger
    register_exception_handlers(app)
    app.include_router(signed_downloads(storage), prefix="/signed")
    app.include_router(router)
    add_admin(app, sessions)
    return app
