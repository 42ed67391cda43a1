"""Uploads of content that was assigned to file columns."""

from collections.abc import Callable, Coroutine, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import object_session

from async_storages import naming
from async_storages._tasks import map_bounded
from async_storages.content import ContentOptions, PendingFile, as_content
from async_storages.errors import FileExistsException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.fields import FileField, iterate_files
from async_storages.integrations.sqlalchemy.columns.types import FileType, UploadTo
from async_storages.integrations.sqlalchemy.ledger.claims import Claims
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.ledger.storage_lookup import make_intent
from async_storages.integrations.sqlalchemy.tracking.upload_to_objects import make_stand_in
from async_storages.sources import ByteSource, open_source
from async_storages.storage.base import Storage
from async_storages.storage.operation import IdentifiedKey
from async_storages.upload_options import NO_OPTIONS

__all__ = ["AssignedContent", "upload_all"]


@dataclass(slots=True, eq=False)
class AssignedContent:
    """Content in an attribute of an object.

    Attributes:
        target: The object.
        field: Its attribute.
        before: The value with the content: a PendingFile, or a list with some.
        after: The value with stored files, after the upload.
    """

    target: Any
    field: FileField
    before: Any
    after: Any = None

    def __post_init__(self) -> None:
        """Copy a list, which gets other items after the upload."""
        if isinstance(self.before, list):
            self.before = list(self.before)


@dataclass(slots=True, eq=False)
class _Upload:
    """One upload, under a fresh or an exact key; a storage that chooses its ids uses no more than its name."""

    pending: PendingFile
    source: ByteSource
    type: FileType
    storage: Storage
    name: str
    key: str
    intent: Intent
    stored: StoredFile | None = None


def upload_all(
    attributes: Iterable[AssignedContent],
    record: Callable[[StoredFile], object],
    *,
    concurrency: int,
    claims: Claims | None,
    record_intents: Callable[[dict[str, str]], object],
) -> Coroutine[Any, Any, None]:
    """Upload the content of many attributes, and set their `after`.

    Sources are rewound afterwards, so that they can be uploaded again if the transaction fails. Keys are chosen at
    once, outside of the coroutine: `upload_to` may load attributes, which works only inside of the flush.

    Args:
        attributes: The attributes.
        record: Called with each file as soon as it is stored, even if other uploads then fail.
        concurrency: Uploads at the same time; two of them never read the same object.
        claims: A ledger, which announces the uploads before they begin; None without one.
        record_intents: Called with the ids that are then in the ledger's journal, and the labels of their storages.

    Raises:
        StorageException: The first failure; the other uploads have then ended.
    """
    chosen = list(attributes)
    uploads = [
        _prepare(each, item) for each in chosen for item in iterate_files(each.before) if isinstance(item, PendingFile)
    ]
    return _upload_all(chosen, uploads, record, concurrency=concurrency, claims=claims, record_intents=record_intents)


async def _upload_all(
    chosen: list[AssignedContent],
    uploads: list[_Upload],
    record: Callable[[StoredFile], object],
    *,
    concurrency: int,
    claims: Claims | None,
    record_intents: Callable[[dict[str, str]], object],
) -> None:
    async def upload(group: list[_Upload]) -> None:
        for each in group:
            try:
                with nullcontext() if announcement is None else announcement.writing(each.intent):
                    each.stored = await _store(each)
                record(each.stored)
                if announcement is not None:
                    await announcement.record_written(each.intent, each.stored)
            finally:
                await each.source.put_back()

    if claims is not None:  # else a crash before the upload would give another file of that key to the worker
        await map_bounded(_require_free, [each for each in uploads if each.intent.is_exact], limit=concurrency)
    intents = {each.intent: each.storage for each in uploads}
    async with nullcontext() if claims is None else await claims.announce(intents) as announcement:
        try:
            await map_bounded(upload, _by_content(uploads), limit=concurrency)
        finally:
            if announcement is not None:
                record_intents(announcement.decided)
    stored = iter(uploads)
    for each in chosen:
        each.after = _filled(each.before, lambda: next(stored).stored)


def _by_content(uploads: Iterable[_Upload]) -> list[list[_Upload]]:
    """Group uploads of the same object, which is read by one of them at a time."""
    groups: dict[int, list[_Upload]] = {}
    for each in uploads:
        content = each.pending.content
        groups.setdefault(id(getattr(content, "file", content)), []).append(each)
    return list(groups.values())


def _filled(value: Any, next_stored: Callable[[], StoredFile | None]) -> Any:
    if isinstance(value, list | tuple):
        return [_filled(item, next_stored) for item in value]
    return next_stored() if isinstance(value, PendingFile) else value


def _prepare(assigned: AssignedContent, pending: PendingFile) -> _Upload:
    """Choose storage and key of an upload; refuse an id that is too long for the column, if it is known already."""
    type_ = assigned.field.type
    storage = _storage_for_new(type_)
    source = open_source(pending.content)
    name = naming.clean_filename(pending.filename or source.filename or "file")
    folder, exact = type_.folder, None
    if type_.upload_to is not None:
        folder, exact = _folder_or_key(_call_upload_to(type_.upload_to, assigned.target, name), storage)
    key = exact or _fresh_key(storage, name, folder)
    intent = make_intent(storage, key, is_exact=exact is not None)
    if not storage.chooses_ids:
        _check_length(intent.id, type_)
    return _Upload(pending, source, type_, storage, name, key, intent)


def _fresh_key(storage: Storage, name: str, folder: str) -> str:
    key = naming.unique_key(name, folder)
    return key if storage.chooses_ids else IdentifiedKey.of(storage, key)


def _call_upload_to(upload_to: UploadTo, target: Any, name: str) -> str:
    session: Any = object_session(target)
    with session.no_autoflush:  # it may load what it reads
        return upload_to(make_stand_in(target), name)


async def _require_free(upload: _Upload) -> None:
    if await upload.storage.exists(upload.intent.id):
        raise FileExistsException("the key is taken", operation="upload", file_id=upload.intent.id)


def _storage_for_new(type_: FileType) -> Storage:
    """The storage for new files of a column: its own, or the one that its manager has for them."""
    router: Any = type_._ref.resolve()  # noqa: SLF001 - what the column's own files use
    storage_for_new = getattr(router, "storage_for_new", None)
    storage: Storage = router if storage_for_new is None else storage_for_new()
    return storage


def _folder_or_key(chosen: str, storage: Storage) -> tuple[str, str | None]:
    """The folder for a fresh key, and None; or an exact key."""
    folder, _, name = chosen.rpartition("/")
    return ("", storage.get_name(chosen)) if name and not storage.chooses_ids else (folder, None)


def _check_length(file_id: str, type_: FileType) -> None:
    if type_.length is not None and len(file_id) > type_.length:
        raise InvalidArgumentException(
            f"the id would have {len(file_id)} characters, the column has {type_.length}",
            operation="upload",
            file_id=file_id,
        )


async def _store(upload: _Upload) -> StoredFile:
    limits = [limit for each in upload.type.validators if (limit := each.max_file_size) is not None]
    options: ContentOptions = {"max_size": min(limits)} if limits else {}
    if upload.type.sha256 is not None:
        options["checksums"] = ("sha256",)
    upload_options = (upload.pending.options or NO_OPTIONS).over(upload.type.upload_options)
    source: Any = upload.source
    async with as_content(
        replace(upload.pending, content=source, options=upload_options), upload.name, options
    ) as content:
        for validator in upload.type.validators:
            await validator.check(content)
        stored = await upload.storage._save_as(upload.key, content)  # noqa: SLF001 - `save` with a chosen key
    return stored if upload.storage.chooses_ids else _as_loaded(upload.type, stored)


def _as_loaded(type_: FileType, stored: StoredFile) -> StoredFile:
    """The file as its column would load it; its id was checked before the upload."""
    file = type_.file_class(stored.file_id, type_._ref)  # noqa: SLF001 - as `FileType` does
    file._facts = stored._facts  # noqa: SLF001 - the same file
    return file
