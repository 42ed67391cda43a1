"""What is known of one transaction: its frame, and what is needed to act on it."""

from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy import inspect as inspect_object
from sqlalchemy.orm import SessionTransaction
from sqlalchemy.orm.attributes import set_attribute

from async_storages.integrations.sqlalchemy.frames import Frame
from async_storages.integrations.sqlalchemy.removal import Home
from async_storages.integrations.sqlalchemy.uploads import Assigned, is_repeatable

__all__ = ["Level", "Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """What `enable_file_tracking` was told."""

    concurrency: int
    removal_timeout: float


@dataclass(slots=True, eq=False)
class Level:
    """One of SQLAlchemy's transactions, or a savepoint.

    Attributes:
        transaction: The transaction itself.
        frame: What it did to files.
        uploads: Attributes whose content was uploaded in it.
        homes: Columns that name its new files.
        shared_homes: Columns that may name the files that are shared.
        connections: What it works on.
        is_committed: Whether it was committed, or the savepoint released.
        is_uncertain: Whether the database was asked to commit, and nobody heard its answer.
    """

    transaction: SessionTransaction | None
    frame: Frame = field(default_factory=Frame)
    uploads: list[Assigned] = field(default_factory=list)
    homes: set[Home] = field(default_factory=set)
    shared_homes: set[Home] = field(default_factory=set)
    connections: list[Connection] = field(default_factory=list)
    is_committed: bool = False
    is_uncertain: bool = False

    def release(self, inner: "Level") -> None:
        """Take over what a savepoint, or a session inside of this transaction, has done."""
        self.frame.release(inner.frame)
        self.uploads += inner.uploads
        self.homes |= inner.homes
        self.shared_homes |= inner.shared_homes

    def give_back(self) -> None:
        """Let new objects hold their content again, so that another attempt uploads it again."""
        for each in self.uploads:
            value = inspect_object(each.target).dict.get(each.field.key)
            if value is each.after and is_repeatable(each.before):
                set_attribute(each.target, each.field.key, each.before)
