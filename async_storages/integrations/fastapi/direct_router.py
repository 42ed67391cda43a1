"""The routes by which browsers begin direct uploads: one of our own, and those that Uppy's AwsS3 plugin calls."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import AfterValidator, BaseModel, Field

from async_storages._secrets import hidden
from async_storages.errors import InvalidArgumentException
from async_storages.integrations.fastapi.direct import DirectUpload, DirectUploads
from async_storages.integrations.fastapi.handlers import problem_responses
from async_storages.integrations.fastapi.tokens import nobody
from async_storages.part_uploads import MAX_PARTS

__all__ = [
    "FileToUpload",
    "FormToSend",
    "ListedPart",
    "NewUpload",
    "PartToSend",
    "UploadInParts",
    "UploadInPartsDone",
    "UploadedPart",
    "UploadedParts",
    "direct_router",
]

_Number = Annotated[int, Field(ge=1, le=MAX_PARTS, description="Of the part.")]
_UploadId = Annotated[str, Path(description="The `uploadId` with which the upload began.")]
_Key = Annotated[str, Query(description="The `key` with which the upload began."), AfterValidator(hidden)]


class FileToUpload(BaseModel):
    """A file that a browser wants to upload; what else it tells of the file is not believed."""

    filename: str = Field(description="Any name; it is cleaned, and tells the type.")


class NewUpload(FileToUpload):
    """A file that a browser wants to upload in one piece."""

    size: int | None = Field(default=None, ge=0, description="Bytes, no more and no less. A PUT cannot do without.")
    method: Literal["POST", "PUT"] = Field(default="POST", description="A form, or a PUT.")


class FormToSend(BaseModel):
    """A form: send its `fields`, then the file as the part `file`."""

    method: Literal["POST"] = "POST"
    url: str
    fields: dict[str, str] = Field(description="Its `key` is handed back when the file has arrived.")
    expires: int = Field(description="Seconds in which the upload must begin.")


class UploadInParts(BaseModel):
    """An upload in parts that has begun."""

    key: str = Field(description="What is handed back when the file has arrived.")
    upload_id: str = Field(serialization_alias="uploadId")


class PartToSend(BaseModel):
    """Where one part goes, with PUT."""

    url: str
    expires: int = Field(description="Seconds in which that must begin.")


class UploadedPart(BaseModel):
    """A part that has arrived."""

    number: _Number = Field(alias="PartNumber")
    etag: str = Field(alias="ETag", description="As the storage answered it, with quotes or without.")


class ListedPart(UploadedPart):
    """A part that the storage has."""

    size: int = Field(alias="Size", description="Bytes.")


class UploadedParts(BaseModel):
    """The parts that make the file."""

    parts: list[UploadedPart] = Field(min_length=1, max_length=MAX_PARTS)


class UploadInPartsDone(BaseModel):
    """An upload whose parts are one file."""

    location: str = Field(description="Its URL; it is not attached yet.")
    key: str = Field(description="What is handed back now.")


def direct_router(
    uploads: DirectUploads, *, prefix: str = "/uploads", owner: Callable[..., Any] | None = None
) -> APIRouter:
    """The routes that begin uploads; include it with the `dependencies` that say who may upload at all.

    | route | body or query | answer |
    | --- | --- | --- |
    | `POST /uploads` | ``{filename, size, method}`` | `DirectUpload` |
    | `GET /uploads/s3/params` | ``?filename=`` | a form, as Uppy wants it |
    | `POST /uploads/s3/multipart` | ``{filename}`` | ``{key, uploadId}`` |
    | `GET /uploads/s3/multipart/{uploadId}/{partNumber}` | ``?key=&size=`` | ``{url, expires}`` |
    | `GET /uploads/s3/multipart/{uploadId}` | ``?key=`` | a list of ``{PartNumber, Size, ETag}`` |
    | `POST /uploads/s3/multipart/{uploadId}/complete` | ``?key=``, ``{parts}`` | ``{location, key}`` |
    | `DELETE /uploads/s3/multipart/{uploadId}` | ``?key=`` | ``{}`` |

    Uppy works with them as it is: ``uppy.use(AwsS3, {endpoint: "/uploads"})``; the key that it reports when a file has
    arrived is what `DirectUploads.attach` takes. Parts need a bucket whose CORS rules expose ``ETag``: see
    `bucket_admin.allow_origins`. Where the validator limits sizes and the storage is S3, which signs no largest one, a
    client must say the ``size`` of each part, which Uppy does not do by itself: see `DirectUploads(unsized_parts=)`. A
    storage that takes no parts answers 404 to those routes, and says so.

    Args:
        uploads: Where they go.
        prefix: Of the routes.
        owner: A dependency that tells who the client is, as a str: nobody else may complete or attach its uploads.

    Example:
        >>> app.include_router(direct_router(uploads, owner=current_user_id))
    """
    known = Depends(owner or nobody)
    router = APIRouter(prefix=prefix, tags=["uploads"], responses=problem_responses(400, 403, 413, 501))

    @router.post("")
    async def begin_upload(wanted: NewUpload, who: str | None = known) -> DirectUpload:
        """Let the browser send one file to the storage, and get the key that is handed back then."""
        return await uploads.start(wanted.filename, wanted.size, owner=who, method=wanted.method)

    @router.get("/s3/params")
    async def begin_form(filename: str, who: str | None = known) -> FormToSend:
        """The same for Uppy: a form."""
        form = await uploads.start(filename, owner=who)
        return FormToSend(url=form.url, fields=form.fields, expires=uploads.expires_in)

    _add_parts(router, uploads, known)
    return router


def _add_parts(router: APIRouter, uploads: DirectUploads, known: Any) -> None:
    async def check() -> None:
        if not uploads.takes_parts:
            raise HTTPException(404, "This storage takes files in one piece: by a form or a PUT.")

    path = "/s3/multipart"
    common: dict[str, Any] = {"dependencies": [Depends(check)], "responses": problem_responses(404)}

    @router.post(path, **common)
    async def begin_parts(wanted: FileToUpload, who: str | None = known) -> UploadInParts:
        """Let the browser send one file in parts, of 5 MiB to 5 GiB each but for the last."""
        key, upload_id = await uploads.start_parts(wanted.filename, owner=who)
        return UploadInParts(key=key, upload_id=upload_id)

    @router.get(path + "/{upload_id}/{number}", **common)
    async def sign_part(
        upload_id: _UploadId,
        number: Annotated[_Number, Path()],
        key: _Key,
        size: Annotated[int | None, Query(ge=0, description="Bytes of the part, no more and no less.")] = None,
        who: str | None = known,
    ) -> PartToSend:
        """Where one part goes."""
        url = await uploads.sign_part(key, upload_id, number, owner=who, size=size)
        return PartToSend(url=url, expires=uploads.expires_in)

    @router.get(path + "/{upload_id}", **common)
    async def list_parts(upload_id: _UploadId, key: _Key, who: str | None = known) -> list[ListedPart]:
        """The parts that have arrived, to go on with an upload."""
        parts = await uploads.list_parts(key, upload_id, owner=who)
        return [ListedPart(PartNumber=part.number, Size=part.size, ETag=f'"{part.etag}"') for part in parts]

    @router.post(path + "/{upload_id}/complete", **common)
    async def complete_parts(
        upload_id: _UploadId, key: _Key, wanted: UploadedParts, who: str | None = known
    ) -> UploadInPartsDone:
        """Make one file of the parts; they must be there as they were answered."""
        etags = {part.number: part.etag for part in wanted.parts}
        if len(etags) < len(wanted.parts):
            raise InvalidArgumentException("each part has its own number", operation="complete_upload")
        location = await uploads.complete_parts(key, upload_id, etags, owner=who)
        return UploadInPartsDone(location=location, key=key)

    @router.delete(path + "/{upload_id}", **common)
    async def abort_parts(upload_id: _UploadId, key: _Key, who: str | None = known) -> dict[str, str]:
        """Give the upload up; one that is gone is no error."""
        await uploads.abort_parts(key, upload_id, owner=who)
        return {}
