"""The routes of documents."""

from typing import Annotated

from fastapi import APIRouter, Body, Form, Query, Response, UploadFile
from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError

from api.dependencies import DocumentDep, SessionDep, UploadsDep, UserDep
from api.models import Document
from api.schemas import LARGEST, DirectDocument, DocumentOut, Number, Title
from async_storages import FileDownload, FileNotFoundException
from async_storages.integrations.fastapi import (
    DownloadServiceDep,
    StoredFileResponse,
    ZipResponse,
    file_responses,
    problem_responses,
    response_with_urls,
)

After = Annotated[int, Query(ge=0, le=LARGEST, description="The last document of the page before")]

router = APIRouter(prefix="/documents", tags=["documents"])


@router.post("", status_code=201, response_model=DocumentOut, responses=problem_responses(400, 413))
async def upload(title: Annotated[Title, Form()], file: UploadFile, session: SessionDep, user: UserDep) -> Response:
    """Store a PDF, a picture or a text of at most 10 MB."""
    document = Document(owner=user, title=title, file=file)
    session.add(document)
    await session.commit()
    return await response_with_urls(DocumentOut, document, 201)


@router.post(
    "/direct", status_code=201, response_model=DocumentOut, responses=problem_responses(400, 403, 404, 409, 413)
)
async def attach(body: DirectDocument, session: SessionDep, user: UserDep, uploads: UploadsDep) -> Response:
    """Make a document of what was uploaded by the form that `POST /uploads` gives."""
    document = Document(owner=user, title=body.title, file=await uploads.attach(body.key, owner=user))
    session.add(document)
    await session.commit()
    return await response_with_urls(DocumentOut, document, 201)


@router.get("", response_model=list[DocumentOut])
async def list_documents(session: SessionDep, user: UserDep, after: After = 0) -> Response:
    """The user's documents, a hundred at a time."""
    query = select(Document).where(Document.owner == user, Document.id > after).order_by(Document.id).limit(100)
    return await response_with_urls(list[DocumentOut], (await session.scalars(query)).all())


@router.post("/zip", response_class=Response, responses=file_responses("application/zip") | problem_responses(404))
async def download_zip(
    numbers: Annotated[list[Number], Body(min_length=1, max_length=100)],
    session: SessionDep,
    user: UserDep,
    downloads: DownloadServiceDep,
) -> ZipResponse:
    """Several files as one archive."""
    query = select(Document).where(Document.owner == user, Document.id.in_(numbers)).order_by(Document.id)
    found = (await session.scalars(query)).all()
    if len(found) < len(set(numbers)):
        raise FileNotFoundException(f"{user!r} has not all of the documents", operation="zip")
    archive = await downloads.prepare_zip([FileDownload(file_id=each.file.file_id) for each in found])
    return ZipResponse(archive, "documents.zip")


@router.head("/{number}/file", include_in_schema=False)
@router.get("/{number}/file", response_class=Response, responses=file_responses(redirect=True) | problem_responses(404))
async def download(document: DocumentDep) -> StoredFileResponse:
    """The file: a redirect to its URL."""
    return StoredFileResponse(document.file)


@router.put("/{number}/file", response_model=DocumentOut, responses=problem_responses(400, 404, 413))
async def replace(document: DocumentDep, file: UploadFile, session: SessionDep) -> Response:
    """Put another file in its place."""
    document.file = file  # type: ignore[assignment]  # a `Mapped[StoredFile]` takes content, too
    try:
        await session.commit()
    except StaleDataError as error:
        raise FileNotFoundException("the document was deleted meanwhile", operation="replace") from error
    return await response_with_urls(DocumentOut, document)


@router.delete("/{number}", status_code=204, responses=problem_responses(404))
async def delete(document: DocumentDep, session: SessionDep) -> None:
    """Delete a document with its file."""
    await session.delete(document)
    await session.commit()
