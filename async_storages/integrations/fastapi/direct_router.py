"""The routes for direct uploads: one route of this library, and the routes for Uppy's AwsS3 plugin."""

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
    """Return a router with the routes for direct uploads. Include it with `dependencies` that decide who may upload.

    | route | body or query | response |
    | --- | --- | --- |
    | `POST /uploads` | ``{filename, size, method}`` | `DirectUpload` |
    | `GET /uploads/s3/params` | ``?filename=`` | a form for Uppy |
    | `POST /uploads/s3/multipart` | ``{filename}`` | ``{key, uploadId}`` |
    | `GET /uploads/s3/multipart/{uploadId}/{partNumber}` | ``?key=&size=`` | ``{url, expires}`` |
    | `GET /uploads/s3/multipart/{uploadId}` | ``?key=`` | a list of ``{PartNumber, Size, ETag}`` |
    | `POST /uploads/s3/multipart/{uploadId}/complete` | ``?key=``, ``{parts}`` | ``{location, key}`` |
    | `DELETE /uploads/s3/multipart/{uploadId}` | ``?key=`` | ``{}`` |

    Uppy works with these routes without changes: ``uppy.use(AwsS3, {endpoint: "/uploads"})``. When a file has arrived,
    Uppy reports its key. Pass this key to `DirectUploads.attach`.

    Uploads in parts need a bucket whose CORS rules expose ``ETag``: see `bucket_admin.allow_origins`. S3 cannot limit
    the size of a part. So, if the validator limits the size of files, the client must send the ``size`` of each part.
    Uppy does not send it: see `DirectUploads(unsized_parts=)`. If the storage does not support parts, the routes for
    parts answer 404.

    Args:
        uploads: The `DirectUploads`.
        prefix: The prefix of the routes.
        owner: A dependency that returns the client as a str. No other client may complete or attach its uploads. None
            allows every client that knows the key.

    Example:
        >>> app.include_router(direct_router(uploads, owner=current_user_id))
    """
    known, api = Depends(owner or nobody), BrowserApi(uploads)
    router = APIRouter(prefix=prefix, tags=["uploads"], responses=problem_responses(400, 403, 413, 501))

    @router.post("")
    async def begin_upload(wanted: NewUpload, who: str | None = known) -> DirectUpload:
        """Begin the upload of one file. Send the key back when the file has arrived."""
        return await api.begin_upload(wanted, who)

    @router.get("/s3/params")
    async def begin_form(filename: str, who: str | None = known) -> FormToSend:
        """Return a form for one file, for Uppy."""
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
        """Begin the upload of one file in parts. Each part has 5 MiB to 5 GiB. The last part may be smaller."""
        return await api.begin_parts(wanted, who)

    @router.get("/{upload_id}/{number}")
    async def sign_part(
        upload_id: _UploadId,
        number: Annotated[PartNumber, Path()],
        key: _Key,
        size: Annotated[int | None, Query(ge=0, description="Bytes of the part, no more and no less.")] = None,
        who: str | None = known,
    ) -> PartToSend:
        """Return the URL for one part."""
        return await api.sign_part(upload_id, number, key, size, who)

    @router.get("/{upload_id}")
    async def list_parts(upload_id: _UploadId, key: _Key, who: str | None = known) -> list[ListedPart]:
        """List the parts that have arrived, to resume an upload."""
        return await api.list_parts(upload_id, key, who)

    @router.post("/{upload_id}/complete")
    async def complete_parts(
        upload_id: _UploadId, key: _Key, wanted: UploadedParts, who: str | None = known
    ) -> UploadInPartsDone:
        """Join the parts into one file. Their ETags must be the ones that the storage sent."""
        return await api.complete_parts(upload_id, key, wanted, who)

    @router.delete("/{upload_id}")
    async def abort_parts(upload_id: _UploadId, key: _Key, who: str | None = known) -> dict[str, str]:
        """Abort the upload. It is not an error if the upload does not exist."""
        return await api.abort_parts(upload_id, key, who)
