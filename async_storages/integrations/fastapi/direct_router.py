"""The routes by which browsers begin direct uploads: one of our own, and those that Uppy's AwsS3 plugin calls."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import AfterValidator

from async_storages._secrets import hidden
from async_storages.direct_uploads.browser_api import (
    NO_PARTS,
    BrowserApi,
    FileToUpload,
    FormToSend,
    ListedPart,
    NewUpload,
    PartNumber,
    PartToSend,
    UploadedParts,
    UploadInParts,
    UploadInPartsDone,
)
from async_storages.direct_uploads.uploads import DirectUpload, DirectUploads
from async_storages.integrations.fastapi.dependencies import nobody
from async_storages.integrations.fastapi.openapi import problem_responses

__all__ = ["direct_router"]

_UploadId = Annotated[str, Path(description="The `uploadId` with which the upload began.")]
_Key = Annotated[str, Query(description="The `key` with which the upload began."), AfterValidator(hidden)]


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
        uploads: Begins the uploads.
        prefix: Of the routes.
        owner: A dependency that tells who the client is, as a str: nobody else may complete or attach its uploads.

    Example:
        >>> app.include_router(direct_router(uploads, owner=current_user_id))
    """
    known, api = Depends(owner or nobody), BrowserApi(uploads)
    router = APIRouter(prefix=prefix, tags=["uploads"], responses=problem_responses(400, 403, 413, 501))

    @router.post("")
    async def begin_upload(wanted: NewUpload, who: str | None = known) -> DirectUpload:
        """Let the browser send one file to the storage, and get the key that is handed back then."""
        return await api.begin_upload(wanted, who)

    @router.get("/s3/params")
    async def begin_form(filename: str, who: str | None = known) -> FormToSend:
        """The same for Uppy: a form."""
        return await api.begin_form(filename, who)

    async def check() -> None:
        if not uploads.takes_parts:
            raise HTTPException(404, NO_PARTS)

    parts = APIRouter(prefix="/s3/multipart", dependencies=[Depends(check)], responses=problem_responses(404))
    _add_parts(parts, api, known)
    router.include_router(parts)
    return router


def _add_parts(router: APIRouter, api: BrowserApi, known: Any) -> None:
    @router.post("")
    async def begin_parts(wanted: FileToUpload, who: str | None = known) -> UploadInParts:
        """Let the browser send one file in parts, of 5 MiB to 5 GiB each but for the last."""
        return await api.begin_parts(wanted, who)

    @router.get("/{upload_id}/{number}")
    async def sign_part(
        upload_id: _UploadId,
        number: Annotated[PartNumber, Path()],
        key: _Key,
        size: Annotated[int | None, Query(ge=0, description="Bytes of the part, no more and no less.")] = None,
        who: str | None = known,
    ) -> PartToSend:
        """The URL that takes one part."""
        return await api.sign_part(upload_id, number, key, size, who)

    @router.get("/{upload_id}")
    async def list_parts(upload_id: _UploadId, key: _Key, who: str | None = known) -> list[ListedPart]:
        """The parts that have arrived, to go on with an upload."""
        return await api.list_parts(upload_id, key, who)

    @router.post("/{upload_id}/complete")
    async def complete_parts(
        upload_id: _UploadId, key: _Key, wanted: UploadedParts, who: str | None = known
    ) -> UploadInPartsDone:
        """Make one file of the parts; they must be there as they were answered."""
        return await api.complete_parts(upload_id, key, wanted, who)

    @router.delete("/{upload_id}")
    async def abort_parts(upload_id: _UploadId, key: _Key, who: str | None = known) -> dict[str, str]:
        """Give the upload up; one that is gone is no error."""
        return await api.abort_parts(upload_id, key, who)
