"""Uploads through the application, from the socket straight to their storage.

Nothing is on disk, at most a few parts of a file are in memory, limits hold while the bytes arrive, and whatever ends
an upload early leaves no file behind. For routes that take FastAPI's `UploadFile`, which is received whole before the
route is called, see `UploadDep`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request

from async_storages._cleanup import clean_up
from async_storages.errors import during
from async_storages.integrations.fastapi.form_reader import FormReader
from async_storages.manager.manager import StorageManager
from async_storages.manager.services import UploadService
from async_storages.models import FileAttach
from async_storages.validation import FileValidatorImpl

__all__ = ["StreamedForm", "UploadProgress", "stream_upload"]

_UNDO_WITHIN = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far the upload of a file is.

    Attributes:
        file_name: As the client calls it, untrusted.
        received: Bytes of the file so far.
        request_size: Bytes of the whole form, as the client declares them; None where it does not.
    """

    file_name: str
    received: int
    request_size: int | None


type OnProgress = Callable[[UploadProgress], object]


@dataclass(frozen=True, slots=True)
class StreamedForm:
    """A form whose files are stored.

    Attributes:
        files: By field, in order; ``files.getlist("photos")`` gives those of one field.
        fields: The other fields, likewise.
    """

    files: ImmutableMultiDict[str, FileAttach]
    fields: ImmutableMultiDict[str, str]

    @property
    def attachments(self) -> list[FileAttach]:
        """All files, in order."""
        return [attach for _, attach in self.files.multi_items()]


async def stream_upload(
    request: Request,
    manager: StorageManager,
    *,
    folder: str | None = None,
    bucket: str | None = None,
    metadata: Mapping[str, str] | None = None,
    validator: FileValidatorImpl | None = None,
    max_files: int = 100,
    on_progress: OnProgress | None = None,
) -> StreamedForm:
    """Store the files of a form while it arrives: all of them, or none.

    The path operation must not ask for `UploadFile`, `File` or `Form`: FastAPI would read the body first.

    Args:
        request: Its body is ``multipart/form-data``.
        manager: Where the files go.
        folder: The folder of their keys.
        bucket: Another bucket than the default one.
        metadata: The user's key-value pairs, for each file.
        validator: What is let in; by default what the manager lets in.
        max_files: The most that a form may hold, at least 1.
        on_progress: Called with each piece of a file that arrives (64 KiB at the most from uvicorn); it must be quick
            and not block.

    Raises:
        InvalidArgumentException: The form is malformed, cut short, or of too many files; or the client has gone.
        FileTooLargeException: A file is larger than allowed, or there is more than 1 MiB of text beside them.
        InvalidFileTypeException: A file is of a type that is not allowed.
        StorageException: As for `UploadService.upload_stream`.

    Example:
        >>> @app.post("/photos")
        ... async def upload(request: Request, manager: ManagerDep) -> list[FileAttach]:
        ...     return (await stream_upload(request, manager, folder="photos")).attachments
    """
    service = manager.upload_service if validator is None else UploadService(manager, validator)
    report = _reporter(request, on_progress)

    async def store(file_name: str, content: AsyncGenerator[bytes]) -> FileAttach:
        watched = _watched(content, file_name, report)
        return await service.upload_stream(file_name, watched, folder=folder, bucket=bucket, metadata=metadata)

    form = FormReader(request, store, max_files=max_files)
    with during("stream_upload", None):
        try:
            await form.read()
        except BaseException as error:
            stored = [attach.file_id for _, attach in form.files]
            await clean_up(manager.delete_service.delete_files(stored), error, within=_UNDO_WITHIN)
            raise
    return StreamedForm(ImmutableMultiDict(form.files), ImmutableMultiDict(form.fields))


def _reporter(request: Request, on_progress: OnProgress | None) -> Callable[[str, int], object]:
    if on_progress is None:
        return lambda _file_name, _received: None
    declared = request.headers.get("content-length")  # digits only: servers refuse others
    request_size = None if declared is None else int(declared)
    return lambda file_name, received: on_progress(UploadProgress(file_name, received, request_size))


async def _watched(
    content: AsyncGenerator[bytes], file_name: str, report: Callable[[str, int], object]
) -> AsyncGenerator[bytes]:
    received = 0
    async for chunk in content:
        received += len(chunk)
        report(file_name, received)
        yield chunk
