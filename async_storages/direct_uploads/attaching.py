"""A pending upload becomes a file like any other."""

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
"""Bytes that are looked at: the header of any image of cameras and browsers lies within."""


async def promote(
    storage: Storage,
    upload: PendingUpload,
    validator: FileValidator,
    ledger: Announcer | None = None,
    claim: Claim | None = None,
) -> StoredFile:
    """Make a file of an upload, if it is let in; the pending file is gone then.

    It is safe whatever the server makes of conditions. The client's URL may replace the pending file at any moment: so
    what is checked is the copy, which nobody but us can write. The copy has a key that was made for this one attempt:
    so nothing that is there is replaced by it, and nothing else is removed where the attempt fails.

    Args:
        storage: Holds both.
        upload: The upload.
        validator: The rules that let it in.
        ledger: Told of the file before it is there.
        claim: Says whether the upload was attached before: see `claimed`.

    Raises:
        FileNotFoundException: Nothing was uploaded, or it has been attached.
        FileExistsException: It has been attached and uploaded again, or is being attached at this moment.
        FileTooLargeException: It is too large; it is removed.
        InvalidFileTypeException: Its name or content is not let in, or they do not agree; it is removed.
        OperationNotSupportedException: The storage cannot copy, or not list.
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
