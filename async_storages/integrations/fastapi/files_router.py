"""`files_router`: ready routes to upload, download, zip, describe and delete files."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel
from starlette.requests import Request

from async_storages._secrets import hidden
from async_storages.errors import AccessDeniedException, InvalidArgumentException
from async_storages.file_tokens import FileRight, FileTokens
from async_storages.files import StoredFile
from async_storages.integrations.fastapi.dependencies import nobody
from async_storages.integrations.fastapi.openapi import file_form, file_responses, problem_responses
from async_storages.integrations.starlette.responses import StoredFileResponse, ZipResponse
from async_storages.integrations.starlette.streamed_forms import stream_upload
from async_storages.manager.manager import StorageManager
from async_storages.models import FileAttach, FileDownload
from async_storages.serving.stored_file import DeliveryMode
from async_storages.validation import FileValidator

__all__ = ["Authorize", "Deleted", "FileAction", "FileSummary", "files_router"]

FileAction = Literal["download", "info", "delete"]
"""The action of a client on a file. For a file in an archive, it is ``"download"``."""

type Authorize = Callable[[Request, FileAction, StoredFile], Awaitable[bool]]
"""A function that returns True if the client may do this with this file. It is called first."""


class FileSummary(BaseModel):
    """The facts of a file for clients.

    Attributes:
        file_id: The token or id that the client uses.
        file_name: The file name that users see.
        file_size: The size in bytes.
        last_modify_time: The time at which the file was stored. None if the storage does not report it.
        content_type: The stored content type.
    """

    file_id: str
    file_name: str
    file_size: int
    last_modify_time: datetime | None
    content_type: str | None


class Deleted(BaseModel):
    """The response to a delete."""

    detail: Literal["deleted"] = "deleted"


def files_router(
    manager: StorageManager | Callable[..., Any],
    secret_key: str | Sequence[str] | None = None,
    *,
    prefix: str = "/files",
    folder: str | None = None,
    validator: FileValidator | None = None,
    owner: Callable[..., Any] | None = None,
    authorize: Authorize | None = None,
    expires_in: float = 86_400,
    mode: DeliveryMode | None = None,
    max_files: int = 100,
) -> APIRouter:
    """Return a router with the routes of a file service, for clients with signed tokens.

    | route | body | response |
    | --- | --- | --- |
    | `POST /files/upload` | a form with one file | `FileAttach` |
    | `POST /files/batch-upload` | a form with several files | a list of `FileAttach`. All files are stored, or none |
    | `GET /files/{file_id}/download` | | the file: see `StoredFileResponse` |
    | `POST /files/download-zip` | a list of `FileDownload` | an archive, with its length if known |
    | `GET /files/{file_id}/info` | | `FileSummary` |
    | `DELETE /files/{file_id}` | | `Deleted` |

    Every ``file_id`` in a request or response is a token. The token of an upload allows its client to read and delete
    the file. Use `FileTokens` with the same secret to make other tokens, for example for a listing. To get the
    file id from a token in a route of your own, call `FileTokens.file_id`.

    With `authorize`, clients use raw ids instead, and the function decides about each request. To decide who may
    upload, include the router with `dependencies`.

    Args:
        manager: The manager of the files, or a dependency that returns one for each client. For example, a dependency
            that returns ``manager.within("tenants", …)`` limits each tenant to its own files, even with the tokens of
            others.
        secret_key: Signs the tokens. One secret, or several for rotation: the last one signs, all of them are accepted.
        prefix: The prefix of the routes.
        folder: The folder for the keys of uploads.
        validator: The rules for uploads. By default the validator of the manager.
        owner: A dependency that returns the client as a str. No other client can use the tokens of its uploads. None
            makes tokens that every client can use.
        authorize: A function that decides if a client may do something with a file. Use it instead of `secret_key`,
            never with it.
        expires_in: The lifetime of a token in seconds, 1 to 604,800.
        mode: The way of downloads to the client: see `DeliveryOptions`.
        max_files: The largest number of files in a form or an archive.

    Raises:
        InvalidArgumentException: Neither `secret_key` nor `authorize` is given, or both are.

    Example:
        >>> app.include_router(files_router(manager, secret, owner=current_user_id, folder="uploads"))
    """
    secret_key = hidden(secret_key)
    ids = _ids(secret_key, authorize, expires_in)
    router = APIRouter(prefix=prefix, tags=["files"], responses=problem_responses(400, 403))

    async def asking(
        request: Request,
        files: Annotated[StorageManager, Depends(_given(manager))],
        who: Annotated[str | None, Depends(owner or nobody)],
    ) -> _Client:
        return _Client(request, files, who)

    known = Depends(asking)
    given, missing = file_responses(redirect=mode != "proxy"), problem_responses(404)

    async def uploaded(client: _Client, most: int) -> list[FileAttach]:
        form = await stream_upload(client.request, client.files, folder=folder, validator=validator, max_files=most)
        if not form.attachments:
            raise InvalidArgumentException("the form holds no file", operation="upload")
        return [attach.model_copy(update={"file_id": ids.shown(attach, client)}) for attach in form.attachments]

    @router.post("/upload", openapi_extra=file_form("file"), responses=problem_responses(413))
    async def upload(client: _Client = known) -> FileAttach:
        """Store a file."""
        [attach] = await uploaded(client, 1)
        return attach

    @router.post("/batch-upload", openapi_extra=file_form("files", many=True), responses=problem_responses(413))
    async def batch_upload(client: _Client = known) -> list[FileAttach]:
        """Store several files, all or none."""
        return await uploaded(client, max_files)

    @router.post("/download-zip", response_class=Response, responses=file_responses("application/zip") | missing)
    async def download_zip(
        wanted: Annotated[list[FileDownload], Body(min_length=1, max_length=max_files)], client: _Client = known
    ) -> ZipResponse:
        """Download several files as one archive."""
        files = [(await ids.found(client, "download", each.file_id), each.file_name) for each in wanted]
        archive = await client.files.download_service.prepare_zip(
            [FileDownload(file_id=file.file_id, file_name=name) for file, name in files]
        )
        return ZipResponse(archive)

    @router.head("/{file_id:path}/download", include_in_schema=False)
    @router.get("/{file_id:path}/download", response_class=Response, responses=given | missing)
    async def download(file_id: str, client: _Client = known) -> StoredFileResponse:
        """Download a file."""
        file = await ids.found(client, "download", file_id)
        return StoredFileResponse(file, mode=mode, disposition="attachment")

    @router.get("/{file_id:path}/info", responses=missing)
    async def info(file_id: str, client: _Client = known) -> FileSummary:
        """Return name, size, content type and time of a file."""
        file = await ids.found(client, "info", file_id)
        facts = await client.files.info_service.get_file_info(file.file_id)
        return FileSummary.model_validate({**dict(facts), "file_id": file_id})

    @router.delete("/{file_id:path}")
    async def delete(file_id: str, client: _Client = known) -> Deleted:
        """Delete a file. A missing file is not an error."""
        await (await ids.found(client, "delete", file_id)).delete()
        return Deleted()

    return router


@dataclass(frozen=True, slots=True)
class _Client:
    """A client and its request.

    Attributes:
        request: The request.
        files: The manager of the files that the client may use.
        who: The client, as `owner` returns it.
    """

    request: Request
    files: StorageManager
    who: str | None


def _given(manager: StorageManager | Callable[..., Any]) -> Callable[..., Any]:
    async def the_same() -> Any:
        return manager

    return the_same if isinstance(manager, StorageManager) else manager


class _Ids(Protocol):
    """The ids of files that clients use."""

    def shown(self, attach: FileAttach, client: _Client) -> str:
        """Return the client's id of a file that it has uploaded."""
        ...

    async def found(self, client: _Client, action: FileAction, file_id: str) -> StoredFile:
        """Return the file that a client names, if the client may do this with it."""
        ...


class _SignedIds:
    def __init__(self, tokens: FileTokens) -> None:
        self._tokens = tokens

    def shown(self, attach: FileAttach, client: _Client) -> str:
        return self._tokens.sign(attach.fusion_id, "manage", owner=client.who)

    async def found(self, client: _Client, action: FileAction, file_id: str) -> StoredFile:
        right: FileRight = "manage" if action == "delete" else "read"
        return client.files.file(self._tokens.file_id(file_id, right, owner=client.who))


class _RawIds:
    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize

    def shown(self, attach: FileAttach, client: _Client) -> str:
        return attach.file_id

    async def found(self, client: _Client, action: FileAction, file_id: str) -> StoredFile:
        file = client.files.file(file_id)
        if not await self._authorize(client.request, action, file):
            raise AccessDeniedException("authorize said no", operation=action, file_id=file_id)
        return file


def _ids(secret_key: str | Sequence[str] | None, authorize: Authorize | None, expires_in: float) -> _Ids:
    if authorize is None and secret_key is not None:
        return _SignedIds(FileTokens(secret_key, expires_in=expires_in))
    if authorize is None or secret_key is not None:
        raise InvalidArgumentException("files_router takes either a secret_key for tokens, or authorize for raw ids")
    return _RawIds(authorize)
