"""Attaching: a pending upload becomes a stored file."""

from contextlib import aclosing, suppress

from async_storages import sniff
from async_storages._cleanup import UNDO_WITHIN, clean_up
from async_storages.direct_uploads.first_claim import Claim, PendingUpload, claimed
from async_storages.direct_uploads.verified_copy import Announcer, copied
from async_storages.errors import FileTooLargeException, InvalidFileTypeException, StorageException
from async_storages.files import StoredFile
from async_storages.images.probe import ImageSize, StreamProbe
from async_storages.storage.base import Storage
from async_storages.validation import FileValidator

__all__ = ["promote"]

_HEAD = 65_536
"""Bytes to inspect. They include the header of every image from cameras and browsers."""


async def promote(
    storage: Storage,
    upload: PendingUpload,
    validator: FileValidator,
    ledger: Announcer | None = None,
    claim: Claim | None = None,
) -> StoredFile:
    """Turn an upload into a stored file if the validator allows it, and delete the pending file.

    This works without conditional writes. The client may replace the pending file at any moment, so the function checks
    a copy, which only the library can write. The copy has a fresh key for this attempt. So it replaces no other file,
    and a failed attempt deletes no other file.

    Args:
        storage: The storage of the upload and the new file.
        upload: The upload.
        validator: The rules for files.
        ledger: Records the file before it is written.
        claim: Decides if the upload may be attached: see `claimed`.

    Returns:
        The stored file.

    Raises:
        FileNotFoundException: The file was not uploaded, or the upload is already attached.
        FileExistsException: The upload is already attached and was uploaded again, or another call attaches it now.
        FileTooLargeException: The file is too large. The upload is removed.
        InvalidFileTypeException: The validator refuses name or content, or they do not match. The upload is removed.
        OperationNotSupportedException: The storage cannot copy, or cannot list.
    """
    try:
        await _check_size(storage.file(upload.file), validator)  # spares copying what is too large
        async with (
            claimed(storage, upload, ledger, claim),
            copied(storage, upload.file, upload.name, ledger, folder=upload.folder) as file,
        ):
            await _check(file, validator)
            with suppress(StorageException):  # it may be deleted all the same, and the claim stays
                await storage.delete(upload.file)
    except (FileTooLargeException, InvalidFileTypeException) as error:
        await clean_up(storage.delete(upload.file), error, within=UNDO_WITHIN)
        raise
    return file


async def _check(file: StoredFile, validator: FileValidator) -> None:
    await _check_size(file, validator)
    validator.check_name(file.filename)  # other uploads to this storage may be begun under other rules
    async with aclosing(file.stream(0, _HEAD)) as chunks:
        head = b"".join([chunk async for chunk in chunks])
    validator.check_type(head, file.filename)
    kind, expected = sniff.content_type(head, file.filename), sniff.guess_by_name(file.filename)
    if expected not in {kind, sniff.UNKNOWN_TYPE}:  # it is stored as the type that its name says
        raise InvalidFileTypeException(f"the content is {kind}, not {expected}")
    file.remember(image_size=_image_size(head))


def _image_size(head: bytes) -> ImageSize | None:
    probe = StreamProbe()
    probe.feed(head)
    if len(head) < _HEAD:
        probe.finish()
    return probe.result


async def _check_size(file: StoredFile, validator: FileValidator) -> None:
    validator.check_size((await file.get_info()).file_size, file.filename)
