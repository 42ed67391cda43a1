"""Uploads through the application, from the socket straight to their storage.

Nothing is on disk, at most a few parts of a file are in memory, limits hold while the bytes arrive, and whatever ends
an upload early leaves no file behind.
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
    """The progress of the upload of a file.

    Attributes:
        file_name: As the client calls it, untrusted.
        received: Bytes of the file so far.
        request_size: Bytes of the whole form, as the client declares them; None where it does not.
    """

    file_name: str
    received: int
    request_size: int | None


type OnProgress = Callable[[UploadProgress], object]
"""Called with each piece of a file; it must be quick and not block."""


class FormItems[Value](Mapping[str, Value]):
    """Values of a form by their fields, of which one may come several times; ``[field]`` is the last one of it.

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
        """All values of a field, in order."""
        return [value for name, value in self._items if name == field]

    def multi_items(self) -> list[tuple[str, Value]]:
        """All fields and values, in order."""
        return list(self._items)


@dataclass(frozen=True, slots=True)
class StreamedForm:
    """A form whose files are stored.

    Attributes:
        files: By field, in order; ``files.getlist("photos")`` gives those of one field.
        fields: The other fields, likewise.
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
        folder: The folder of the files' keys.
        bucket: Another bucket than the default one.
        metadata: The user's key-value pairs, for each file.
        validator: The rules that let files in; by default the manager's.
        max_files: The most that a form may hold, at least 1; 100 by default.
        on_progress: Called with each piece of a file that arrives (64 KiB at the most from uvicorn); it must be quick
            and not block.
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
        body: The body of the request, ``multipart/form-data``; closed at the end.
        headers: The request's, by their names in lower case, several lines of one joined by commas.
        manager: The storage of the files.
        folder: See `FormOptions` for this and the rest.
        bucket: See there.
        metadata: See there.
        validator: See there.
        max_files: See there.
        on_progress: See there.

    Raises:
        InvalidArgumentException: The form is malformed, cut short, or of too many files; or the client has gone.
        FileTooLargeException: A file is larger than allowed, or there is more than 1 MiB of text beside them.
        InvalidFileTypeException: A file is of a type that is not allowed.
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
