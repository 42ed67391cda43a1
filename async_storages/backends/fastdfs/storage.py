"""Files in FastDFS. FastDFS chooses their ids."""

import builtins
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, Unpack, overload

from async_storages import ids, naming, sniff
from async_storages._secrets import hidden
from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.cluster import FastDFSCluster
from async_storages.backends.fastdfs.links import Links
from async_storages.backends.fastdfs.pool import FastDFSOptions
from async_storages.backends.fastdfs.protocol import FileInfo, Name
from async_storages.config import FastdfsConfig, validated
from async_storages.content import Content, ContentOptions, PendingFile, as_content, check_metadata
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    OperationNotSupportedException,
    during,
)
from async_storages.fastdfs_ids import FastDFSDetails, FileKind, slave_id
from async_storages.files import StoredFile
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.sources import CHUNK_SIZE, Source, Upload, is_empty_input
from async_storages.storage.base import FileName
from async_storages.storage.byte_ranges import byte_range
from async_storages.storage.capabilities import PresignMethod, PresignOptions
from async_storages.storage.presigning import PresigningStorage

__all__ = ["FastDFSStorage"]

_FILE_NAME = "OriginFileName"  # as aiofdfs has it
_CONTENT_TYPE = "ContentType"
_OWN_OF_AIOFDFS = ("OriginFileExtName", "OriginFileSize")  # its own entries, not the user's metadata


class FastDFSStorage(PresigningStorage):
    """Keeps files in a FastDFS cluster. Ids are FastDFS ids, such as ``group1/M00/00/1E/fwAAA….jpg``.

    FastDFS chooses the id of every new file. The id keeps the name's extension. The storage keeps the name and
    the metadata as FastDFS metadata, and also the content type if the extension does not tell it. This costs one more
    round trip for each upload.

    Args:
        config: The settings, or a list of trackers. Other arguments override the settings.
        tracker_servers: The trackers. `FastdfsConfig` describes this and the next arguments in detail.
        group: The group to upload to.
        store_path_index: The disk to upload to.
        connect_timeout: The longest time to connect, in seconds.
        network_timeout: Seconds without a byte after which a transfer fails.
        url_base: The URL at which a web server serves the files.
        secret_key: The secret that signs tokens in URLs.
        token_ttl: The server's time to live of tokens, in seconds. Presigned URLs need it.
        link_filename: The query parameter for the name of a download: ``filename`` or ``attname``.
        address_map: The addresses of a cluster behind NAT or in Docker.
        name: The registered name of the storage.
        read_only: True refuses every write and delete.
        options: Pool, time-outs and retries in detail. The two time-outs above override it.

    Raises:
        InvalidArgumentException: An option is wrong.

    Example:
        >>> storage = FastDFSStorage(tracker_servers=["10.0.0.1:22122"], url_base="https://files.example.com")
    """

    scheme = ids.FASTDFS
    chooses_ids = True

    def __init__(
        self,
        config: FastdfsConfig | list[str] | tuple[str, ...] | None = None,
        *,
        tracker_servers: Iterable[str] | None = None,
        group: str | None = None,
        store_path_index: int | None = None,
        connect_timeout: float | None = None,
        network_timeout: float | None = None,
        url_base: str | None = None,
        secret_key: str | None = None,
        token_ttl: int | None = None,
        link_filename: Literal["filename", "attname"] | None = None,
        address_map: Mapping[str, str] | None = None,
        name: str | None = None,
        read_only: bool = False,
        options: FastDFSOptions | None = None,
    ) -> None:
        secret_key = hidden(secret_key)
        given = {
            "tracker_servers": tracker_servers,
            "group": group,
            "store_path_index": store_path_index,
            "connect_timeout": connect_timeout,
            "network_timeout": network_timeout,
            "url_base": url_base,
            "secret_key": secret_key,
            "token_ttl": token_ttl,
            "link_filename": link_filename,
            "address_map": address_map,
        }
        said = {setting: value for setting, value in given.items() if value is not None}
        if isinstance(config, list | tuple) and tracker_servers is not None:
            raise InvalidArgumentException("the trackers are given twice: as the first argument, and by their name")
        self._config = validated(FastdfsConfig, {**_settings(config), **said})
        self._cluster = FastDFSCluster(
            self._config.tracker_servers,
            group=self._config.group,
            store_path_index=self._config.store_path_index,
            options=_options(self._config, options),
            address_map=self._config.address_map,
        )
        self._links = Links(self._config)
        self.location = ",".join(sorted(map(str, self._cluster.servers)))
        super().__init__(name=name, read_only=read_only)

    @classmethod
    def from_conf(cls, conf: Any, **options: Any) -> "FastDFSStorage":
        """Return a storage from the ``FastDfsConf`` of aiofdfs. `options` are arguments of the class."""
        found = {
            "tracker_servers": list(conf.tracker_servers),
            "connect_timeout": conf.connect_timeout,
            "network_timeout": conf.network_timeout,
            "store_path_index": -1 if conf.store_path_index == protocol.ANY_PATH else conf.store_path_index,
        }
        return cls(**{**found, **options})

    def __repr__(self) -> str:
        return f"FastDFSStorage({self.location!r})"

    @property
    def cluster(self) -> FastDFSCluster:
        """The client for features that only FastDFS has: appenders, slaves, groups, servers."""
        return self._cluster

    async def ping(self) -> None:
        """Check that a tracker and a storage server answer: see `SupportsPing`."""
        with self.operation("ping"):
            await self._cluster.ping()

    async def aclose(self) -> None:
        """Close the connections of the running event loop: see `Storage.aclose`."""
        await super().aclose()
        await self._cluster.aclose()

    def check_key(self, file_id: FileId) -> None:
        """Refuse a text that is not a FastDFS id. Refuse also an id that ends with ``-m``: it names stored metadata."""
        Name.parse(file_id.key)
        if file_id.key.endswith("-m"):  # so FastDFS names the file that holds the metadata of another one
            raise InvalidArgumentException("metadata is no file of its own", file_id=str(file_id))

    # ---- writing

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content as a new file: see `Storage.write`.

        A failed or cancelled write leaves no file, except in one case. If the connection breaks after all bytes were
        sent and before the id arrives, a file may stay in FastDFS.
        """
        return await self._write(content, key, naming.original_filename(str(key)))

    async def _write(self, content: Content, key: FileName, shown: str | None) -> str:
        with self.operation("write", key) as operation:
            self.options_for(content)  # there are none
            extension = _extension(str(key))
            metadata = await _description(content, shown, extension)
            file_id = await self._cluster.upload(content, extension, metadata=metadata)
            operation.bytes = content.size or 0
            return file_id

    @overload
    async def save(  # type: ignore[overload-overlap] # an upload is a source, too
        self,
        content: Upload,
        filename: str | None = None,
        *,
        folder: str = "",
        store_name: bool = True,
        **options: Unpack[ContentOptions],
    ) -> StoredFile | None: ...

    @overload
    async def save(
        self,
        content: Source | PendingFile | Content,
        filename: str | None = None,
        *,
        folder: str = "",
        store_name: bool = True,
        **options: Unpack[ContentOptions],
    ) -> StoredFile: ...

    async def save(  # pyright: ignore[reportIncompatibleMethodOverride] - one option more than every storage has
        self,
        content: Source | PendingFile | Content,
        filename: str | None = None,
        *,
        folder: str = "",
        store_name: bool = True,
        **options: Unpack[ContentOptions],
    ) -> StoredFile | None:
        """Store content under a new id: see `Storage.save`. FastDFS has no folders.

        Args:
            content: The content, as for `upload`.
            filename: The name, from any user. The storage cleans it and keeps it as metadata.
            folder: It has no effect.
            store_name: True keeps the name. Without name and metadata, an upload needs one round trip less.
            **options: Further arguments of `upload`.
        """
        if is_empty_input(content):
            return None
        with during("save", filename):
            async with as_content(content, filename, options) as body:
                key = naming.unique_key(body.filename or "file")
                file_id = await self._write(body, key, naming.original_filename(key) if store_name else None)
                return await self._new_file(file_id, body)

    async def save_slave(
        self,
        content: Source | PendingFile | Content,
        master: FileName,
        prefix: str,
        filename: str | None = None,
        **options: Unpack[ContentOptions],
    ) -> StoredFile:
        """Store a slave: a file that belongs to another one, its master. For example a thumbnail.

        The slave's id begins with the master's id without its extension.

        Args:
            content: The content, as for `upload`.
            master: The file to which the slave belongs.
            prefix: 1 to 16 of the characters A-Z, a-z, 0-9, ``.``, ``_``, ``-``. For example ``_150x150``.
            filename: A name with the slave's extension. None uses the extension of the master.
            **options: Further arguments of `upload`.

        Returns:
            The slave. Deleting the master does not delete it.

        Raises:
            FileNotFoundException: The master does not exist.
            FileExistsException: The slave exists already.
        """
        with self.operation("write", naming.clean_filename(filename or "slave")) as operation:
            origin = self.identify(master)
            extension = _extension(filename or origin.key)
            _check_slave(origin.key, prefix, extension)
            with during("write", str(origin)):
                async with as_content(content, filename, options) as body:
                    self.options_for(body)
                    metadata = await _description(body, None, extension)
                    file_id = await self._cluster.upload_slave(body, origin.key, prefix, extension, metadata=metadata)
                    operation.bytes = body.size or 0
                    return await self._new_file(file_id, body)

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata: see `SupportsMetadata`."""
        with self.operation("set_metadata", name) as operation:
            checked = check_metadata(metadata)
            found = await self._cluster.get_metadata(operation.file.key)
            own = {key: found[key] for key in (_FILE_NAME, _CONTENT_TYPE, *_OWN_OF_AIOFDFS) if key in found}
            await self._cluster.set_metadata(operation.file.key, {**checked, **own})

    async def delete(self, name: FileName) -> None:
        """Delete a file. It is not an error if the file does not exist."""
        with self.operation("delete", name) as operation:
            try:
                await self._cluster.delete(operation.file.key)
            except FileNotFoundException:
                return

    # ---- reading

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file, or of a range of it: see `Storage.stream`."""
        with self.operation("stream", name) as operation:
            byte_range(0, offset, length, chunk_size)  # refuses impossible ranges
            if length == 0 or offset < 0:  # FastDFS has no such ranges
                size = (await self._cluster.info(operation.file.key)).size
                positions = byte_range(size, offset, length, chunk_size)
                offset, length = positions.start, positions.stop - positions.start
            if length == 0:
                return
            download = self._cluster.download(operation.file.key, offset, length, chunk_size=chunk_size)
            async with aclosing(download) as chunks:
                async for chunk in chunks:
                    operation.bytes += len(chunk)
                    yield chunk

    async def read(self, name: FileName) -> bytes:
        """Return the whole content in memory: see `Storage.read`."""
        with self.operation("stream", name) as operation:
            content = await self._cluster.read(operation.file.key)
            operation.bytes = len(content)
            return content

    async def stat(self, name: FileName) -> FileBasicInfo:
        """Return size, type, etag, time and metadata: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            info, metadata = await self._cluster.describe(operation.file.key)
            file_name = metadata.pop(_FILE_NAME, None) or operation.file.key.rpartition("/")[2]
            for key in _OWN_OF_AIOFDFS:
                metadata.pop(key, None)
            return FileBasicInfo(
                file_id=str(operation.file),
                file_name=file_name,
                file_size=info.size,
                last_modify_time=datetime.fromtimestamp(info.created_at, UTC),
                content_type=metadata.pop(_CONTENT_TYPE, None) or sniff.guess_by_name(operation.file.key),
                metadata=metadata,
                etag=_etag(operation.file.key, info),
            )

    async def _info(self, name: FileName) -> FileInfo:
        with self.operation("stat", name) as operation:
            return await self._cluster.info(operation.file.key)

    async def get_size(self, name: FileName) -> int:
        """Return the size in bytes, from the storage server.

        Raises:
            FileNotFoundException: The file is missing.
        """
        return (await self._info(name)).size

    async def exists(self, name: FileName) -> bool:
        """Return True if FastDFS has the file."""
        try:
            await self._info(name)
        except FileNotFoundException:
            return False
        return True

    # ---- URLs

    async def url(self, name: FileName) -> str:
        """Return the URL at `url_base`. With a `secret_key` it has a token of the current time.

        Raises:
            OperationNotSupportedException: The storage has no `url_base`.
        """
        with self.operation("url", name) as operation:
            return self._links.link(operation.file.key, int(time.time()))

    def sign_url(self, file: FileId, expires_in: float, method: PresignMethod, options: PresignOptions) -> str:
        """Return a URL with a token that expires after `expires_in` seconds: see `SupportsPresign`.

        The server accepts a token until `token_ttl` seconds after the time in it. The storage shifts that time to get
        the expiry. With a name, the server sends the file as an attachment. The token does not protect the name.
        nginx's module accepts 511 bytes of path and query. The storage shortens a longer name before its extension, or
        leaves it out.

        Raises:
            OperationNotSupportedException: The method is not GET, a type, size or ``inline`` is given, or the storage
                lacks `url_base`, `secret_key` or `token_ttl`.
        """
        filename, disposition = options.get("filename"), options.get("disposition")
        if method != "GET":
            raise OperationNotSupportedException(f"FastDFS's links are for GET, not for {method}")
        if disposition not in {None, "inline", "attachment"}:
            raise InvalidArgumentException(f"a disposition is 'inline' or 'attachment', not {disposition!r}")
        has_limits = options.get("content_type") is not None or options.get("content_length") is not None
        if has_limits or (filename and disposition == "inline"):
            raise OperationNotSupportedException("FastDFS's links fix no type, no size, and no name with 'inline'")
        shown = filename or (naming.original_filename(file.key) if disposition == "attachment" else None)
        return self._links.link(file.key, self._links.made_at(expires_in, options.get("stable")), shown)

    def presign_many(
        self, names: Iterable[FileName], expires_in: float = 3600, *, stable: timedelta | None = None
    ) -> builtins.list[str]:
        """Return presigned URLs in the order of the names: see `SupportsPresign`."""
        with self.operation("presign"):
            made_at = self._links.made_at(expires_in, stable)
            return [self._links.link(self.identify(name).key, made_at) for name in names]


def _etag(key: str, info: FileInfo) -> str:
    """Return the etag. Servers before 6.15 give a slave the checksum of its master, so its time is used instead."""
    details = FastDFSDetails.parse(key)
    is_slave = details is not None and details.kind is FileKind.SLAVE
    return f"{info.created_at if is_slave else info.crc32:08x}-{info.size:x}"


def _settings(config: object) -> dict[str, Any]:
    """Return the given settings by their names."""
    match config:
        case None:
            return {}
        case FastdfsConfig():
            return config.model_dump(exclude_unset=True)
        case list() | tuple():
            return {"tracker_servers": config}
    raise InvalidArgumentException(
        f"give a FastdfsConfig, or a list of trackers such as ['10.0.0.1:22122'], not a {type(config).__name__}"
    )


def _options(config: FastdfsConfig, options: FastDFSOptions | None) -> FastDFSOptions:
    chosen = {name: getattr(config, name) for name in ("connect_timeout", "network_timeout")}
    if options is None:
        return FastDFSOptions(**chosen)
    said = {name: value for name, value in chosen.items() if name in config.model_fields_set}
    return replace(options, **said)


def _extension(name: str) -> str:
    """Return the part of an extension that FastDFS can keep."""
    stem, _, extension = name.rpartition("/")[2].rpartition(".")
    return extension if stem and protocol.FREE_EXTENSION.fullmatch(extension) else ""


@lru_cache(256)  # every upload asks, for few extensions
def _type_of(extension: str) -> str:
    return sniff.guess_by_name(f"file.{extension}")


def _check_slave(master: str, prefix: str, extension: str) -> None:
    """Refuse a slave whose id would look like the id of a normal file with the master's size."""
    expected = slave_id(master, prefix, extension)
    details = FastDFSDetails.parse(expected)
    if expected.endswith("-m") or (details is not None and details.kind is not FileKind.SLAVE):
        raise InvalidArgumentException(f"with the prefix {prefix!r} the slave would look like another kind of file")


async def _description(content: Content, shown: str | None, extension: str) -> dict[str, str]:
    """Return the metadata of a new file."""
    described = dict(content.metadata)
    if shown is not None:
        described[_FILE_NAME] = naming.clean_filename(shown)  # 255 bytes at the most, which FastDFS does not truncate
    content_type = await content.content_type()
    if content_type != _type_of(extension):
        described[_CONTENT_TYPE] = content_type
    return described
