"""The route of a migration: which ids move, and which new id each gets."""

from collections.abc import Callable
from dataclasses import dataclass

from async_storages import naming
from async_storages.errors import InvalidArgumentException, RouteNotSupportedException, StorageException, during
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.registry import StorageAddress, StorageRouter
from async_storages.storage.base import Storage
from async_storages.storage.operation import IdentifiedKey

__all__ = ["KeyRule", "MovingFile", "NewKey", "Route", "serves"]


@dataclass(frozen=True, slots=True)
class MovingFile:
    """A file that is about to be copied. A rule uses it to choose the new key.

    Attributes:
        file_id: Its id in the source.
        filename: Its clean name for people. It comes from the row if the row stores the name, else from the source,
            else from the id.
        info: The source's facts about the file.
    """

    file_id: str
    filename: str
    info: FileBasicInfo

    @property
    def key(self) -> str:
        """The file's key in the source. In FastDFS it is the whole id."""
        return FileId.parse(self.file_id).key


type KeyRule = Callable[[MovingFile], str]
"""A function that returns a folder, with a slash at its end, or an exact key, which must be free."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """The new key of a file.

    Attributes:
        key: The key.
        file_id: Its id.
        is_exact: True if a rule has chosen the key. Another file may have it already.
    """

    key: str
    file_id: str
    is_exact: bool


class Route:
    """The source, the target, and the rule between them.

    Args:
        source: The storage that files leave. It may be limited to a folder.
        target: The storage that gets the files.
        folder: The folder of the new keys. None keeps the old folder. If the source chooses its ids, None means no
            folder.
        key: A rule that replaces `folder`.

    Raises:
        InvalidArgumentException: An option is wrong, or both storages have the same ids.
    """

    def __init__(self, source: Storage, target: Storage, folder: str | None, key: KeyRule | None) -> None:
        if folder is not None and key is not None:
            raise InvalidArgumentException("a migration has a folder or a key, not both", operation="migrate")
        if target.chooses_ids:
            raise InvalidArgumentException(
                f"{target!r} chooses the ids of its files, so a killed mover could leave one that nobody knows: "
                "files can be moved only to storages with keys of ours",
                operation="migrate",
            )
        if target.read_only:
            raise InvalidArgumentException(f"{target!r} is read-only, and cannot take files", operation="migrate")
        if (source.scheme, source.bucket, source.prefix) == (target.scheme, target.bucket, target.prefix):
            raise InvalidArgumentException(
                f"{source!r} and {target!r} have the same ids, so no row would change: give one of them a folder, "
                "`storage.within(…)`, or copy the files with other tools and change the storage's address",
                operation="migrate",
            )
        self.source = source
        self.target = target
        self._folder = None if folder is None else naming.clean_folder(folder)
        self._rule = key
        self._address = StorageAddress.of(source)

    def moving_id(self, router: StorageRouter, text: str) -> str | None:
        """Return the full id that a row's value names, if it is a file of the source; otherwise None.

        Args:
            router: The storage or manager of the column.
            text: The value in the column: a full id, or a bare key.
        """
        try:
            file_id = str(router.identify(text))
            storage = router.storage_for(file_id)
        except StorageException:
            return None
        return file_id if StorageAddress.of(storage) == self._address and self.is_of_source(file_id) else None

    def is_of_source(self, file_id: str) -> bool:
        """Return True if an id belongs to the source. Of two nested folders, the inner one owns the id."""
        if not serves(self.source, file_id):
            return False
        return len(self.target.prefix) <= len(self.source.prefix) or not serves(self.target, file_id)

    def new_key(self, file: MovingFile) -> NewKey:
        """Choose the new key of a file.

        Raises:
            InvalidArgumentException: The rule returns a key that cannot be written, or a key in the source.
        """
        with during("migrate", file.file_id):
            chosen = f"{self._folder_for(file)}/" if self._rule is None else self._rule(file)
            if not isinstance(chosen, str):
                raise InvalidArgumentException(f"the rule for keys returned {chosen!r}, which is no text")
            if is_exact := not (chosen.endswith("/") or chosen == ""):
                key = naming.check_key(chosen)
            else:
                key = IdentifiedKey.fresh(self.target, file.filename, chosen.strip("/"))
            new = NewKey(key, str(self.target.identify(key)), is_exact)
            if self.is_of_source(new.file_id):
                raise InvalidArgumentException(
                    f"the new id {new.file_id!r} would be one of the source: {self.source!r}"
                )
            return new

    def _folder_for(self, file: MovingFile) -> str:
        if self._folder is not None:
            return self._folder
        if self.source.chooses_ids:
            return ""
        key = self.source.bare_key(FileId.parse(file.file_id))
        return naming.clean_folder(key.rpartition("/")[0])

    def require_served(self, router: StorageRouter, column: str) -> None:
        """Require that a column which names files of the source can name files of the target.

        Raises:
            RouteNotSupportedException: The column's storage does not serve them.
        """
        file_id = str(self.target.identify("probe"))
        try:
            is_ours = StorageAddress.of(router.storage_for(file_id)) == StorageAddress.of(self.target)
        except StorageException:
            is_ours = False
        if not is_ours:
            raise RouteNotSupportedException(
                f"the storage of {column} does not serve the target's ids: give the column a manager of both, "
                "`StorageManager.from_storages(target, source)`, before files are moved",
                operation="migrate",
                file_id=file_id,
            )


def serves(storage: Storage, file_id: str) -> bool:
    """Return True if an id belongs to a storage. A storage might take an id of FastDFS for its own bare key."""
    try:
        parsed = FileId.parse(file_id)
        storage.identify(file_id)
    except StorageException:
        return False
    return (parsed.scheme, parsed.bucket) == (storage.scheme, storage.bucket)
