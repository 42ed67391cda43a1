"""Dependencies for path operations: the manager and its services, a session, and a checked upload."""

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from inspect import signature
from typing import Annotated, Any

from fastapi import Depends
from fastapi.concurrency import contextmanager_in_threadpool

from async_storages.errors import InvalidArgumentException
from async_storages.image_rules import ImageRules
from async_storages.integrations.fastapi.checked_upload import CheckedUpload
from async_storages.integrations.starlette.streamed_forms import get_manager
from async_storages.manager.manager import StorageManager
from async_storages.manager.services import DeleteService, DownloadService, InfoService, UploadService
from async_storages.validation import FileTypeConfig, FileValidator

__all__ = [
    "DeleteServiceDep",
    "DownloadServiceDep",
    "InfoServiceDep",
    "ManagerDep",
    "UploadDep",
    "UploadServiceDep",
    "get_manager",
    "nobody",
    "session_dependency",
]


_UNTIL_IT_RETURNS: dict[str, Any] = {"scope": "function"} if "scope" in signature(Depends).parameters else {}
"""The scope exists since FastAPI 0.121. Before 0.118, FastAPI always worked this way."""

ManagerDep = Annotated[StorageManager, Depends(get_manager)]
"""The `StorageManager`. Tests override `get_manager` in `app.dependency_overrides`."""


async def _upload_service(manager: ManagerDep) -> UploadService:
    return manager.upload_service


async def _download_service(manager: ManagerDep) -> DownloadService:
    return manager.download_service


async def _delete_service(manager: ManagerDep) -> DeleteService:
    return manager.delete_service


async def _info_service(manager: ManagerDep) -> InfoService:
    return manager.info_service


UploadServiceDep = Annotated[UploadService, Depends(_upload_service)]
"""The manager's `UploadService`."""

DownloadServiceDep = Annotated[DownloadService, Depends(_download_service)]
"""The manager's `DownloadService`."""

DeleteServiceDep = Annotated[DeleteService, Depends(_delete_service)]
"""The manager's `DeleteService`."""

InfoServiceDep = Annotated[InfoService, Depends(_info_service)]
"""The manager's `InfoService`."""


async def nobody() -> None:
    """Return None as the owner: every client that has a token or key may use it."""


def session_dependency[Session](
    sessions: Callable[[], AbstractAsyncContextManager[Session] | AbstractContextManager[Session]],
) -> Any:
    """Return a dependency that opens a session for each request, and closes it when the path operation ends.

    Closing the session rolls back uncommitted changes. With `enable_file_tracking`, it also deletes their new files.

    FastAPI closes the session *before* it sends the response (``scope="function"``). So a slow client does not hold a
    database connection, and an error while closing is an error of the request. Load everything that a streaming
    response needs before you return. (FastAPI 0.118 to 0.120 always close the session after the response.)

    Args:
        sessions: An `async_sessionmaker`. Or a `sessionmaker`, for path operations declared with ``def``: a thread
            closes its sessions. Or another callable that returns a context manager with a session.

    Returns:
        A dependency for `Annotated`. Its `dependency` attribute is the key for `app.dependency_overrides`.

    Example:
        >>> sessions = enable_file_tracking(async_sessionmaker(engine))
        >>> SessionDep = Annotated[AsyncSession, session_dependency(sessions)]
    """

    async def session() -> AsyncGenerator[Session]:
        made = sessions()
        manager = made if isinstance(made, AbstractAsyncContextManager) else contextmanager_in_threadpool(made)
        async with manager as opened:
            yield opened

    return Depends(session, **_UNTIL_IT_RETURNS)


def UploadDep(  # noqa: N802 - it stands where a type's name would
    validator: FileValidator | None = None,
    *,
    max_size: int | None = None,
    types: Collection[str] = (),
    extensions: Collection[str] = (),
    image: ImageRules | None = None,
    field: str | None = None,
    required: bool = True,
) -> Any:
    """Return a dependency for an `UploadFile`. It checks size, extension and, from the first bytes, the content type.

    Starlette has received the whole form before the check, and keeps a file above 1 MiB on disk. To limit the form
    while it arrives, use FastAPI's own ``max_body_size=`` (from 0.164 on) of the application, router or path operation.

    Args:
        validator: The rules. Use either this or the next four arguments.
        max_size: The largest size in bytes. None allows every size.
        types: The allowed content types, for example ``"image/*"`` or ``"application/pdf"``. Empty allows all. The type
            that the client declares is ignored.
        extensions: The allowed extensions. Empty allows all.
        image: The rules for images, which are decoded. None applies no such rules.
        field: The name of the form field. None uses the name of the parameter.
        required: True answers 422 if the user chose no file. False then passes None, so declare ``UploadFile | None``.
            No file is chosen if the field is missing, or has no name and no bytes, as browsers send it.

    Raises:
        InvalidArgumentException: A limit is wrong, or a validator and other rules are given.
        pydantic.ValidationError: A content type or an extension is malformed.

    Example:
        >>> @app.post("/photos")
        ... async def upload(file: Annotated[UploadFile, UploadDep(max_size=10_000_000, types=["image/*"])]): ...
    """
    if validator is None:
        rules = FileTypeConfig(whitelist=tuple(extensions), type_whitelist=tuple(types))
        validator = FileValidator(rules, max_size, image)
    elif max_size is not None or types or extensions or image is not None:
        raise InvalidArgumentException("UploadDep takes either a validator or rules of its own")
    return Depends(CheckedUpload(validator, field, is_required=required), use_cache=False)
