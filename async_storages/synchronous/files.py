"""Stored files without ``await``: the classes of ``StoredFile.sync``."""

from async_storages.files import StoredFile, StoredImage
from async_storages.synchronous.methods import Facade, Iteration, Method

__all__ = ["SyncStoredFile", "SyncStoredImage"]


class SyncStoredFile(Facade[StoredFile]):
    """The methods of a `StoredFile` for synchronous code. Each blocks until it is done.

    Raises:
        InvalidArgumentException: An event loop runs in this thread. Each method raises this.

    Example:
        >>> document.file.sync.get_size() > 0
        True
    """

    __slots__ = ()

    get_path = Method(StoredFile.get_path)
    get_info = Method(StoredFile.get_info)
    get_size = Method(StoredFile.get_size)
    exists = Method(StoredFile.exists)
    stream = Iteration(StoredFile.stream)
    read = Method(StoredFile.read)
    open = Method(StoredFile.open)
    download_to = Method(StoredFile.download_to)
    delete = Method(StoredFile.delete)
    upload = Method(StoredFile.upload)
    get_presigned_url = Method(StoredFile.get_presigned_url)


class SyncStoredImage(SyncStoredFile):
    """The methods of a `StoredImage` for synchronous code. Each blocks until it is done."""

    __slots__ = ()

    get_dimensions = Method(StoredImage.get_dimensions)
    get_image_size = Method(StoredImage.get_image_size)
    srcset = Method(StoredImage.srcset)
