"""Direct uploads as an application uses them: begun, in one piece or in parts, attached, expired."""

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
    """Everything that a browser needs to upload one file by itself.

    POST: send `fields` and then the file, as the part ``file``, as ``multipart/form-data``. PUT: send the file as the
    body, with `headers`.

    Attributes:
        key: Handed back by the client when the file has arrived.
        method: ``"POST"`` or ``"PUT"``.
        url: The address of the request; it holds a signature, so that neither it nor `fields` is shown in a repr.
        fields: Of the form.
        headers: Of the request.
        expires_at: The end of the signature.
    """

    model_config = ConfigDict(frozen=True)

    key: str = Field(repr=False)
    method: Literal["POST", "PUT"]
    url: str = Field(repr=False)
    fields: dict[str, str] = Field(default_factory=dict, repr=False)
    headers: dict[str, str] = Field(default_factory=dict)
    expires_at: datetime


class DirectUploads:
    """Begins uploads to one storage, and makes files of them.

    Args:
        storage: One that presigns, copies and lists: S3, GCS, or a `LocalStorage` whose signed routes the application
            serves. Only those that are `SupportsPartUploads` take parts.
        secret_key: Signs the keys: one secret, or several for rotation, of which the last one signs.
        folder: Of the keys that attached files have.
        validator: The rules that let files in; nobody's browser is believed.
        pending: The folder of files that are not attached yet.
        expires_in: Seconds in which an upload must begin, 1 to 604,800.
        keep_for: Seconds in which it must be attached, not less; then it may be removed.
        unsized_parts: True lets a client ask for the URL of a part without its size although the validator limits sizes
            and the storage, as S3, cannot limit what is then sent: up to 5 GiB for each part, until the upload is
            completed, which refuses them, or aborted.
        ledger: Told of each file before it is attached, so that none is left when the process dies before a row names
            it, and of each upload that is attached, so that none is twice: a `FileLedger`.
        clock: The time in seconds since 1970, by which uploads expire; for tests.

    Attributes:
        expires_in: As given.

    Raises:
        InvalidArgumentException: An option that cannot be.
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
        """Let a browser upload one file.

        Args:
            filename: Any name, however hostile; it is cleaned. It tells the type that is stored.
            size: Bytes; the upload must be of just this size. A PUT cannot do without, as nothing else limits it.
            owner: The client that may attach it; None for whoever knows the key.
            method: A form (POST), or PUT, for servers that know no forms.

        Raises:
            InvalidFileTypeException: The extension is not let in.
            FileTooLargeException: The size is not.
            InvalidArgumentException: A PUT without a size.
            OperationNotSupportedException: The storage cannot presign this.
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
        """A new pending file, and its type."""
        name = self._validator.check_name(filename)
        return self._pending.new(name, owner), sniff.guess_by_name(name)

    # ---- in parts

    @property
    def takes_parts(self) -> bool:
        """True if uploads in parts can begin."""
        return isinstance(self._storage, SupportsPartUploads)

    async def start_parts(self, filename: str, *, owner: str | None = None) -> tuple[str, str]:
        """Let a browser upload one file in parts, of 5 MiB to 5 GiB each but for the last.

        Returns:
            The key, and the upload's id there.

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
        """The URL to which part `number`, from 1 to 10,000, is sent with PUT.

        Args:
            key: From `start_parts`.
            upload_id: From `start_parts`.
            number: The part's.
            owner: The client.
            size: Bytes of the part: no more and no less may then be sent.

        Raises:
            FileTooLargeException: The file would be larger than is let in.
            InvalidArgumentException: Sizes are limited, and neither `size` is said nor can the storage limit it: see
                `unsized_parts`.
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
        """The parts that have arrived; raises FileNotFoundException if there is no such upload."""
        key = hidden(key)
        with self._pending.known("list_parts", key, owner) as file_id:
            return await self._parts().parts(file_id, upload_id)

    async def complete_parts(
        self, key: str, upload_id: str, etags: Mapping[int, str], *, owner: str | None = None
    ) -> str:
        """Put the parts together; returns the URL of the upload, which is not attached yet.

        Args:
            key: From `start_parts`.
            upload_id: From `start_parts`.
            etags: Of each part by its number.
            owner: The client.

        Raises:
            FileNotFoundException: There is no such upload, or it is complete already.
            FileTooLargeException: The file would be larger than is let in.
            InvalidArgumentException: A part is missing, another one, or too small.
        """
        key = hidden(key)
        with self._pending.known("complete_upload", key, owner) as file_id:
            await self._parts().complete(file_id, upload_id, etags, max_size=self._validator.max_file_size)
            return await self._storage.url(file_id)

    async def abort_parts(self, key: str, upload_id: str, *, owner: str | None = None) -> None:
        """Give an upload in parts up; one that is gone is no error."""
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
        """Make a file of an upload, once; it may be put into a column then.

        The file gets a key of its own, and is looked at there, where no client can write: on no server can a client
        replace or remove a file that is attached, whatever it sends to its URL again. An upload is attached once,
        although its URL takes another file until it expires: a claim that is kept until the time to attach is over
        says so, in the ledger, else as a small object beside the upload. The latter asks of the server that a listing
        holds what was written before it; where it does not, two attaches at once may both succeed, and make two files.

        Args:
            key: The key that the client hands back.
            owner: The client.
            claim: Decides in the place of these claims whether this is the first attach. It is called before anything
                is copied, with 64 hexadecimal digits that are the same each time the upload is attached, and raises
                what `attach` then raises, as an INSERT does into a table with a unique column: so the upload is used
                up when your transaction is committed. What it lets pass becomes a file of its own each time.

        Raises:
            AccessDeniedException: The key was altered, is another's, or its time is over.
            FileNotFoundException: Nothing was uploaded, or it was attached before.
            FileExistsException: It was attached before and uploaded again, or is being attached at this moment.
            FileTooLargeException: It is too large; it is removed.
            InvalidFileTypeException: Its content is not let in, or is not what its name says; it is removed.
            OperationNotSupportedException: The storage cannot copy; or not list, with neither a ledger nor `claim`.
        """
        key = hidden(key)
        with self._pending.known("attach", key, owner) as file_id:
            return await promote(self._storage, self._pending.upload(file_id), self._validator, self._ledger, claim)

    async def remove_expired(self) -> int:
        """Remove uploads that nobody has attached in time, also those in parts; returns how many there were.

        `run` calls it now and then. On S3 `bucket_admin.expire("pending/", days=2)` makes the server do it.

        Raises:
            OperationNotSupportedException: The storage cannot list what it holds.
        """
        return await self._expired.remove()

    async def run(self, interval: timedelta = timedelta(hours=1)) -> None:
        """Call `remove_expired` again and again, until the task is cancelled; a failure is logged, and tried again.

        It may run in any number of processes.

        Args:
            interval: The time between two calls, the first of which is at the beginning.
        """
        await self._expired.run(interval)

    @asynccontextmanager
    async def running(self, interval: timedelta = timedelta(hours=1)) -> AsyncGenerator[Self]:
        """`run` beside the block, as in the lifespan of an application; it has ended when the block is left."""
        async with beside(self.run(interval), "DirectUploads.run"):
            yield self
