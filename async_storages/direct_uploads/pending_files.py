"""Pending files: uploads that are not attached yet, complete or under way."""

from collections.abc import Callable, Sequence
from types import TracebackType

from async_storages import naming
from async_storages._secrets import hidden, without_frames
from async_storages.direct_uploads.first_claim import PendingUpload
from async_storages.direct_uploads.pending_keys import PendingKeys
from async_storages.errors import InvalidArgumentException, StorageException
from async_storages.ids import FileId
from async_storages.storage.base import Storage

__all__ = ["PendingFiles", "errors_name"]


class PendingFiles:
    """Makes the ids of pending files in one folder of a storage, and checks them.

    Args:
        storage: The storage of the pending files.
        secret_key: Signs their keys. One secret, or several for rotation: the last one signs, all are accepted.
        pending: The folder of the pending files.
        folder: The folder of the attached files.
        keep_for: Seconds in which an upload must be attached.
        clock: Returns the time in seconds since 1970.

    Raises:
        InvalidArgumentException: A folder or secret is wrong.
    """

    def __init__(
        self,
        storage: Storage,
        secret_key: str | Sequence[str],
        *,
        pending: str,
        folder: str,
        keep_for: float,
        clock: Callable[[], float],
    ) -> None:
        secret_key = hidden(secret_key)
        if PendingKeys.is_claim_name(folder):
            raise InvalidArgumentException(f"a folder must not begin with 'attached-', as claims do: {folder!r}")
        self._storage = storage
        self._pending = naming.check_key(pending)
        self._folder = folder
        self._keep_for = keep_for
        root = storage.identify(pending)
        self._root = root.key
        self._keys = PendingKeys(secret_key, f"direct upload {root} {folder}", root.key, clock=clock)

    @property
    def prefix(self) -> str:
        """The beginning of the bare keys of all pending files, and of their claims and parts."""
        return f"{self._pending}/"

    def new(self, name: str, owner: str | None) -> FileId:
        """Return the id of a new pending file.

        Args:
            name: A clean name.
            owner: The client that may attach it. None allows every client that knows the key.
        """
        return self._file_id(self._keys.new(naming.unique_key(name, self._folder), owner, keep_for=self._keep_for))

    def known(self, operation: str, key: str, owner: str | None) -> "errors_name[FileId]":
        """Check a client's key, and return a context manager with the pending file. Its errors do not name the key.

        Raises:
            AccessDeniedException: The key was altered, belongs to another client, or has expired.
        """
        key = hidden(key)
        with errors_name(operation, None, None):
            target = self._keys.target(key, owner)
        return errors_name(operation, target, self._file_id(key))

    def upload(self, file: FileId) -> PendingUpload:
        """Return the facts of a pending file that `attach` needs."""
        key = hidden(file.key)
        folder, _, name = self._keys.folder_and_name(key).rpartition("/")
        return PendingUpload(
            file,
            folder=folder,
            name=naming.original_filename(name),
            claims=self._keys.claims(key).removeprefix(self._root.removesuffix(self._pending)),
            seconds=self._keys.seconds_left(key),
        )

    def is_over(self, file: FileId) -> bool:
        """Return True if a file in the pending folder has expired."""
        return self._keys.is_over(file.key)

    def is_claim(self, file: FileId) -> bool:
        """Return True for a claim on an upload."""
        return self._keys.is_claim(file.key)

    def _file_id(self, key: str) -> FileId:
        return FileId(self._storage.scheme, self._storage.bucket, key)


class errors_name[Value]:  # noqa: N801 - it reads like a function
    """Remove the key of a pending file, which holds a signature, from the errors of a block and their tracebacks.

    It is a class, because context managers made from generators put the frames back.

    Args:
        operation: The operation that errors name.
        shown: The file that errors name.
        value: The value of the `with` statement.
    """

    __slots__ = ("_operation", "_shown", "_value")

    def __init__(self, operation: str, shown: str | None, value: Value) -> None:
        self._operation = operation
        self._shown = shown
        self._value = value

    def __enter__(self) -> Value:
        """Return the value."""
        return self._value

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, StorageException):
            error.operation, error.file_id = self._operation, self._shown
            without_frames(error)
