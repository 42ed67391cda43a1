"""The requests of browsers for direct uploads: one route of this library, and the routes of Uppy's AwsS3 plugin.

| route | body or query | response |
| --- | --- | --- |
| `POST /uploads` | ``{filename, size, method}`` | `DirectUpload` |
| `GET /uploads/s3/params` | ``?filename=`` | a form for Uppy |
| `POST /uploads/s3/multipart` | ``{filename}`` | ``{key, uploadId}`` |
| `GET /uploads/s3/multipart/{uploadId}/{partNumber}` | ``?key=&size=`` | ``{url, expires}`` |
| `GET /uploads/s3/multipart/{uploadId}` | ``?key=`` | a list of ``{PartNumber, Size, ETag}`` |
| `POST /uploads/s3/multipart/{uploadId}/complete` | ``?key=``, ``{parts}`` | ``{location, key}`` |
| `DELETE /uploads/s3/multipart/{uploadId}` | ``?key=`` | ``{}`` |
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from async_storages._secrets import hidden
from async_storages.direct_uploads.uploads import DirectUpload, DirectUploads
from async_storages.errors import InvalidArgumentException
from async_storages.storage.part_uploads import MAX_PARTS

__all__ = [
    "NO_PARTS",
    "BrowserApi",
    "FileToUpload",
    "FormToSend",
    "ListedPart",
    "NewUpload",
    "PartNumber",
    "PartToSend",
    "UploadInParts",
    "UploadInPartsDone",
    "UploadedPart",
    "UploadedParts",
]

NO_PARTS = "This storage takes files in one piece: by a form or a PUT."
"""The message of the 404 response to requests for parts, if `DirectUploads.takes_parts` is False."""

PartNumber = Annotated[int, Field(ge=1, le=MAX_PARTS, description="Of the part.")]
"""The number of a part, from 1."""


class FileToUpload(BaseModel):
    """A file that a browser wants to upload. Everything else that the browser sends about the file is ignored."""

    filename: str = Field(description="Any name; it is cleaned, and tells the type.")


class NewUpload(FileToUpload):
    """A file that a browser wants to upload in one piece."""

    size: int | None = Field(default=None, ge=0, description="Bytes, no more and no less. A PUT cannot do without.")
    method: Literal["POST", "PUT"] = Field(default="POST", description="A form, or a PUT.")


class FormToSend(BaseModel):
    """A form. The browser sends its `fields`, and then the file as the part `file`."""

    method: Literal["POST"] = "POST"
    url: str
    fields: dict[str, str] = Field(description="Its `key` is handed back when the file has arrived.")
    expires: int = Field(description="Seconds in which the upload must begin.")


class UploadInParts(BaseModel):
    """An upload in parts that has begun."""

    key: str = Field(description="What is handed back when the file has arrived.")
    upload_id: str = Field(serialization_alias="uploadId")


class PartToSend(BaseModel):
    """The URL to which the browser sends one part with PUT."""

    url: str
    expires: int = Field(description="Seconds in which that must begin.")


class UploadedPart(BaseModel):
    """A part that has arrived."""

    number: PartNumber = Field(alias="PartNumber")
    etag: str = Field(alias="ETag", description="As the storage answered it, with quotes or without.")


class ListedPart(UploadedPart):
    """A part that the storage has."""

    size: int = Field(alias="Size", description="Bytes.")


class UploadedParts(BaseModel):
    """All parts of the file."""

    parts: list[UploadedPart] = Field(min_length=1, max_length=MAX_PARTS)


class UploadInPartsDone(BaseModel):
    """An upload whose parts were joined into one file."""

    location: str = Field(description="Its URL; it is not attached yet.")
    key: str = Field(description="What is handed back now.")


class BrowserApi:
    """Answers the requests of browsers. The routes of each framework parse the requests.

    Args:
        uploads: Begins the uploads.
    """

    def __init__(self, uploads: DirectUploads) -> None:
        self._uploads = uploads

    async def begin_upload(self, wanted: NewUpload, owner: str | None) -> DirectUpload:
        """Begin the upload of one file. The client sends the key of the answer back when the file has arrived."""
        return await self._uploads.start(wanted.filename, wanted.size, owner=owner, method=wanted.method)

    async def begin_form(self, filename: str, owner: str | None) -> FormToSend:
        """Return a form for one file, for Uppy."""
        form = await self._uploads.start(filename, owner=owner)
        return FormToSend(url=form.url, fields=form.fields, expires=self._uploads.expires_in)

    async def begin_parts(self, wanted: FileToUpload, owner: str | None) -> UploadInParts:
        """Begin the upload of one file in parts. Each part has 5 MiB to 5 GiB. The last part may be smaller."""
        key, upload_id = await self._uploads.start_parts(wanted.filename, owner=owner)
        return UploadInParts(key=key, upload_id=upload_id)

    async def sign_part(self, upload_id: str, number: int, key: str, size: int | None, owner: str | None) -> PartToSend:
        """Return the URL for one part."""
        key = hidden(key)
        url = await self._uploads.sign_part(key, upload_id, number, owner=owner, size=size)
        return PartToSend(url=url, expires=self._uploads.expires_in)

    async def list_parts(self, upload_id: str, key: str, owner: str | None) -> list[ListedPart]:
        """List the parts that have arrived, so that the browser can resume an upload."""
        key = hidden(key)
        parts = await self._uploads.list_parts(key, upload_id, owner=owner)
        return [ListedPart(PartNumber=part.number, Size=part.size, ETag=f'"{part.etag}"') for part in parts]

    async def complete_parts(
        self, upload_id: str, key: str, wanted: UploadedParts, owner: str | None
    ) -> UploadInPartsDone:
        """Join the parts into one file. Their ETags must be the ones that the server sent."""
        key = hidden(key)
        etags = {part.number: part.etag for part in wanted.parts}
        if len(etags) < len(wanted.parts):
            raise InvalidArgumentException("each part has its own number", operation="complete_upload")
        location = await self._uploads.complete_parts(key, upload_id, etags, owner=owner)
        return UploadInPartsDone(location=location, key=key)

    async def abort_parts(self, upload_id: str, key: str, owner: str | None) -> dict[str, str]:
        """Abort the upload. It is not an error if the upload does not exist."""
        key = hidden(key)
        await self._uploads.abort_parts(key, upload_id, owner=owner)
        return {}
