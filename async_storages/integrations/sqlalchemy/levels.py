"""What is known of one transaction: its frame, and what is needed to act on it."""

from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import SessionTransaction

from async_storages.integrations.sqlalchemy.file_columns import exchanged, items
from async_storages.integrations.sqlalchemy.frames import Frame
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.list_attributes import put
from async_storages.integrations.sqlalchemy.removal import Home
from async_storages.integrations.sqlalchemy.uploads import Assigned

__all__ = ["Level", "Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """What `enable_file_tracking` was told."""

    concurrency: int
    removal_timeout: float
    claims: Claims | None = None


@dataclass(slots=True, eq=False)
class Level:
    """One of SQLAlchemy's transactions, or a savepoint.

    Attributes:
        transaction: The transaction itself.
        frame: What it did to files.
        uploads: Attributes whose content was uploaded in it.
        intents: Ids that it has put into a ledger's journal, and the labels of their storages.
        homes: Columns that name its new files.
        shared_homes: Columns that may name the files that are shared.
        connections: What it works on.
        is_committed: Whether it was committed, or the savepoint released.
        is_uncertain: Whether the database was asked to commit, and nobody heard its answer.
    """

    transaction: SessionTransaction | None
    frame: Frame = field(default_factory=Frame)
    uploads: list[Assigned] = field(default_factory=list)
    intents: dict[str, str] = field(default_factory=dict)
    homes: set[Home] = field(default_factory=set)
    shared_homes: set[Home] = field(default_factory=set)
    connections: list[Connection] = field(default_factory=list)
    is_committed: bool = False
    is_uncertain: bool = False

    def release(self, inner: "Level") -> None:
        """Take over what a savepoint, or a session inside of this transaction, has done."""
        self.frame.release(inner.frame)
        self.uploads += inner.uploads
        self.intents |= inner.intents
        self.homes |= inner.homes
        self.shared_homes |= inner.shared_homes

    def undo(self, inner: "Level") -> None:
        """Take over the files of a savepoint that was rolled back."""
        self.frame.undo(inner.frame)
        self.intents |= inner.intents
        self.homes |= inner.homes

    def give_back(self) -> None:
        """Let new objects hold their content again, so that another attempt uploads it, or refuses what is spent."""
        for each in self.uploads:
            value = inspect_object(each.target).dict.get(each.field.key)
            pairs = zip(items(each.after), items(each.before), strict=False)
            contents = {id(after): before for after, before in pairs if before is not after}
            if any(id(item) in contents for item in items(value)):
                put(each.target, each.field.key, exchanged(value, contents))
