"""Dependencies of path operations: the manager and its services, a session, an upload that keeps to rules."""

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
"""FastAPI has had it since 0.121; before 0.118 it did nothing else."""

ManagerDep = Annotated[StorageManager, Depends(get_manager)]
"""The `StorageManager`; tests override `get_manager` (`app.dependency_overrides`)."""


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
    """The owner of tokens and keys that are good for whoever holds them."""


def session_dependency[Session](
    sessions: Callable[[], AbstractAsyncContextManager[Session] | AbstractContextManager[Session]],
) -> Any:
    """A session for each request, closed as soon as the path operation has returned or raised.

    All that was not committed by then is rolled back, and with `enable_file_tracking` its new files are removed. It is
    closed *before* the answer is sent (``scope="function"`` of FastAPI): a client that reads slowly keeps no database
    connection, and an error in closing is still an error of the request. So read what a streamed answer needs before.
    (FastAPI 0.118 to 0.120 close it after the answer: they cannot be told otherwise.)

    Args:
        sessions: The `async_sessionmaker`; or a `sessionmaker`, whose sessions are closed in a thread, for path
            operations that are declared with ``def``; or another callable that gives a context manager of a session.

    Returns:
        A dependency for `Annotated`; its `dependency` is the key for `app.dependency_overrides`.

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
    """An `UploadFile` that was looked at: its size, its extension, and its type by the first bytes.

    Starlette has received the whole form by then, on disk above 1 MiB. What limits that is FastAPI's own
    ``max_body_size=`` (from 0.164 on) of the application, router or path operation, which is counted while the form
    comes in.

    Args:
        validator: The rules that let it in; or, in place of them, the next four.
        max_size: The largest file in bytes; None for any.
        types: The content types allowed, such as ``"image/*"`` or ``"application/pdf"``; none for all. What the
            client declares counts for nothing.
        extensions: The extensions allowed; none for all.
        image: The rules for images, which are decoded; None for none.
        field: The name of the form's field; None for the name of the parameter.
        required: Answer 422 where no file was chosen, whether the field is missing or, as browsers send it, has no name
            and no bytes. With False it is None then: ask for ``UploadFile | None``.

    Raises:
        InvalidArgumentException: A limit that cannot be; a validator beside other rules.
        pydantic.ValidationError: A type or an extension that cannot be.

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
