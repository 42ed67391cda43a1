"""The events of sessions, passed to `SessionTransactions`. This module contains `enable_file_tracking`.

The comments in `_listen` describe the order of SQLAlchemy's events, and the cases without events.
`async_storages.integrations.sqlalchemy.tracking.removal_after_transaction` decides at the end of a transaction.
"""

from collections.abc import Callable
from typing import Any, Concatenate

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    ORMExecuteState,
    Session,
    SessionTransaction,
    UOWTransaction,
    sessionmaker,
)

from async_storages.errors import InvalidArgumentException
from async_storages.imaging.pool import ImagePool
from async_storages.integrations.sqlalchemy.columns.fields import fields_of
from async_storages.integrations.sqlalchemy.ledger.file_ledger import FileLedger
from async_storages.integrations.sqlalchemy.tracking import bulk_statements
from async_storages.integrations.sqlalchemy.tracking.flush import Flush
from async_storages.integrations.sqlalchemy.tracking.session_statements import watch_statements
from async_storages.integrations.sqlalchemy.tracking.session_transactions import SessionTransactions
from async_storages.integrations.sqlalchemy.tracking.transaction_scope import TrackingOptions

__all__ = ["enable_file_tracking"]

type Trackable = async_sessionmaker[Any] | sessionmaker[Any] | type[AsyncSession | Session]

_MARK = "_async_storages_options"
_ENDS = ("commit", "rollback", "close", "reset", "invalidate")
_DROPS = frozenset({"close", "reset", "invalidate"})


def enable_file_tracking[Target: Trackable](
    target: Target,
    *,
    ledger: FileLedger | None = None,
    concurrency: int = 8,
    removal_timeout: float = 10.0,
    image_pool: ImagePool | None = None,
) -> Target:
    """Let sessions upload content in file columns, and remove the files that rows no longer name.

    The flush uploads pending content. If the transaction ends without a commit, the session removes these new files. It
    also removes files from `Storage.save` that you assigned in the transaction. After a commit, it removes the files of
    rows that were deleted or got another file. A rollback never removes files that you assigned by their ids as
    strings, nor files that you stored with `Storage.upload`.

    With a ledger, all this also holds through crashes. The ledger's worker then removes the files.

    Args:
        target: A sessionmaker, or a subclass of AsyncSession or Session. It is changed in place. A second call changes
            the options.
        ledger: The ledger, which keeps files and rows consistent through crashes: see `FileLedger`.
        concurrency: Uploads or removals at once, at least 1.
        removal_timeout: Seconds that the removal of files may take after a transaction, above 0. The session logs the
            files that are left then.
        image_pool: Makes the variants and placeholders that image columns declare. None uses one shared pool, whose
            processes end with the event loop.

    Returns:
        The target.

    Raises:
        InvalidArgumentException: The target is something else, such as AsyncSession itself, which others share.

    Example:
        >>> sessions = enable_file_tracking(async_sessionmaker(engine))
        >>> async with sessions.begin() as session:
        ...     session.add(Document(file=PendingFile(b"hello", filename="hello.txt")))
    """
    if concurrency < 1 or removal_timeout <= 0:
        raise InvalidArgumentException("concurrency is at least 1, and removal_timeout above 0 seconds")
    class_ = _session_class(target)
    if not hasattr(class_, _MARK):
        _listen(class_)
    claims = None if ledger is None else ledger.claims
    setattr(class_, _MARK, TrackingOptions(concurrency, removal_timeout, claims, image_pool))
    return target


# ---- the class of sessions


def _session_class(target: object) -> type[Session]:
    """Return the class of synchronous sessions that belongs only to the target."""
    if isinstance(target, async_sessionmaker):
        before = target.kw.get("sync_session_class") or target.class_.sync_session_class
        target.configure(sync_session_class=_own(before))
        return target.kw["sync_session_class"]  # type: ignore[no-any-return] # just set
    if isinstance(target, sessionmaker):
        target.class_ = _own(target.class_)
        return target.class_
    if isinstance(target, type) and issubclass(target, AsyncSession) and target is not AsyncSession:
        target.sync_session_class = _own(target.sync_session_class)
        return target.sync_session_class
    if isinstance(target, type) and issubclass(target, Session) and target is not Session:
        return target
    raise InvalidArgumentException(
        f"files are tracked for a sessionmaker, or a subclass of AsyncSession or Session, not for {target!r}",
        operation="enable_file_tracking",
    )


def _own(class_: type[Session]) -> type[Session]:
    """Return a subclass for one target, or the class itself if it is such a subclass already."""
    return class_ if hasattr(class_, _MARK) else type(class_.__name__, (class_,), {"__module__": class_.__module__})


# ---- their events


def _listen(class_: type[Session]) -> None:
    event.listen(class_, "after_transaction_create", _handing_to(SessionTransactions.begin))
    event.listen(class_, "after_begin", _connected)
    # also when a savepoint is released; nothing here may fail
    event.listen(class_, "after_commit", _handing_to(SessionTransactions.commit))
    # the objects are still in the session, unlike in the next
    event.listen(class_, "after_rollback", _handing_to(SessionTransactions.record_unflushed_files))
    # the only event of close() and of a lost connection
    event.listen(class_, "after_transaction_end", _handing_to(SessionTransactions.end))
    event.listen(class_, "before_flush", _flushing)
    event.listen(class_, "after_flush", _flushed)  # mappers' events, and later listeners, may have assigned files
    event.listen(class_, "do_orm_execute", _executing)
    for name in _ENDS:
        _finish_after(class_, name)
    if not event.contains(Mapper, "before_delete", _deleting):
        event.listen(Mapper, "before_delete", _deleting, raw=True)
        event.listen(Mapper, "before_insert", _writing, raw=True)
        event.listen(Mapper, "before_update", _writing, raw=True)


def _finish_after(class_: type[Session], name: str) -> None:
    """Wrap a method that ends transactions. SQLAlchemy fires no event if giving back a connection fails."""
    inner = getattr(class_, name)

    def end(session: Session, *args: Any, **kwargs: Any) -> Any:
        if name in _DROPS:
            _transactions(session).record_unflushed_files()
        try:
            return inner(session, *args, **kwargs)
        finally:
            _transactions(session).finish_if_ended()

    end.__doc__ = inner.__doc__
    setattr(class_, name, end)


def _transactions(session: Session) -> SessionTransactions:
    found: SessionTransactions | None = session.__dict__.get("_async_storages_transactions")
    if found is None:
        options: TrackingOptions = getattr(session, _MARK)
        found = session.__dict__["_async_storages_transactions"] = SessionTransactions(session, options)
    return found


def _handing_to[**Args](method: Callable[Concatenate[SessionTransactions, Args], None]) -> Callable[..., None]:
    """Return a listener that calls a method of the session's transactions."""

    def hand(session: Session, *args: Args.args, **kwargs: Args.kwargs) -> None:
        method(_transactions(session), *args, **kwargs)

    return hand


def _connected(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    transactions = _transactions(session)
    transactions.connect(transaction, connection)
    watch_statements(connection, transactions)


def _flushing(session: Session, _context: object, objects: Any) -> None:
    transactions = _transactions(session)
    transactions.flush = Flush(session, transactions, objects)
    transactions.flush.begin()
    transactions.is_flushing = True


def _flushed(session: Session, context: UOWTransaction) -> None:
    flush = _transactions(session).flush
    if flush is not None:
        flush.finish(
            state for state, (is_deleted, is_listed) in context.states.items() if not (is_deleted or is_listed)
        )


def _executing(state: ORMExecuteState) -> Any:
    return None if state.is_select else bulk_statements.execute(state, _transactions(state.session))


def _writing(mapper: Mapper[Any], _connection: Connection, state: InstanceState[Any]) -> None:
    """Upload content that listeners of `before_flush` have assigned after the listener of this package."""
    flush = _flush_of(mapper, state)
    if flush is not None:
        flush.upload_late(state)


def _deleting(mapper: Mapper[Any], connection: Connection, state: InstanceState[Any]) -> None:
    """Record orphans, which SQLAlchemy finds only after `before_flush`."""
    flush = _flush_of(mapper, state)
    if flush is not None:
        flush.record_deleted(state, connection)


def _flush_of(mapper: Mapper[Any], state: InstanceState[Any]) -> Flush | None:
    session = state.session if fields_of(mapper) else None
    return _transactions(session).flush if session is not None and hasattr(session, _MARK) else None
