"""`DirectUploads`: an application begins uploads from browsers, attaches them, and removes expired ones."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from async_storages import sniff
from async_storages._secrets import hidden
from async_storages._tasks import beside
from async_storages.direct_uploads.attaching import promote
from async_storages.direct_uploads.expiry import ExpiredUploads
from async_storages.direct_uploads.first_claim import Claim
from async_storages.direct_uploads.pending_files import PendingFiles, errors_name
from async_storages.direct_uploads.verified_copy import Announcer
from async_storages.errors import FileTooLargeException, InvalidArgumentException, OperationNotSupportedException
from async_storages.files import StoredFile
from async_storages.ids import FileId
from async_storages.signing import check_expires_in
from async_storages.storage.base import Storage
from async_storages.storage.capabilities import SupportsDirectUpload
from async_storages.storage.part_uploads import PartUploads, StoredPart, SupportsPartUploads, largest_part
from async_storages.validation import FileValidator

__all__ = ["DirectUpload", "DirectUploads"]


class DirectUpload(BaseModel):
    """The data with which a browser uploads one file straight to the storage.

    For POST, the browser sends `fields` and then the file, as the part ``file``, in a ``multipart/form-data`` body. For
    PUT, it sends the file as the body, with `headers`.

    Attributes:
        key: The key of the upload. The client sends it to your application after the upload.
        method: ``"POST"`` or ``"PUT"``.
        url: The URL of the request. It holds a signature, so the repr shows neither it nor `fields`.
        fields: The fields of the form.
        headers: The headers of the request.
        expires_at: The time at which the signature expires.
    """

    model_config = ConfigDict(frozen=True)

    key: str = Field(repr=False)
    method: Literal["POST", "PUT"]
    url: str = Field(repr=False)
    fields: dict[str, str] = Field(default_factory=dict, repr=False)
    headers: dict[str, str] = Field(default_factory=dict)
    expires_at: datetime


class DirectUploads:
    """Begins uploads from browsers to one storage, and turns them into stored files.

    Args:
        storage: A storage that presigns, copies and lists: S3, GCS, or a `LocalStorage` whose signed routes the
            application serves. Uploads in parts need a storage that is `SupportsPartUploads`.
        secret_key: Signs the keys. One secret, or several for rotation: the last one signs, all of them are accepted.
        folder: The folder for the keys of attached files.
        validator: The rules for files. The library applies them itself and does not trust the browser.
        pending: The folder of uploads that are not attached yet.
        expires_in: Seconds in which an upload must begin, 1 to 604,800.
        keep_for: Seconds in which an upload must be attached, at least `expires_in`. After that, `remove_expired`
            removes it.
        ledger: A `FileLedger`. It records each file before the file is attached, and deletes it if the process dies
            before a row names it. It also records attached uploads, so that no upload is attached twice.
        unsized_parts: True allows a client to request the URL of a part without its size, although the validator limits
            the size of files. S3 cannot limit the size of such a part, so a client may send up to 5 GiB with each URL.
            Completing the upload refuses a file that is too large. The parts stay until the upload is aborted.
        clock: Returns the time in seconds since 1970. For tests.

    Attributes:
        expires_in: The argument `expires_in`.

    Raises:
        InvalidArgumentException: An option is wrong, or `keep_for` is less than `expires_in`.
    """

    def __init__(
        self,
        storage: Storage,
        secret_key: str | Sequence[str],
        *,
        folder: str = "",
        validator: FileValidator | None = None,
        pending: str = "pending",
        expires_in: int = 3600,
        keep_for: int = 86_400,
        ledger: Announcer | None = None,
        unsized_parts: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        secret_key = hidden(secret_key)
        check_expires_in(expires_in)
        if keep_for < expires_in:
            raise InvalidArgumentException("keep_for is less than expires_in: uploads would be removed while they run")
        self._storage = storage
        self._validator = validator or FileValidator()
        if self._validator.image is not None:
            raise InvalidArgumentException("DirectUploads decode no images: give the validator no image rules")
        self.expires_in = expires_in
        self._ledger = ledger
        self._unsized_parts = unsized_parts
        self._pending = PendingFiles(
            storage, secret_key, pending=pending, folder=folder, keep_for=keep_for, clock=clock
        )
        self._expired = ExpiredUploads(storage, self._pending)

    # ---- one request

    async def start(
        self,
        filename: str,
        size: int | None = None,
        *,
        owner: str | None = None,
        method: Literal["POST", "PUT"] = "POST",
    ) -> DirectUpload:
        """Begin the upload of one file. The result is for the browser.

        Args:
            filename: Any name, even a hostile one: it is cleaned. Its extension decides the stored content type.
            size: The exact size of the upload in bytes. None allows every size that the validator allows. PUT needs a
                size, because the server has no other limit.
            owner: The client that may attach the upload. None allows every client that knows the key.
            method: POST for a form, or PUT for servers without forms.

        Raises:
            InvalidFileTypeException: The validator refuses the extension.
            FileTooLargeException: The validator refuses the size.
            InvalidArgumentException: PUT without a size.
            OperationNotSupportedException: The storage cannot presign this request.
        """
        with errors_name("start_upload", filename, None):
            if size is not None:
                self._validator.check_size(size, filename)
            file_id, kind = self._new(filename, owner)
            return await (self._form if method == "POST" else self._put)(file_id, kind, size)

    async def _form(self, file_id: FileId, kind: str, size: int | None) -> DirectUpload:
        storage = self._storage
        if not isinstance(storage, SupportsDirectUpload):
            raise OperationNotSupportedException(f"{type(storage).__name__} cannot presign forms")
        form = await storage.presign_post(
            file_id,
            self.expires_in,
            min_size=size or 0,
            max_size=self._validator.max_file_size if size is None else size,
            content_type=kind,
        )
        return DirectUpload(
            key=file_id.key, method="POST", url=form.url, fields=form.fields, expires_at=form.expires_at
        )

    async def _put(self, file_id: FileId, kind: str, size: int | None) -> DirectUpload:
        if size is None:
            raise InvalidArgumentException("a PUT needs the size of the file")
        expires_at = check_expires_in(self.expires_in)
        [url] = await self._storage.presigned_urls(
            [file_id], self.expires_in, "PUT", content_type=kind, content_length=size
        )
        headers = self._storage.presigned_headers(content_type=kind, content_length=size)
        return DirectUpload(key=file_id.key, method="PUT", url=url, headers=headers, expires_at=expires_at)

    def _new(self, filename: str, owner: str | None) -> tuple[FileId, str]:
        """Return the id of a new pending file, and its content type."""
        name = self._validator.check_name(filename)
        return self._pending.new(name, owner), sniff.guess_by_name(name)

    # ---- in parts

    @property
    def takes_parts(self) -> bool:
        """True if the storage supports uploads in parts."""
        return isinstance(self._storage, SupportsPartUploads)

    async def start_parts(self, filename: str, *, owner: str | None = None) -> tuple[str, str]:
        """Begin the upload of one file in parts. Each part has 5 MiB to 5 GiB. The last part may be smaller.

        Args:
            filename: Any name, even a hostile one: it is cleaned. Its extension decides the stored content type.
            owner: The client that may attach the upload. None allows every client that knows the key.

        Returns:
            The key, and the upload id of the storage.

        Raises:
            StorageException: As for `start`.
        """
        with errors_name("start_upload", filename, None):
            parts = self._parts()
            file_id, kind = self._new(filename, owner)
            return file_id.key, await parts.begin(file_id, content_type=kind)

    async def sign_part(
        self, key: str, upload_id: str, number: int, *, owner: str | None = None, size: int | None = None
    ) -> str:
        """Return the URL to which the browser sends one part with PUT.

        Args:
            key: The key from `start_parts`.
            upload_id: The upload id from `start_parts`.
            number: The number of the part, 1 to 10,000.
            owner: The client that began the upload.
            size: The exact size of the part in bytes. The server refuses any other size.

        Raises:
            AccessDeniedException: The key was altered, belongs to another client, or has expired.
            FileTooLargeException: With this part, the file would be larger than the validator allows.
            InvalidArgumentException: `size` is None, the validator limits the size, and the storage cannot limit the
                part: see `unsized_parts`.
        """
        key = hidden(key)
        with self._pending.known("sign_part", key, owner) as file_id:
            limit = self._validator.max_file_size
            most = None if limit is None else largest_part(number, limit)
            if most is not None and most <= 0:
                raise FileTooLargeException(f"with a part {number} the file is larger than the {limit} bytes allowed")
            is_unsized = size is None and self._unsized_parts
            return await self._parts().presign_part(
                file_id, upload_id, number, self.expires_in, size=size, max_size=None if is_unsized else most
            )

    async def list_parts(self, key: str, upload_id: str, *, owner: str | None = None) -> list[StoredPart]:
        """Return the parts that have arrived. Raises FileNotFoundException if the upload does not exist."""
        key = hidden(key)
        with self._pending.known("list_parts", key, owner) as file_id:
            return await self._parts().parts(file_id, upload_id)

    async def complete_parts(
        self, key: str, upload_id: str, etags: Mapping[int, str], *, owner: str | None = None
    ) -> str:
        """Join the parts into one upload, and return its URL. The upload is not attached yet.

        Args:
            key: The key from `start_parts`.
            upload_id: The upload id from `start_parts`.
            etags: The ETag of each part by its number.
            owner: The client that began the upload.

        Raises:
            AccessDeniedException: The key was altered, belongs to another client, or has expired.
            FileNotFoundException: The upload does not exist, or is already complete.
            FileTooLargeException: The file would be larger than the validator allows.
            InvalidArgumentException: A part is missing, has another ETag, or is too small.
        """
        key = hidden(key)
        with self._pending.known("complete_upload", key, owner) as file_id:
            await self._parts().complete(file_id, upload_id, etags, max_size=self._validator.max_file_size)
            return await self._storage.url(file_id)

    async def abort_parts(self, key: str, upload_id: str, *, owner: str | None = None) -> None:
        """Abort an upload in parts. It is not an error if the upload does not exist."""
        key = hidden(key)
        with self._pending.known("abort_upload", key, owner) as file_id:
            await self._parts().abort(file_id, upload_id)

    def _parts(self) -> PartUploads:
        storage = self._storage
        if not isinstance(storage, SupportsPartUploads):
            raise OperationNotSupportedException(f"{type(storage).__name__} takes no uploads in parts")
        return storage.part_uploads

    # ---- afterwards

    async def attach(self, key: str, *, owner: str | None = None, claim: Claim | None = None) -> StoredFile:
        """Turn an upload into a stored file, which you can assign to a column. An upload can be attached only once.

        The library copies the upload to a fresh key and checks the copy there. No client can write to that key, so no
        client can replace or delete an attached file.

        The client's URL still accepts a file until it expires, but the upload cannot be attached again. A claim records
        this until `keep_for` is over. With a ledger, the claim is a row of the ledger. Without one, it is a small
        object beside the upload. The object works on servers whose listings show all earlier writes. On other servers,
        two calls at the same moment may both succeed and make two files.

        Args:
            key: The key from the client.
            owner: The client that began the upload.
            claim: A function that records the claim in place of the library. The library awaits it before it copies the
                upload. Its argument is a text of 64 hexadecimal digits, which is the same for each attempt with one
                upload. If the function raises, `attach` raises the same error. For example, it may insert the text into
                a unique column: then your transaction decides if the upload is used up. Each call that the function
                allows makes another file.

        Returns:
            The stored file.

        Raises:
            AccessDeniedException: The key was altered, belongs to another client, or has expired.
            FileNotFoundException: The file was not uploaded, or the upload is already attached.
            FileExistsException: The upload is already attached, and the client has sent a file to its URL again. Or
                another call attaches the upload now.
            FileTooLargeException: The file is too large. The upload is removed.
            InvalidFileTypeException: The validator refuses the content, or it does not match the name. The upload is
                removed.
            OperationNotSupportedException: The storage cannot copy. Or it cannot list, and there is neither a ledger
                nor `claim`.
        """
        key = hidden(key)
        with self._pending.known("attach", key, owner) as file_id:
            return await promote(self._storage, self._pending.upload(file_id), self._validator, self._ledger, claim)

    async def remove_expired(self) -> int:
        """Remove uploads that were not attached in time, including uploads in parts.

        `run` calls it regularly. On S3, `bucket_admin.expire("pending/", days=2)` lets the server remove them.

        Returns:
            The number of removed uploads.

        Raises:
            OperationNotSupportedException: The storage cannot list its files.
        """
        return await self._expired.remove()

    async def run(self, interval: timedelta = timedelta(hours=1)) -> None:
        """Call `remove_expired` again and again, until the task is cancelled.

        It logs a failure and tries again after the interval. It may run in several processes.

        Args:
            interval: The time between two calls. The first call is at once.
        """
        await self._expired.run(interval)

    @asynccontextmanager
    async def running(self, interval: timedelta = timedelta(hours=1)) -> AsyncGenerator[Self]:
        """Call `run` in the background of an `async with` block, for example in an application's lifespan.

        Args:
            interval: The time between two calls of `remove_expired`.
        """
        async with beside(self.run(interval), "DirectUploads.run"):
            yield self
