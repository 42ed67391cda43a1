"""The files of one transaction, or of one savepoint: files made, references added and dropped.

There is one scope for each transaction and each SAVEPOINT. A savepoint that is released gives all it knows to the scope
around it; one that is rolled back only the files that were made in it. Which files rows name in the end is not counted:
the database is asked.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Flag, auto
from itertools import batched

from sqlalchemy import Connection, Engine
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import SessionTransaction

from async_storages._file_facts import NewFileState
from async_storages.files import StoredFile, new_file_state_of
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import FileField, exchanged, items
from async_storages.integrations.sqlalchemy.columns.list_attributes import put
from async_storages.integrations.sqlalchemy.columns.tracked_file import TrackedFile
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.references.column_locations import Location, locate
from async_storages.integrations.sqlalchemy.references.lookup import Answer
from async_storages.integrations.sqlalchemy.tracking import files_in_use
from async_storages.integrations.sqlalchemy.tracking.files_in_use import Inquiry
from async_storages.integrations.sqlalchemy.tracking.uploads import Assigned

__all__ = ["Mention", "Options", "Scope"]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of `enable_file_tracking`."""

    concurrency: int
    removal_timeout: float
    claims: Claims | None = None


class Mention(Flag):
    """The ways in which a transaction mentions a file."""

    ADDED = auto()
    ADDED_EXCLUSIVELY = auto()
    DROPPED = auto()
    DROPPED_EXCLUSIVELY = auto()
    KEPT = auto()
    DOUBTFUL = auto()


_AT_A_TIME = 100
"""Files between which others get their turn."""

_NO_QUESTION = (Mention.ADDED_EXCLUSIVELY, Mention.DROPPED_EXCLUSIVELY)
_DROPS = Mention.DROPPED | Mention.DROPPED_EXCLUSIVELY
_ADDS = Mention.ADDED | Mention.ADDED_EXCLUSIVELY | Mention.KEPT


@dataclass(slots=True, eq=False, weakref_slot=True)
class Scope:
    """One of SQLAlchemy's transactions, or a savepoint.

    Attributes:
        transaction: The transaction itself.
        made: Files that exist on account of this transaction alone, until it is committed.
        mentions: Files that rows were given, or had before.
        located: The columns that may name these files, by the connections on which they are asked.
        is_undisturbed: They are those of plain tables, and all has been written by flushes: no statement since can have
            changed which of the new files rows name.
        columns: Tells, by engine, the columns that may name files of which no connection was asked.
        uploads: Attributes whose content was uploaded in it.
        intents: Ids that it has put into a ledger's journal, and the labels of their storages.
        claimed: Ids that it has claimed from a ledger.
        connections: The connections it works on.
        held: Files that are in `holds` on its account.
        holds_everything: It names files that nobody knows.
        answer: The database's answer about the files, given before the commit.
        inquiry: The question of that answer.
        inherited: Files that others wanted to remove while it named them.
        is_committed: It was committed, or the savepoint released.
    """

    transaction: SessionTransaction | None
    made: dict[TrackedFile, NewFileState] = field(default_factory=dict)
    mentions: dict[TrackedFile, Mention] = field(default_factory=dict)
    located: dict[Connection, set[Location]] = field(default_factory=dict)
    columns: Callable[[Collection[TrackedFile]], Mapping[Engine, Collection[FileField]]] | None = None
    uploads: list[Assigned] = field(default_factory=list)
    intents: dict[str, str] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    connections: list[Connection] = field(default_factory=list)
    answer: Answer | None = None
    inquiry: Inquiry | None = None
    inherited: list[TrackedFile] = field(default_factory=list)
    is_committed: bool = False
    is_undisturbed: bool = False
    held: set[TrackedFile] = field(default_factory=set)
    holds_everything: bool = False

    # ---- what happens

    def make(self, stored: StoredFile) -> TrackedFile:
        """Note a file; from now on it is this transaction's to keep or to remove, if it is new."""
        file, fate = TrackedFile.of(stored), new_file_state_of(stored)
        if fate is not None and not fate.is_kept:
            self.made[file] = fate
            self._hold(file)
        return file

    def name(self, stored: StoredFile) -> TrackedFile:
        """A row is about to name the file: nobody in this process removes it meanwhile."""
        file = self.make(stored)
        self._hold(file)
        return file

    def add(self, file_field: FileField, stored: StoredFile) -> TrackedFile:
        """A row names the file now."""
        file = self.name(stored)
        if file_field.is_cleared:
            self._mention(file, Mention.ADDED_EXCLUSIVELY if file_field.type.exclusive else Mention.ADDED)
        else:
            self._mention(file, Mention.KEPT)
        return file

    def drop(self, file_field: FileField, file: TrackedFile) -> None:
        """A row that named the file names it no longer."""
        self._mention(file, Mention.DROPPED_EXCLUSIVELY if file_field.type.exclusive else Mention.DROPPED)

    def _mention(self, file: TrackedFile, mention: Mention) -> None:
        self.mentions[file] = self.mentions.get(file, mention) | mention

    def _hold(self, file: TrackedFile) -> None:
        if file not in self.held:
            self.held.add(file)
            files_in_use.hold(file)

    def hold_everything(self) -> None:
        """A row is about to name a file that nobody knows."""
        if not self.holds_everything:
            self.holds_everything = True
            files_in_use.hold_everything(self)

    def __del__(self) -> None:
        """A session that is dropped in the middle of a transaction holds nothing any more."""
        if self.held:
            files_in_use.release(self.held)

    def let_go(self) -> list[TrackedFile]:
        """The transaction has ended: it names nothing any more that others do not see; see `holds.release`."""
        inherited: list[TrackedFile] = []
        for batch in batched(self.held, _AT_A_TIME):
            inherited += files_in_use.release(batch)
            _greenlet.give_way()
        self.held.clear()
        if self.holds_everything:
            self.holds_everything = False
            inherited += files_in_use.release_everything(self)
        return inherited

    # ---- where rows may name its files

    def locate(self, connection: Connection, locations: Iterable[Location]) -> None:
        """Note columns that may name its files."""
        self.located.setdefault(connection, set()).update(locations)

    def look_again(self) -> None:
        """Look up, before anything else may change it, where the columns of plain tables are for this transaction."""
        if self.is_undisturbed:
            self.is_undisturbed = False
            for connection, locations in self.located.items():
                self.located[connection] = set(locate(connection, [each.field for each in locations]))

    # ---- where it ends

    def release(self, inner: "Scope") -> None:
        """Take over what a savepoint, or a session inside of this transaction, has done."""
        for file, mention in inner.mentions.items():
            self._mention(file, mention)
        self.uploads += inner.uploads
        self.claimed |= inner.claimed
        self._take_over(inner)

    def undo(self, inner: "Scope") -> None:
        """Take over the files of a savepoint that was rolled back."""
        for file in inner.made:
            self._mention(file, Mention.DOUBTFUL)
        self._take_over(inner)

    def _take_over(self, inner: "Scope") -> None:
        self.made |= inner.made
        self.intents |= inner.intents
        for connection, locations in inner.located.items():
            self.locate(connection, locations)
        self.columns = self.columns or inner.columns
        if inner.holds_everything:
            self.hold_everything()
            files_in_use.release_everything(inner)
            inner.holds_everything = False
        files_in_use.release(self.held & inner.held)
        self.held |= inner.held
        inner.held = set()

    # ---- what is to be decided

    @property
    def is_idle(self) -> bool:
        """It did nothing to files."""
        return not (self.made or self.mentions or self.intents or self.held or self.holds_everything)

    def is_named_for_sure(self, file: TrackedFile) -> bool:
        """Rows name the file if this is committed, as far as this transaction knows."""
        mention = self.mentions.get(file, Mention.DOUBTFUL)
        return Mention.KEPT in mention or not mention & ~_ADDS

    @property
    def questionable(self) -> list[TrackedFile]:
        """Files of which the database is asked whether rows name them."""
        unmentioned = (file for file in self.made if file not in self.mentions)
        return [
            *unmentioned,
            *(file for file, each in _greenlet.paced(self.mentions.items()) if self._asks(file, each)),
        ]

    def _asks(self, file: TrackedFile, mention: Mention) -> bool:
        if mention in _NO_QUESTION or mention & Mention.KEPT:
            return False
        return bool(mention & _DROPS) or file in self.made

    @property
    def dropped_for_sure(self) -> list[TrackedFile]:
        """Files whose only row was that which names them no longer, as their columns say."""
        mentions = _greenlet.paced(self.mentions.items())
        return [file for file, mention in mentions if mention == Mention.DROPPED_EXCLUSIVELY]

    @property
    def has_dropped(self) -> bool:
        """True if a row names a file no longer."""
        return any(mention & _DROPS for mention in self.mentions.values())

    @property
    def made_or_dropped(self) -> list[TrackedFile]:
        """All files that this transaction may leave without a row, however it has ended."""
        dropped = (file for file, mention in _greenlet.paced(self.mentions.items()) if mention & _DROPS)
        return list(dict.fromkeys([*self.made, *dropped]))

    def keep(self, files: Iterable[TrackedFile]) -> None:
        """From now on these files are like any other; no rollback removes them."""
        for file in files:
            if file in self.made:
                self.made[file].is_kept = True

    def forget(self, removed: Iterable[TrackedFile]) -> None:
        """These files are about to be removed: whoever names one from now on is refused."""
        for file in removed:
            if file in self.made:
                self.made[file].is_gone = True

    def give_back(self) -> None:
        """Let new objects hold their content again, so that another attempt uploads it, or refuses what is spent."""
        for each in self.uploads:
            state = inspect_object(each.target)
            if state.session is not None:  # its row has gone in some other way: a change would begin a transaction
                continue
            value = state.dict.get(each.field.key)
            pairs = zip(items(each.after), items(each.before), strict=False)
            contents = {id(after): before for after, before in pairs if before is not after}
            if any(id(item) in contents for item in items(value)):
                put(each.target, each.field.key, exchanged(value, contents))
