"""Uploads of a flush: it stores the content in the attributes of objects, and sets the attributes to the files."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import object_session

from async_storages import naming
from async_storages._tasks import map_bounded
from async_storages.backends.mirrored.later import mirrored_later
from async_storages.content import Content, PendingFile
from async_storages.errors import FileExistsException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.columns.declared_variants import recipes_made_at
from async_storages.integrations.sqlalchemy.columns.fields import has_pending_content, iterate_files
from async_storages.integrations.sqlalchemy.columns.types import FileType, UploadTo
from async_storages.integrations.sqlalchemy.ledger.announcements import Announcement
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.tracking.flushed_objects import AssignedContent, ChangedObject
from async_storages.integrations.sqlalchemy.tracking.transaction_scope import TrackingOptions, TransactionScope
from async_storages.integrations.sqlalchemy.tracking.upload_to_objects import make_stand_in
from async_storages.integrations.sqlalchemy.tracking.upload_variants import check_key_for_variants, making_variants
from async_storages.sources import ByteSource, Source, open_source
from async_storages.storage.base import Storage
from async_storages.storage.operation import IdentifiedKey
from async_storages.upload_options import NO_OPTIONS, UploadOptions
from async_storages.variants.making import NewVariants

__all__ = ["upload_content"]


@dataclass(slots=True, eq=False)
class _Upload:
    """One upload, under a fresh or an exact key. A storage that chooses its ids only uses the name in the key."""

    pending: PendingFile
    source: ByteSource
    type: FileType
    storage: Storage
    name: str
    key: str
    intent: Intent
    options: UploadOptions
    stored: StoredFile | None = None


def upload_content(
    changes: Iterable[ChangedObject], scope: TransactionScope, options: TrackingOptions
) -> Collection[str]:
    """Upload the content of changed attributes, and set them to the files. It rewinds sources for another attempt.

    With a ledger, it announces the uploads before a file is complete. It records each file as soon as it is stored.

    Returns:
        The ids of the files that it has announced.

    Raises:
        StorageException: The first failure. The other uploads have ended by then, and the transaction's end removes
            them.
        InvalidArgumentException: A plain Session within a running event loop has content to upload.
    """
    assigned = [
        AssignedContent(change.target, field, value)
        for change in changes
        for field, value in change.values
        if has_pending_content(value)
    ]
    if not assigned:
        return ()
    if not _greenlet.can_wait():
        attribute = f"{type(assigned[0].target).__name__}.{assigned[0].field.key}"
        raise InvalidArgumentException(
            f"{attribute} holds content, which this plain Session cannot upload: {_greenlet.IN_EVENT_LOOP}",
            operation="flush",
        )
    # out here, as `upload_to` may load attributes, which works only inside of the flush
    uploads = [
        _prepare(each, item)
        for each in assigned
        for item in iterate_files(each.before)
        if isinstance(item, PendingFile)
    ]
    announced = _greenlet.wait_for(_upload_all(uploads, scope, options))
    stored = (each.stored for each in uploads)
    for each in assigned:
        each.after = each.set(_filled(each.before, stored))
    scope.uploads += assigned
    return announced


async def _upload_all(uploads: list[_Upload], scope: TransactionScope, options: TrackingOptions) -> Collection[str]:
    async def upload(group: list[_Upload]) -> None:
        for each in group:
            try:
                has_variants = each.type.variants is not None and recipes_made_at(each.type, "flush")
                is_image = has_variants or each.type.placeholder
                making = making_variants(each.type, each.key, options.image_pool) if is_image else nullcontext()
                async with making as variants:
                    with nullcontext() if announcement is None else announcement.writing(each.intent):
                        each.stored = await _store(each, variants, announcement)
                    if variants is not None:
                        await _store_variants(each, variants, announcement, scope)
                        continue
                    scope.hold(each.stored)
                    if announcement is not None:
                        await announcement.record_written(each.intent, each.stored)
            finally:
                await each.source.put_back()

    claims, limit = options.claims, options.concurrency
    if claims is not None:  # else a crash before the upload would give another file of that key to the worker
        await map_bounded(_require_free, [each for each in uploads if each.intent.is_exact], limit=limit)
    intents = {each.intent: each.storage for each in uploads}
    async with nullcontext() if claims is None else await claims.announce(intents) as announcement:
        try:
            with nullcontext() if announcement is None else mirrored_later():  # the claim queues the copies
                await map_bounded(upload, _by_content(uploads), limit=limit)
        finally:
            if announcement is not None:
                try:
                    await announcement.settle()
                finally:
                    scope.intents |= announcement.decided
    return () if announcement is None else announcement.decided


async def _store_variants(
    upload: _Upload, variants: NewVariants, announcement: Announcement | None, scope: TransactionScope
) -> None:
    """Store the variants of a stored file. The scope then holds the file, unless the outcome is unknown."""
    stored: Any = upload.stored
    is_unsure = False
    try:
        if announcement is None:
            await variants.store(upload.storage, stored.file_id, upload.options)
        else:
            await announcement.record_written(upload.intent, stored)
            is_unsure = True  # the ledger's grace is to be over before they are looked for
            with announcement.writing(replace(upload.intent, id=str(upload.storage.identify(stored.file_id)))):
                await variants.store(upload.storage, stored.file_id, upload.options)
            is_unsure = False
    finally:
        if not is_unsure:
            scope.hold(stored)


def _by_content(uploads: Iterable[_Upload]) -> list[list[_Upload]]:
    """Group uploads of the same object: only one of them reads it at a time."""
    groups: dict[int, list[_Upload]] = {}
    for each in uploads:
        content = each.pending.content
        groups.setdefault(id(getattr(content, "file", content)), []).append(each)
    return list(groups.values())


def _filled(value: Any, stored: Iterator[StoredFile | None]) -> Any:
    """Return a value with stored files in place of its content."""
    if isinstance(value, list | tuple):
        return [_filled(item, stored) for item in value]
    return next(stored) if isinstance(value, PendingFile) else value


def _prepare(assigned: AssignedContent, pending: PendingFile) -> _Upload:
    """Choose the storage and the key of an upload. Refuse an id that is too long for the column, if the id is known."""
    type_ = assigned.field.type
    storage = type_.storage_ref.resolve_for_new()
    source = open_source(pending.content)
    name = naming.clean_filename(pending.filename or source.filename or "file")
    folder, exact = type_.folder, None
    if type_.upload_to is not None:
        folder, exact = _folder_or_key(_call_upload_to(type_.upload_to, assigned.target, name), storage)
    key = exact or IdentifiedKey.fresh(storage, name, folder)
    if type_.variants or exact:
        check_key_for_variants(type_, storage, key, is_exact=exact is not None)
    intent = Intent.of(storage, key, is_exact=exact is not None)
    if type_.length is not None and len(intent.id) > type_.length and not storage.chooses_ids:
        raise InvalidArgumentException(
            f"the id would have {len(intent.id)} characters, the column has {type_.length}",
            operation="upload",
            file_id=intent.id,
        )
    options = (pending.options or NO_OPTIONS).over(type_.upload_options)
    return _Upload(pending, source, type_, storage, name, key, intent, options)


def _call_upload_to(upload_to: UploadTo, target: Any, name: str) -> str:
    session: Any = object_session(target)
    with session.no_autoflush:  # it may load what it reads
        return upload_to(make_stand_in(target), name)


async def _require_free(upload: _Upload) -> None:
    if await upload.storage.exists(upload.intent.id):
        raise FileExistsException("the key is taken", operation="upload", file_id=upload.intent.id)


def _folder_or_key(chosen: str, storage: Storage) -> tuple[str, str | None]:
    """Return the folder for a fresh key and None, or an exact key."""
    folder, _, name = chosen.rpartition("/")
    return ("", storage.get_name(chosen)) if name and not storage.chooses_ids else (folder, None)


async def _store(upload: _Upload, variants: NewVariants | None, announcement: Announcement | None) -> StoredFile:
    pending = upload.pending
    source: Source | ByteSource = upload.source
    limits = [limit for each in upload.type.validators if (limit := each.max_file_size) is not None]
    max_size = min(limits) if limits else None
    if variants is not None:
        source = await variants.take(pending.content, upload.source, max_size)
    async with Content(
        source,
        filename=upload.name,
        content_type=pending.content_type,
        metadata=pending.metadata,
        max_size=max_size,
        checksums=() if upload.type.sha256 is None else ("sha256",),
        options=upload.options,
    ) as content:
        for validator in upload.type.validators:
            await validator.check(content)
        if variants is not None:  # before anything is stored: what is no image never gets so far
            await variants.make()
        if announcement is not None:
            await announcement.allow(upload.storage, content)
        stored = await upload.storage._save_as(upload.key, content)  # noqa: SLF001 - `save` with a chosen key
    if variants is not None:
        stored.remember(placeholder=variants.placeholder)
    # as the column would load it; an id that the storage has chosen is checked when it is assigned
    return stored if upload.storage.chooses_ids else upload.type.bind(stored, stored.file_id)
