"""Content that was assigned to file columns, on its way into their storages."""

from collections.abc import Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import object_session

from async_storages import naming
from async_storages._tasks import map_bounded
from async_storages.content import ContentOptions, PendingFile, as_content
from async_storages.errors import FileExistsException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.integrations.sqlalchemy.columns.fields import FileField, items
from async_storages.integrations.sqlalchemy.columns.types import FileType, UploadTo
from async_storages.integrations.sqlalchemy.ledger import storage_lookup
from async_storages.integrations.sqlalchemy.ledger.announcements import Announced
from async_storages.integrations.sqlalchemy.ledger.journal import Intent
from async_storages.integrations.sqlalchemy.tracking.upload_to_objects import stand_in
from async_storages.registry import Ref
from async_storages.sources import ByteSource, open_source
from async_storages.storage import Storage
from async_storages.upload_options import NO_OPTIONS

__all__ = ["Assigned", "upload_all"]


type Announce = Callable[[Iterable[tuple[Storage, Intent]]], AbstractAsyncContextManager[Announced]]


@dataclass(slots=True, eq=False)
class Assigned:
    """An attribute that holds content.

    Attributes:
        target: The object.
        field: Its attribute.
        before: What the attribute held: a PendingFile, or a list with some.
        after: What it holds after the upload.
    """

    target: Any
    field: FileField
    before: Any
    after: Any = None

    def __post_init__(self) -> None:
        """Keep what a list holds now: it is filled anew after the upload."""
        if isinstance(self.before, list):
            self.before = list(self.before)


@dataclass(slots=True, eq=False)
class _Job:
    """One upload, under a key that is fresh or exact; a storage that chooses its ids takes the name from it."""

    pending: PendingFile
    source: ByteSource
    type: FileType
    storage: Storage
    name: str
    key: str
    intent: Intent
    stored: StoredFile | None = None


def upload_all(
    attributes: Iterable[Assigned],
    note: Callable[[StoredFile], object],
    *,
    concurrency: int,
    announced: Announce | None = None,
) -> Coroutine[Any, Any, None]:
    """Upload the content of many attributes, and fill in what they are to hold.

    Files are put back where they began, so that they can be uploaded again if the transaction fails. Where content goes
    is found out at once: `upload_to` may load what it reads, which works inside of the flush and not in a coroutine.

    Args:
        attributes: What was assigned.
        note: Told every file the moment it is there, also of those whose fellows then fail.
        concurrency: Uploads at once; content that is one object is never read by two of them.
        announced: Puts the files into a ledger's journal before.

    Raises:
        StorageException: The first failure; the other uploads have then ended.
    """
    chosen = list(attributes)
    jobs = [_job(each, item) for each in chosen for item in items(each.before) if isinstance(item, PendingFile)]
    return _upload_all(chosen, jobs, note, concurrency, announced)


async def _upload_all(
    chosen: list[Assigned],
    jobs: list[_Job],
    note: Callable[[StoredFile], object],
    concurrency: int,
    announced: Announce | None,
) -> None:
    same: dict[int, list[_Job]] = {}
    for job in jobs:
        content = job.pending.content
        same.setdefault(id(getattr(content, "file", content)), []).append(job)

    async def upload(group: list[_Job]) -> None:
        for job in group:
            try:
                with nullcontext() if files is None else files.writing(job.intent):
                    job.stored = await _upload(job)
                note(job.stored)
                if files is not None:
                    await files.written(job.intent, job.stored)
            finally:
                await job.source.put_back()

    if announced is not None:  # else a crash before the upload would give another file of that key to the worker
        await map_bounded(_check_free, [job for job in jobs if job.intent.is_exact], limit=concurrency)
    async with nullcontext() if announced is None else announced((job.storage, job.intent) for job in jobs) as files:
        await map_bounded(upload, same.values(), limit=concurrency)
    stored = iter(jobs)
    for each in chosen:
        each.after = _filled(each.before, lambda: next(stored).stored)


def _filled(value: Any, next_stored: Callable[[], StoredFile | None]) -> Any:
    if isinstance(value, list | tuple):
        return [_filled(item, next_stored) for item in value]
    return next_stored() if isinstance(value, PendingFile) else value


def _job(assigned: Assigned, pending: PendingFile) -> _Job:
    """What is to be done, if its id will fit into the column, as far as that can be told."""
    type_ = assigned.field.type
    storage = _storage_for_new(type_)
    source = open_source(pending.content)
    name = naming.clean_filename(pending.filename or source.filename or "file")
    folder, exact = type_.folder, None
    if type_.upload_to is not None:
        folder, exact = _place(_chosen(type_.upload_to, assigned.target, name), storage)
    key = exact or naming.unique_key(name, folder)
    intent = storage_lookup.intent(storage, key, is_exact=exact is not None)
    if not storage.chooses_ids:
        _check_length(intent.id, type_)
    return _Job(pending, source, type_, storage, name, key, intent)


def _chosen(upload_to: UploadTo, target: Any, name: str) -> str:
    session: Any = object_session(target)
    with session.no_autoflush:  # it may load what it reads
        return upload_to(stand_in(target), name)


async def _check_free(job: _Job) -> None:
    if await job.storage.exists(job.intent.id):
        raise FileExistsException("the key is taken", operation="upload", file_id=job.intent.id)


def _storage_for_new(type_: FileType) -> Storage:
    """Where new files of a column go: to its storage, or to the one that its manager has for them."""
    router: Any = Ref(type_.storage).resolve()
    storage_for_new = getattr(router, "storage_for_new", None)
    storage: Storage = router if storage_for_new is None else storage_for_new()
    return storage


def _place(chosen: str, storage: Storage) -> tuple[str, str | None]:
    """The folder for a fresh key, or an exact key."""
    folder, _, name = chosen.rpartition("/")
    return ("", storage.get_name(chosen)) if name and not storage.chooses_ids else (folder, None)


def _check_length(file_id: str, type_: FileType) -> None:
    if type_.length is not None and len(file_id) > type_.length:
        raise InvalidArgumentException(
            f"the id would have {len(file_id)} characters, the column has {type_.length}",
            operation="upload",
            file_id=file_id,
        )


async def _upload(job: _Job) -> StoredFile:
    limits = [limit for each in job.type.validators if (limit := each.max_file_size) is not None]
    options: ContentOptions = {"max_size": min(limits)} if limits else {}
    said = (job.pending.options or NO_OPTIONS).over(job.type.upload_options)
    source: Any = job.source
    async with as_content(replace(job.pending, content=source, options=said), job.name, options) as content:
        for validator in job.type.validators:
            await validator.check(content)
        return await job.storage._save_as(job.key, content)  # noqa: SLF001 - what `save` does, when it is announced
