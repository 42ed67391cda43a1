"""The routes by which browsers begin direct uploads: one of our own, and those that Uppy's AwsS3 plugin calls."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path
from pydantic import BaseModel, Field

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.fastapi.direct import DirectUpload, DirectUploads
from async_storages.integrations.fastapi.handlers import problem_responses
from async_storages.integrations.fastapi.tokens import nobody

__all__ = ["direct_router"]

_MOST_PARTS = 10_000

type _Number = Annotated[int, Field(ge=1, le=_MOST_PARTS)]


class _New(BaseModel):
    """A file that a browser wants to upload."""

    filename: str
    size: int | None = Field(default=None, ge=0)
    method: Literal["POST", "PUT"] = "POST"


class _NewParts(BaseModel):
    """The same, as Uppy says it; what else it tells of the file is not believed."""

    filename: str


class _Part(BaseModel):
    """A part, as Uppy says it."""

    number: _Number = Field(alias="PartNumber")
    etag: str = Field(alias="ETag")


def direct_router(
    uploads: DirectUploads, *, prefix: str = "/uploads", owner: Callable[..., Any] | None = None
) -> APIRouter:
    """The routes that begin uploads; include it with the `dependencies` that say who may upload at all.

    | route | body or query | answer |
    | --- | --- | --- |
    | `POST /uploads` | ``{filename, size, method}`` | `DirectUpload` |
    | `GET /uploads/s3/params` | ``?filename=`` | a form, as Uppy wants it |
    | `POST /uploads/s3/multipart` | ``{filename}`` | ``{key, uploadId}`` |
    | `GET /uploads/s3/multipart/{uploadId}/{partNumber}` | ``?key=`` | ``{url, expires}`` |
    | `GET /uploads/s3/multipart/{uploadId}` | ``?key=`` | a list of ``{PartNumber, Size, ETag}`` |
    | `POST /uploads/s3/multipart/{uploadId}/complete` | ``?key=``, ``{parts}`` | ``{location, key}`` |
    | `DELETE /uploads/s3/multipart/{uploadId}` | ``?key=`` | ``{}`` |

    Uppy works with them as it is: ``uppy.use(AwsS3, {endpoint: "/uploads"})``; the key that it reports when a file has
    arrived is what `DirectUploads.attach` takes. Parts need a bucket whose CORS rules expose ``ETag``: see
    `bucket_admin.allow_origins`.

    Args:
        uploads: Where they go.
        prefix: Of the routes.
        owner: A dependency that tells who the client is, as a str: nobody else may complete or attach its uploads.

    Example:
        >>> app.include_router(direct_router(uploads, owner=current_user_id))
    """
    known = owner or nobody
    router = APIRouter(prefix=prefix, tags=["uploads"], responses=problem_responses(400, 403, 413, 501))
    upload_path = "/s3/multipart/{upload_id}"
    missing = problem_responses(404)

    @router.post("")
    async def start(wanted: _New, who: str | None = Depends(known)) -> DirectUpload:
        return await uploads.start(wanted.filename, wanted.size, owner=who, method=wanted.method)

    @router.get("/s3/params")
    async def params(filename: str, who: str | None = Depends(known)) -> dict[str, Any]:
        form = await uploads.start(filename, owner=who)
        return {"method": form.method, "url": form.url, "fields": form.fields, "expires": uploads.expires_in}

    @router.post("/s3/multipart")
    async def start_parts(wanted: _NewParts, who: str | None = Depends(known)) -> dict[str, str]:
        key, upload_id = await uploads.start_parts(wanted.filename, owner=who)
        return {"key": key, "uploadId": upload_id}

    @router.get(upload_path + "/{number}", responses=missing)
    async def sign_part(
        upload_id: str, number: Annotated[_Number, Path()], key: str, who: str | None = Depends(known)
    ) -> dict[str, Any]:
        url = await uploads.sign_part(key, upload_id, number, owner=who)
        return {"url": url, "expires": uploads.expires_in}

    @router.get(upload_path, responses=missing)
    async def list_parts(upload_id: str, key: str, who: str | None = Depends(known)) -> list[dict[str, Any]]:
        parts = await uploads.list_parts(key, upload_id, owner=who)
        return [{"PartNumber": part.number, "Size": part.size, "ETag": f'"{part.etag}"'} for part in parts]

    @router.post(upload_path + "/complete", responses=missing)
    async def complete(
        upload_id: str,
        key: str,
        parts: Annotated[list[_Part], Body(embed=True, min_length=1, max_length=_MOST_PARTS)],
        who: str | None = Depends(known),
    ) -> dict[str, str]:
        etags = {part.number: part.etag for part in parts}
        if len(etags) < len(parts):
            raise InvalidArgumentException("each part has its own number", operation="complete_upload")
        location = await uploads.complete_parts(key, upload_id, etags, owner=who)
        return {"location": location, "key": key}

    @router.delete(upload_path)
    async def abort(upload_id: str, key: str, who: str | None = Depends(known)) -> dict[str, str]:
        await uploads.abort_parts(key, upload_id, owner=who)
        return {}

    return router
