"""Storages without ``await``: the class of ``Storage.sync``."""

from typing import TYPE_CHECKING, Self, Unpack, overload

from async_storages.storage.base import Storage
from async_storages.storage.capabilities import (
    SupportsCopy,
    SupportsDirectUpload,
    SupportsList,
    SupportsMetadata,
    SupportsPing,
)
from async_storages.synchronous.background_loop import run_sync
from async_storages.synchronous.methods import Facade, Iteration, Method

if TYPE_CHECKING:
    from types import TracebackType

    from async_storages.content import Content, ContentOptions, PendingFile
    from async_storages.files import StoredFile
    from async_storages.sources import Source, Upload

__all__ = ["SyncStorage"]


class SyncStorage(Facade[Storage]):
    """The methods of a `Storage` for synchronous code. Each blocks until it is done. ``with storage.sync:`` closes it.

    Raises:
        InvalidArgumentException: An event loop runs in this thread. Each method raises this.
        OperationNotSupportedException: The storage does not have the method, for example `list`.

    Example:
        >>> storage.sync.upload(b"hello", "notes/hello.txt")
        'notes/hello.txt'
    """

    __slots__ = ()

    upload = Method(Storage.upload)
    stream = Iteration(Storage.stream)
    read = Method(Storage.read)
    open = Method(Storage.open)
    download_to = Method(Storage.download_to)
    stat = Method(Storage.stat)
    info = Method(Storage.info)
    get_size = Method(Storage.get_size)
    url = Method(Storage.url)
    get_path = Method(Storage.get_path)
    exists = Method(Storage.exists)
    delete = Method(Storage.delete)
    delete_many = Method(Storage.delete_many)
    prepare = Method(Storage.prepare)
    presigned_urls = Method(Storage.presigned_urls)
    presign_post = Method(SupportsDirectUpload.presign_post)
    list = Iteration(SupportsList.list)
    copy = Method(SupportsCopy.copy)
    set_metadata = Method(SupportsMetadata.set_metadata)
    ping = Method(SupportsPing.ping)
    aclose = Method(Storage.aclose)
    close = Method(Storage.aclose)

    @overload
    def save(  # type: ignore[overload-overlap] # an upload is a source, too
        self, content: "Upload", filename: str | None = None, *, folder: str = "", **options: "Unpack[ContentOptions]"
    ) -> "StoredFile | None": ...

    @overload
    def save(
        self,
        content: "Source | PendingFile | Content",
        filename: str | None = None,
        *,
        folder: str = "",
        **options: "Unpack[ContentOptions]",
    ) -> "StoredFile": ...

    def save(
        self,
        content: "Source | PendingFile | Content",
        filename: str | None = None,
        *,
        folder: str = "",
        **options: "Unpack[ContentOptions]",
    ) -> "StoredFile | None":
        """Store content under a fresh, unique key: see `Storage.save`."""
        return run_sync(self._target.save(content, filename, folder=folder, **options))

    def __enter__(self) -> Self:
        run_sync(self._target.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: "TracebackType | None"
    ) -> None:
        run_sync(self._target.__aexit__(kind, error, traceback))
