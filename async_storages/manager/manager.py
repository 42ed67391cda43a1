"""One entry point to all storages. The manager routes by the id, in three modes, and refuses other buckets."""

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from functools import cached_property
from typing import Self

from async_storages import registry
from async_storages._tasks import map_bounded
from async_storages.backends.fastdfs.storage import FastDFSStorage
from async_storages.config import FastdfsConfig, S3Config, StorageMode, StorageModeConfig
from async_storages.errors import (
    InvalidArgumentException,
    OperationNotSupportedException,
    RouteNotSupportedException,
    during,
)
from async_storages.files import StoredFile
from async_storages.ids import FASTDFS, FileId
from async_storages.manager.raw_clients import FastDFSClient, S3Client, s3_storage_class
from async_storages.manager.services import DeleteService, DownloadService, InfoService, UploadService
from async_storages.storage.base import FileName, Storage
from async_storages.storage.capabilities import SupportsFolders, SupportsPing
from async_storages.validation import FileTypeConfig, FileValidator

__all__ = ["StorageManager"]

_NEEDS = {StorageMode.S3: {"s3"}, StorageMode.FASTDFS: {FASTDFS}, StorageMode.HYBRID: {"s3", FASTDFS}}


class StorageManager:
    """Uploads new files to the storage of its mode, and finds the storage of every other file by the id.

    Pass it in place of a storage: `FileType(storage=manager)`. It has four services. Use it as an async context
    manager, or call `open` and `aclose`: the manager closes everything that it opened.

    Args:
        mode_config: The mode. The default is hybrid: new files go to S3, and files in FastDFS can be read and deleted.
        s3_config: The settings of S3, for modes with S3.
        fastdfs_config: The settings of FastDFS, for modes with FastDFS.
        file_type_config: The allowed file types of uploads. None allows all.
        max_file_size: The largest upload in bytes. None sets no limit.
        allowed_buckets: The allowed buckets besides the default one. The manager refuses ids in other buckets.
        storages: Further storages by scheme, such as ``{"gs": GCSStorage(…)}``.
        name: The registered name of the manager: see `async_storages.registry`.
        concurrency: The number of files that `upload_service.upload_files` uploads at once, at least 1.

    Raises:
        InvalidArgumentException: The mode needs settings that are missing or wrong.

    Example:
        >>> async with StorageManager(
        ...     StorageModeConfig(mode=StorageMode.S3), S3Config(endpoint="localhost:9000", default_bucket="photos")
        ... ) as manager:
        ...     attach = await manager.upload_service.upload_bytes("report.pdf", content, folder="reports")
    """

    _has_raw_clients = True

    def __init__(
        self,
        mode_config: StorageModeConfig | None = None,
        s3_config: S3Config | None = None,
        fastdfs_config: FastdfsConfig | None = None,
        *,
        file_type_config: FileTypeConfig | None = None,
        max_file_size: int | None = None,
        allowed_buckets: Iterable[str] = (),
        storages: Mapping[str, Storage] | None = None,
        name: str | None = None,
        concurrency: int = 4,
    ) -> None:
        mode = (mode_config or StorageModeConfig()).mode
        made = _storages_of(mode, s3_config, fastdfs_config, allowed_buckets)
        joined = _checked(storages or {})
        validator = FileValidator(file_type_config, max_file_size)
        self._begin([*made, *joined], f"mode {mode}", validator, name, concurrency=concurrency)

    @classmethod
    def from_storages(
        cls,
        default: Storage,
        *others: Storage,
        validator: FileValidator | None = None,
        name: str | None = None,
        concurrency: int = 4,
    ) -> Self:
        """Return a manager of existing storages. New files go to the default one."""
        manager = cls.__new__(cls)
        manager._begin(  # noqa: SLF001 - the other constructor
            [default, *others], "this manager", validator or FileValidator(), name, concurrency=concurrency
        )
        return manager

    def _begin(
        self, storages: list[Storage], shown: str, validator: FileValidator, name: str | None, *, concurrency: int
    ) -> None:
        self._default = storages[0]
        self._shown = shown
        self._validator = validator
        self._concurrency = concurrency
        self._routes: dict[tuple[str, str | None], Storage] = {}
        for storage in storages:
            taken = self._routes.setdefault((storage.scheme, storage.bucket), storage)
            if taken is not storage:
                raise InvalidArgumentException(
                    f"two storages serve the same ids: {taken!r} and {storage!r}; leave one out, or make them one "
                    "with FallbackStorage or MirroredStorage"
                )
        self.upload_service = UploadService(self, validator, concurrency=concurrency)
        self.download_service = DownloadService(self)
        self.delete_service = DeleteService(self)
        self.info_service = InfoService(self)
        self.name = name
        self._released: list[tuple[str, registry.StorageRouter]] = []
        if name is not None:
            registry.register(name, self)

    def __repr__(self) -> str:
        return f"StorageManager({', '.join(map(repr, self.storages))})"

    def within(self, *folders: str) -> Self:
        """Return a manager for one folder, for example of a tenant. It uploads there and refuses ids elsewhere.

        This does no I/O. The new manager has no name and no raw clients. You need not close it, as it uses the
        connections of this one. It refuses ids of storages without folders, such as FastDFS.

        Args:
            *folders: The names on the path to the folder, each without slashes: see `SupportsFolders`.

        Raises:
            InvalidArgumentException: A folder is empty, holds a slash, or is not a clean name.
            OperationNotSupportedException: The storage for new files has no folders.

        Example:
            >>> mine = manager.within("tenants", user.tenant_id)
            >>> await mine.download_service.download_bytes(file_id)  # 403, if it is another tenant's
        """
        if not isinstance(self._default, SupportsFolders):
            raise OperationNotSupportedException(
                f"{type(self._default).__name__} knows no folders, and new files go there", operation="within"
            )
        kept = [storage.within(*folders) for storage in self.storages if isinstance(storage, SupportsFolders)]
        manager = type(self).__new__(type(self))
        shown = f"what keeps to {'/'.join(folders)}"
        manager._begin(kept, shown, self._validator, None, concurrency=self._concurrency)  # noqa: SLF001 - a copy
        manager._has_raw_clients = False  # noqa: SLF001 - they reach everything
        return manager

    # ---- routing

    @property
    def storages(self) -> tuple[Storage, ...]:
        """All storages. New files go to the first one."""
        return tuple(self._routes.values())

    @property
    def default_storage(self) -> Storage:
        """The storage for new files."""
        return self._default

    def storage_for(self, file_id: FileName) -> Storage:
        """Return the storage of a file, by its id alone, without I/O.

        Raises:
            RouteNotSupportedException: The mode lacks the system of the file, or its bucket is not allowed.
            InvalidArgumentException: The text is not an id.
        """
        text = file_id.file_id if isinstance(file_id, StoredFile) else file_id
        parsed = text if isinstance(text, FileId) else FileId.parse(text)
        try:
            return self._routes[parsed.scheme, parsed.bucket]
        except KeyError:
            raise RouteNotSupportedException(self._why_not(parsed), file_id=str(parsed)) from None

    def _why_not(self, file_id: FileId) -> str:
        if file_id.bucket is not None and any(scheme == file_id.scheme for scheme, _ in self._routes):
            return _not_allowed(file_id.bucket)
        refused = f"{self._shown} has no storage for {file_id.scheme} ids"
        if file_id.scheme != FASTDFS or file_id.details is not None or self._default.chooses_ids:
            return refused
        example = FileId(self._default.scheme, self._default.bucket, file_id.key)
        return f"{refused}, and {file_id.key!r} has no scheme: it takes full ids, such as '{example}'"

    def storage_for_new(self, bucket: str | None = None) -> Storage:
        """Return the storage for a new file: the default one, or another bucket on the same server.

        Raises:
            RouteNotSupportedException: The bucket is not allowed.
        """
        if bucket is None or self._default.bucket is None:
            return self._default
        try:
            return self._routes[self._default.scheme, bucket]
        except KeyError:
            raise RouteNotSupportedException(_not_allowed(bucket)) from None

    def identify(self, name: FileName) -> FileId:
        """Parse an id and check that the manager serves it, without I/O. An id without a scheme is a FastDFS id."""
        return self.storage_for(name).identify(name)

    def fusion_id(self, file_id: str) -> str:
        """Return the id that columns store. For a manager it is the same id. `S3Client.fusion_id` adds a scheme."""
        return file_id

    def shown_id(self, fusion_id: str) -> str:
        """Return the id that services return. For a manager it is the same id. `S3Client.shown_id` removes a scheme."""
        return fusion_id

    def file(self, file_id: FileName) -> StoredFile:
        """Return the file object of an id, without I/O. The file need not exist."""
        return StoredFile(self.identify(file_id), self)

    # ---- raw clients

    @cached_property
    def s3(self) -> S3Client:
        """The raw client of S3. It reaches every bucket and validates nothing. The manager closes it.

        Raises:
            RouteNotSupportedException: The manager has no S3.
        """
        return S3Client(self._first(s3_storage_class()))

    @cached_property
    def fastdfs(self) -> FastDFSClient:
        """The raw client of FastDFS.

        Raises:
            RouteNotSupportedException: The manager has no FastDFS.
        """
        return FastDFSClient(self._first(FastDFSStorage))

    def _first[Kind: Storage](self, kind: type[Kind]) -> Kind:
        for storage in self.storages:
            if isinstance(storage, kind) and self._has_raw_clients:
                return storage
        raise RouteNotSupportedException(f"{self._shown} has no {kind.__name__}")

    # ---- lifetime

    async def ping(self) -> None:
        """Check that every storage answers, for health checks.

        Raises:
            StorageException: A storage does not answer. The error names the storage.
        """
        await map_bounded(_ping, self.storages, limit=len(self.storages))

    async def open(self) -> Self:
        """Make the storages usable, also after `aclose`. They open connections when they need them.

        Raises:
            InvalidArgumentException: `aclose` released a registered name, and another storage uses it now.
        """
        for name, router in self._released:
            registry.register(name, router)
        self._released = []
        async with AsyncExitStack() as opened:
            for storage in self.storages:
                await opened.enter_async_context(storage)
            opened.pop_all()
        return self

    async def aclose(self) -> None:
        """Close every storage, even if one of them raises. The manager refuses every operation until `open`.

        The registry releases the names of the storages, so that another manager can use them. An application factory
        can therefore be called again.
        """
        routers: list[registry.StorageRouter] = [self, *self.storages]
        self._released += [(name, router) for router in routers for name in registry.release(router)]
        async with AsyncExitStack() as closing:
            for storage in self.storages:
                closing.push_async_callback(storage.aclose)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()


def _storages_of(
    mode: StorageMode, s3: S3Config | None, fastdfs: FastdfsConfig | None, allowed_buckets: Iterable[str]
) -> list[Storage]:
    """Return the storages of a mode. New files go to the first one."""
    if isinstance(allowed_buckets, str):
        raise InvalidArgumentException(f"allowed_buckets is a list of names, not one name: write [{allowed_buckets!r}]")
    needed, given = _NEEDS[mode], {"s3": s3, FASTDFS: fastdfs}
    if missing := sorted(name for name in needed if given[name] is None):
        raise InvalidArgumentException(f"mode {mode} needs {' and '.join(f'{name}_config' for name in missing)}")
    storages: list[Storage] = []
    if "s3" in needed and s3 is not None:
        default = s3_storage_class().from_config(s3)
        others = dict.fromkeys(bucket for bucket in allowed_buckets if bucket != s3.default_bucket)
        storages += [default, *map(default.with_bucket, others)]
    if FASTDFS in needed and fastdfs is not None:
        storages.append(FastDFSStorage(fastdfs))
    return storages


async def _ping(storage: Storage) -> None:
    if isinstance(storage, SupportsPing):
        with during("ping", repr(storage)):
            await storage.ping()


def _not_allowed(bucket: str) -> str:
    return f"the bucket {bucket!r} is not one of those that are allowed"


def _checked(storages: Mapping[str, Storage]) -> list[Storage]:
    for scheme, storage in storages.items():
        if storage.scheme != scheme:
            raise InvalidArgumentException(f"{storage!r} serves {storage.scheme} ids, not {scheme} ids")
    return list(storages.values())
