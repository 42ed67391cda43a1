"""Files in a local folder, for development and for single servers."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from io import BufferedReader
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from async_storages import naming, sniff
from async_storages._secrets import hidden
from async_storages._tasks import offload
from async_storages.backends.local.folder import Draft, Folder, version
from async_storages.backends.local.part_uploads import LocalPartUploads
from async_storages.backends.local.sidecars import Description
from async_storages.backends.local.urls import PresignedRequest, PresignedTokens, checked_base_url
from async_storages.content import Content, PendingFile, check_metadata
from async_storages.content_disposition import content_disposition
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    StorageOperationException,
    during,
)
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo, PresignedUpload
from async_storages.signing import check_expires_in
from async_storages.sources import CHUNK_SIZE, Source
from async_storages.storage.base import FileName
from async_storages.storage.byte_ranges import byte_range
from async_storages.storage.capabilities import PresignMethod, PresignOptions
from async_storages.storage.folders import FolderStorage
from async_storages.storage.presigning import PresigningStorage, check_presign_method
from async_storages.upload_options import NO_OPTIONS, SERVED, UploadOptions

__all__ = ["LocalStorage", "PresignedRequest"]

_LIST_BATCH = 256


class LocalStorage(PresigningStorage, FolderStorage):
    """Keeps files in a folder, as plain files. Ids are ``file:key``.

    Writes are atomic. A new file appears complete or not at all, and replaces an old one in one step.

    Args:
        root: The folder. The first write creates it, with its parents.
        base_url: The URL at which the application serves the folder, or only its path. For example
            ``"https://example.com/files"`` or ``"/files"``. Without it, URLs are ``file:`` URIs, and the storage
            cannot presign.
        secret_key: The secret that signs URLs, or several secrets for rotation. The last one signs.
        name: The registered name of the storage.
        read_only: True refuses every write and delete.
        fsync: True flushes each file to the disk before the write returns. This is safe against power cuts, and slower.
        upload_options: The options of new files. A folder supports the `UploadOptions` that are headers.

    Raises:
        InvalidArgumentException: The `base_url` begins with none of ``http://``, ``https://`` and ``/``. Or the secret
            is empty.

    Example:
        >>> storage = LocalStorage("files", base_url="http://localhost:8000/files", secret_key="…")
        >>> await storage.upload(Path("q3.pdf"), "reports/q3.pdf")
        'reports/q3.pdf'
    """

    scheme = "file"
    able_options = SERVED

    def __init__(
        self,
        root: str | os.PathLike[str],
        base_url: str | None = None,
        secret_key: str | Sequence[str] | None = None,
        *,
        name: str | None = None,
        read_only: bool = False,
        fsync: bool = False,
        upload_options: UploadOptions | None = None,
    ) -> None:
        secret_key = hidden(secret_key)
        self.upload_options = upload_options or NO_OPTIONS
        self._check_options(self.upload_options)
        self.root = Path(os.path.abspath(root))  # noqa: PTH100 - links stay, and only `..` is resolved
        self.location = str(self.root)
        self._base_url = checked_base_url(base_url)
        self._tokens = PresignedTokens(self._base_url, secret_key)
        self._folder = Folder(self.root, fsync=fsync)
        super().__init__(name=name, read_only=read_only)

    def __repr__(self) -> str:
        return f"LocalStorage({self.location!r})"

    @property
    def part_uploads(self) -> LocalPartUploads:
        """Return the uploads in parts, which a browser sends: see `SupportsPartUploads`."""
        return LocalPartUploads(self)

    async def write(self, content: Content, key: FileName, *, overwrite: bool = True) -> str:
        """Store the content under the key: see `Storage.write`."""
        with self.operation("write", key) as operation:
            target, options = operation.file.key, self.options_for(content)
            async with self._draft(target, overwrite=overwrite) as draft:
                size = await content.measure()
                if size is None or size > CHUNK_SIZE:  # else the commit does it, in the same thread
                    await offload(self._folder.start, draft)
                last = b""  # is written with the commit, which spares most files a pass through a thread
                async for chunk in content:
                    if last:
                        await offload(self._folder.append, draft, last)
                    last = chunk
                    operation.bytes += len(chunk)
                served = _served(options) if options.said else {}
                description = _description(target, await content.content_type(), content.metadata, served)
                await offload(self._folder.commit, draft, description, last)
            return str(operation.file)

    @asynccontextmanager
    async def _draft(self, key: str, *, overwrite: bool) -> AsyncIterator[Draft]:
        """Make a draft, and discard it if the block fails."""
        draft = self._folder.draft(key, overwrite=overwrite)
        try:
            yield draft
        except BaseException:
            await offload(self._folder.discard, draft)
            raise

    async def stream(
        self, name: FileName, offset: int = 0, length: int | None = None, *, chunk_size: int = CHUNK_SIZE
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of a file, or of a range of it: see `Storage.stream`."""
        with self.operation("stream", name) as operation, ExitStack() as opened:
            file, positions, chunk = await offload(
                self._begin_to_read, operation.file.key, opened, offset, length, chunk_size
            )
            for start in positions:
                expected = min(chunk_size, positions.stop - start)
                if start != positions.start:
                    chunk = await offload(self._folder.read, file, expected)
                if len(chunk) != expected:
                    raise StorageOperationException("the file was cut short while it was read")
                operation.bytes += expected
                yield chunk

    def _begin_to_read(
        self, key: str, opened: ExitStack, offset: int, length: int | None, chunk_size: int
    ) -> tuple[BufferedReader, range, bytes]:
        """Open a file. Return it with the positions of its chunks and the first chunk: most files have no other."""
        file, found = self._folder.open(key, opened)
        positions = byte_range(found.st_size, offset, length, chunk_size)
        file.seek(positions.start)
        return file, positions, self._folder.read(file, min(chunk_size, positions.stop - positions.start))

    async def stat(self, name: FileName) -> FileBasicInfo:
        """Return size, type, etag, time and metadata: see `Storage.stat`."""
        with self.operation("stat", name) as operation:
            return _info(operation.file, *await offload(self._folder.stat, operation.file.key))

    async def delete(self, name: FileName) -> None:
        """Delete a file, and its folders if they are empty then. It is not an error if the file does not exist."""
        with self.operation("delete", name) as operation:
            await offload(self._folder.remove, operation.file.key)

    async def url(self, name: FileName) -> str:
        """Return the percent-encoded URL below `base_url`. Without `base_url`, return a ``file:`` URI."""
        with self.operation("url", name) as operation:
            return self._url(operation.file)

    def _url(self, file_id: FileId) -> str:
        base = self.root.as_uri() if self._base_url is None else self._base_url
        return f"{base}/{quote(file_id.key, safe='/~')}"

    async def list(self, prefix: str = "") -> AsyncIterator[FileBasicInfo]:
        """Yield the files whose key begins with `prefix`, sorted by key: see `SupportsList`."""
        with self.operation("list"):
            keys = self._folder.keys(self.prefix + prefix)
            while (found := await offload(self._stat_next, keys)) is not None:
                for info in found:
                    yield info

    def _stat_next(self, keys: Iterator[str]) -> Sequence[FileBasicInfo] | None:
        """Return the files of the next keys. None if there is none."""
        batch, found = list(islice(keys, _LIST_BATCH)), []
        for key in batch:
            try:
                file_id = self.identify(FileId(self.scheme, None, key))
                found.append(_info(file_id, *self._folder.stat(key)))
            except (FileNotFoundException, InvalidArgumentException):
                continue  # deleted meanwhile, or put there by hand under a name that cannot be a key
        return found if batch else None

    async def copy(self, source: FileName, target: FileName, *, overwrite: bool = True) -> str:
        """Copy a file with its type and metadata: see `SupportsCopy`."""
        with self.operation("copy", target) as operation, ExitStack() as opened:
            origin, key = self.identify(source), operation.file.key
            with during("copy", str(origin)):
                file, kept = await offload(self._folder.open_described, origin.key, opened)
            async with self._draft(key, overwrite=overwrite) as draft:
                await offload(self._folder.start, draft)
                while chunk := await offload(self._folder.read, file, CHUNK_SIZE):
                    await offload(self._folder.append, draft, chunk)
                    operation.bytes += len(chunk)
                served = {name: kept[name] for name in SERVED if name in kept}
                description = _description(key, _content_type(origin.key, kept), kept.get("metadata", {}), served)
                await offload(self._folder.commit, draft, description)
            return str(operation.file)

    async def set_metadata(self, name: FileName, metadata: Mapping[str, str]) -> None:
        """Replace the user's metadata: see `SupportsMetadata`."""
        with self.operation("set_metadata", name) as operation:
            change = {"metadata": check_metadata(metadata)}
            await offload(self._folder.describe, operation.file.key, change)

    # ---- presigned URLs and forms

    def sign_url(self, file: FileId, expires_in: float, method: PresignMethod, options: PresignOptions) -> str:
        """Return a URL below `base_url` with a token. A route checks the token with `verify_presigned`."""
        filename = options.get("filename")
        disposition = options.get("disposition") or ("attachment" if filename else None)
        if disposition:
            content_disposition(filename or file.key, disposition)  # refuses bad ones now
        request = PresignedRequest(
            method=method,
            key=file.key,
            filename=filename,
            disposition=disposition,
            content_type=options.get("content_type"),
            content_length=options.get("content_length"),
        )
        token = self._tokens.sign(request, check_expires_in(expires_in, options.get("stable")))
        return f"{self._url(file)}?token={token}"

    def presign_put(
        self,
        name: FileName,
        expires_in: float = 3600,
        *,
        content_length: int | None = None,
        max_size: int | None = None,
    ) -> str:
        """Return a presigned URL for a PUT, like `presign`. It can also limit a size that is not known yet.

        Args:
            name: The file.
            expires_in: Seconds from now, 1 to 604,800.
            content_length: The exact size of the upload in bytes.
            max_size: The largest size of the upload in bytes.
        """
        with self.operation("presign", name) as operation:
            request = PresignedRequest(
                method=check_presign_method("PUT", read_only=self.read_only),
                key=naming.check_key(operation.file.key),
                content_length=content_length,
                max_size=max_size,
            )
            token = self._tokens.sign(request, check_expires_in(expires_in))
            return f"{self._url(operation.file)}?token={token}"

    async def presign_post(
        self,
        name: FileName,
        expires_in: float = 3600,
        *,
        max_size: int | None = None,
        min_size: int = 0,
        content_type: str | None = None,
    ) -> PresignedUpload:
        """Return a form to post to `base_url`: see `SupportsDirectUpload`."""
        with self.operation("presign_post", name) as operation:
            request = PresignedRequest(
                method=check_presign_method("POST", read_only=self.read_only),
                key=naming.check_key(operation.file.key, operation="presign_post"),
                content_type=content_type,
                min_size=min_size,
                max_size=max_size,
            )
            expires_at = check_expires_in(expires_in)
            token = self._tokens.sign(request, expires_at)
            typed = {} if content_type is None else {"Content-Type": content_type}
            return PresignedUpload(
                file_id=str(operation.file),
                url=str(self._base_url),
                fields={"key": request.key, "token": token, **typed},
                expires_at=expires_at,
            )

    def verify_presigned(self, method: str, key: str, token: str) -> PresignedRequest:
        """Verify a token and return its limits, for the route that serves `base_url`.

        Args:
            method: The method of the HTTP request.
            key: The key from the path, or from the form's field ``key``, percent-decoded.
            token: The token from the query parameter ``token``, or from the form field ``token``.

        Raises:
            AccessDeniedException: The token is malformed, altered or expired, or it is for another method or key.
        """
        token = hidden(token)
        with during("verify_presigned", key):
            return self._tokens.verify(method, key, token)

    async def upload_presigned(
        self,
        request: PresignedRequest,
        content: Source | PendingFile,
        *,
        content_type: str | None = None,
        content_length: int | None = None,
    ) -> str:
        """Store the content of a request with a PUT or POST token, within its limits. Return the file id.

        Args:
            request: The result of `verify_presigned`.
            content: The body of the request, or the form's part ``file``.
            content_type: The type that the request declares.
            content_length: The size in bytes that the request declares. None if it declares none.

        Raises:
            AccessDeniedException: The type or the declared size differs from the signed one.
            FileTooLargeException: The request sent more bytes than allowed.
            InvalidArgumentException: The request sent fewer bytes than allowed, or not as many as declared.
        """
        with during("upload_presigned", request.key):
            request.check_declared(content_type, content_length)
            key = await self.upload(
                content,
                request.key,
                content_type=request.content_type,
                size=request.content_length if content_length is None else content_length,
                min_size=request.min_size,
                max_size=request.max_size if request.content_length is None else request.content_length,
            )
            return str(self.identify(key))


def _description(key: str, content_type: str, metadata: Mapping[str, str], served: Mapping[str, str]) -> Description:
    """Return the description to keep beside a file. Empty if the name tells the type and there is no metadata."""
    if not metadata and not served and content_type == sniff.guess_by_name(key):
        return {}
    return {"content_type": content_type, "metadata": dict(metadata), **served}


def _served(options: UploadOptions) -> dict[str, str]:
    """Return the options in the form in which they are kept."""
    said = {name: value for name, value in options.said.items() if name in SERVED}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}


def _info(file_id: FileId, found: os.stat_result, description: Description) -> FileBasicInfo:
    return FileBasicInfo(
        file_id=str(file_id),
        file_name=naming.original_filename(file_id.key),
        file_size=found.st_size,
        last_modify_time=datetime.fromtimestamp(found.st_mtime, UTC),
        metadata=description.get("metadata", {}),
        content_type=_content_type(file_id.key, description),
        etag="-".join(f"{number:x}" for number in version(found)),
        **{name: description[name] for name in SERVED if name in description},
    )


def _content_type(key: str, description: Description) -> str:
    return str(description.get("content_type") or sniff.guess_by_name(key))
