"""What a transaction did to files: references added and removed, files made. Pure: who asks removes the files.

There is one frame for each transaction and each SAVEPOINT. A savepoint that is released gives all it knows to the
frame around it; one that is rolled back only the files that were made in it. The outermost frame decides at its end.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from async_storages.errors import StorageException
from async_storages.files import Fate, StoredFile
from async_storages.registry import Address

__all__ = ["Frame", "TrackedFile"]


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """A file by its id and the place of its storage: two folders hold files of one id.

    Attributes:
        file_id: The fusion id.
        address: Its storage's; None if no storage that is known serves the id.
        stored: The file object.
    """

    file_id: str
    address: Address | None
    stored: StoredFile = field(compare=False)

    @classmethod
    def of(cls, stored: StoredFile) -> "TrackedFile":
        """The file of a file object."""
        try:
            storage = stored.storage
            return cls(str(storage.identify(stored.file_id)), Address.of(storage), stored)
        except StorageException:
            return cls(stored.file_id, None, stored)


class Frame:
    """The files of one transaction or savepoint.

    Attributes:
        references: Rows that name the file now, less those that named it before, in the columns that clear up.
        made: The files that exist on account of this transaction alone, until it is committed.
        shared: Those that other rows may name as well.
    """

    def __init__(self) -> None:
        self.references: Counter[TrackedFile] = Counter()
        self.made: dict[TrackedFile, Fate] = {}
        self.shared: set[TrackedFile] = set()

    def make(self, stored: StoredFile) -> TrackedFile:
        """Note a file; from now on it is this transaction's to keep or to remove, if it is new."""
        file, fate = TrackedFile.of(stored), stored.fate
        if fate is not None and not fate.is_kept and file not in self.made:
            self.made[file] = fate
            fate.holders += 1
        return file

    def add(self, stored: StoredFile, times: int = 1) -> None:
        """A row names the file now."""
        self.references[self.make(stored)] += times

    def remove(self, stored: StoredFile, *, shared: bool = False) -> None:
        """A row names it no longer."""
        file = TrackedFile.of(stored)
        self.references[file] -= 1
        if shared:
            self.shared.add(file)

    def release(self, inner: "Frame") -> None:
        """A savepoint's work became this frame's."""
        self.references.update(inner.references)
        self.shared |= inner.shared
        self.undo(inner)

    def undo(self, inner: "Frame") -> None:
        """A savepoint was rolled back: what is left of it are its files."""
        for file, fate in inner.made.items():
            if file in self.made:
                fate.holders -= 1
            self.made.setdefault(file, fate)

    @property
    def dropped(self) -> list[TrackedFile]:
        """The files that fewer rows name than before."""
        return [file for file, count in self.references.items() if count < 0]

    @property
    def named(self) -> list[TrackedFile]:
        """The new files that rows name if, and only if, this transaction was committed."""
        return [
            file
            for file, fate in self.made.items()
            if self.references[file] > 0 and fate.holders == 1 and not fate.is_kept
        ]

    def named_by_rows(self, *, committed: bool) -> list[TrackedFile]:
        """The new files that rows name."""
        return [file for file in self.made if committed and self.references[file] > 0]

    def has_leftovers(self, *, committed: bool) -> bool:
        """Whether something may have to be removed at the end."""
        if not committed:
            return bool(self.made)
        return bool(self.dropped) or any(self.references[file] <= 0 for file in self.made)

    def end(self, *, committed: bool) -> list[TrackedFile]:
        """Decide on every file, once, when the outermost transaction has ended: those returned are to be removed."""
        removed = dict.fromkeys(self.dropped if committed else ())
        for file, fate in self.made.items():
            fate.holders -= 1
            if committed and self.references[file] > 0:
                fate.is_kept = True
            elif not (fate.is_kept or fate.holders):
                removed[file] = None
        return list(removed)

    def forget(self, removed: Iterable[TrackedFile]) -> None:
        """These files are about to be removed: whoever names one from now on is refused."""
        for file in removed:
            if file in self.made:
                self.made[file].is_gone = True

    def leave(self) -> None:
        """Nobody knows how the transaction ended: its files stay."""
        for fate in self.made.values():
            fate.holders -= 1
            fate.is_kept = True
