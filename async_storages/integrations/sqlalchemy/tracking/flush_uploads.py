"""The uploads of a flush: content in the attributes of objects is stored, and the attributes get the files."""

from collections.abc import Iterable

from async_storages.errors import InvalidArgumentException
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.fields import has_pending_content
from async_storages.integrations.sqlalchemy.columns.list_attributes import set_files
from async_storages.integrations.sqlalchemy.tracking.flushed_objects import ChangedObject
from async_storages.integrations.sqlalchemy.tracking.transaction_scope import TrackingOptions, TransactionScope
from async_storages.integrations.sqlalchemy.tracking.uploads import AssignedContent, upload_all

__all__ = ["upload_content"]


def upload_content(changes: Iterable[ChangedObject], scope: TransactionScope, options: TrackingOptions) -> None:
    """Upload the content of changed attributes.

    Raises:
        StorageException: An upload failed; what was uploaded is removed with the transaction.
        InvalidArgumentException: A plain Session within a running event loop was given content.
    """
    assigned = [
        AssignedContent(change.target, field, value)
        for change in changes
        for field, value in change.values
        if has_pending_content(value)
    ]
    if not assigned:
        return
    _refuse_in_event_loop(assigned[0])
    _greenlet.wait_for(
        upload_all(
            assigned,
            scope.record_new_file,
            concurrency=options.concurrency,
            claims=options.claims,
            record_intents=scope.intents.update,
        )
    )
    for each in assigned:
        each.after = set_files(each.target, each.field.key, each.after)
    scope.uploads += assigned


def _refuse_in_event_loop(assigned: AssignedContent) -> None:
    if not _greenlet.can_wait():
        attribute = f"{type(assigned.target).__name__}.{assigned.field.key}"
        raise InvalidArgumentException(
            f"{attribute} holds content, which this plain Session cannot upload: {_greenlet.IN_EVENT_LOOP}",
            operation="flush",
        )
