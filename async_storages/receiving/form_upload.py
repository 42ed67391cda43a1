"""Uploads through the application that stream from the socket straight to the storage.

They use no disk, and at most a few parts of a file are in memory. Limits are checked while the bytes arrive. If an
upload ends early, for any reason, it leaves no file.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypedDict

from async_storages._cleanup import UNDO_WITHIN, clean_up
from async_storages.errors import during
from async_storages.manager.manager import StorageManager
from async_storages.manager.services import UploadService
from async_storages.models import FileAttach
from async_storages.receiving.form_reader import FormReader
from async_storages.validation import FileValidator

__all__ = ["FormItems", "FormOptions", "OnProgress", "StreamedForm", "UploadProgress", "store_form"]


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """The progress of one file in a form.

    Attributes:
        file_name: The name from the client, untrusted.
        received: The number of bytes of the file so far.
        request_size: The size of the whole form in bytes, as the client declares it. None if it does not.
    """

    file_name: str
    received: int
    request_size: int | None


type OnProgress = Callable[[UploadProgress], object]
"""A function that takes the progress after each chunk of a file. It must be quick and must not block."""


class FormItems[Value](Mapping[str, Value]):
    """The values of a form by field. A field may occur several times. ``[field]`` returns its last value.

    Args:
        items: The fields and values, in order.
    """

    def __init__(self, items: list[tuple[str, Value]]) -> None:
        self._items = items
        self._last = dict(items)

    def __getitem__(self, field: str) -> Value:
        return self._last[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def getlist(self, field: str) -> list[Value]:
        """Return all values of a field, in order."""
        return [value for name, value in self._items if name == field]

    def multi_items(self) -> list[tuple[str, Value]]:
        """Return all fields and values, in order."""
        return list(self._items)


@dataclass(frozen=True, slots=True)
class StreamedForm:
    """A form with stored files.

    Attributes:
        files: The files by field. ``files.getlist("photos")`` returns all files of one field, in order.
        fields: The texts of the other fields, by field.
    """

    files: FormItems[FileAttach]
    fields: FormItems[str]

    @property
    def attachments(self) -> list[FileAttach]:
        """All files, in order."""
        return [attach for _, attach in self.files.multi_items()]


class FormOptions(TypedDict, total=False):
    """Options of `stream_upload`, in every framework.

    Attributes:
        folder: The folder for the keys of the files.
        bucket: A bucket other than the default one.
        metadata: Key-value pairs to store with each file.
        validator: The rules for files. By default the validator of the manager.
        max_files: The largest number of files in the form, at least 1. The default is 100.
        on_progress: A function that takes the progress after each chunk of a file. (uvicorn's chunks have at most
            64 KiB.) It must be quick and must not block.
    """

    folder: str | None
    bucket: str | None
    metadata: Mapping[str, str] | None
    validator: FileValidator | None
    max_files: int
    on_progress: OnProgress | None


async def store_form(
    body: AsyncGenerator[bytes],
    headers: Mapping[str, str],
    manager: StorageManager,
    *,
    folder: str | None = None,
    bucket: str | None = None,
    metadata: Mapping[str, str] | None = None,
    validator: FileValidator | None = None,
    max_files: int = 100,
    on_progress: OnProgress | None = None,
) -> StreamedForm:
    """Store the files of a form while it arrives: all of them, or none.

    Args:
        body: The body of the request, ``multipart/form-data``. It is closed at the end.
        headers: The headers of the request, by their names in lower case. Repeated headers are joined by commas.
        manager: The manager that stores the files.
        folder: See `FormOptions`.
        bucket: See `FormOptions`.
        metadata: See `FormOptions`.
        validator: See `FormOptions`.
        max_files: See `FormOptions`.
        on_progress: See `FormOptions`.

    Returns:
        The form with the stored files.

    Raises:
        InvalidArgumentException: The form is malformed, incomplete or has too many files, or the client has
            disconnected.
        FileTooLargeException: A file is larger than allowed, or the form has more than 1 MiB of text.
        InvalidFileTypeException: A file has a type that is not allowed.
        StorageException: As for `UploadService.upload_stream`.
    """
    service = manager.upload_service if validator is None else UploadService(manager, validator)
    report = _reporter(headers.get("content-length"), on_progress)

    async def store(file_name: str, content: AsyncGenerator[bytes]) -> FileAttach:
        watched = _watched(content, file_name, report)
        return await service.upload_stream(file_name, watched, folder=folder, bucket=bucket, metadata=metadata)

    form = FormReader(body, headers.get("content-type", ""), store, max_files=max_files)
    with during("stream_upload", None):
        try:
            await form.read()
        except BaseException as error:
            stored = [attach.file_id for _, attach in form.files]
            await clean_up(manager.delete_service.delete_files(stored), error, within=UNDO_WITHIN)
            raise
    return StreamedForm(FormItems(form.files), FormItems(form.fields))


def _reporter(declared: str | None, on_progress: OnProgress | None) -> Callable[[str, int], object]:
    if on_progress is None:
        return lambda _file_name, _received: None
    request_size = None if declared is None else int(declared)  # digits only: servers refuse others
    return lambda file_name, received: on_progress(UploadProgress(file_name, received, request_size))


async def _watched(
    content: AsyncGenerator[bytes], file_name: str, report: Callable[[str, int], object]
) -> AsyncGenerator[bytes]:
    received = 0
    async for chunk in content:
        received += len(chunk)
        report(file_name, received)
        yield chunk
