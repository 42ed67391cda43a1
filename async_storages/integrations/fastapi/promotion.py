"""From a pending upload to a file like any other."""

from contextlib import aclosing

from async_storages import sniff
from async_storages.backends.cleanup import clean_up
from async_storages.backends.copies import Announcer, copied
from async_storages.errors import FileTooLargeException, InvalidFileTypeException
from async_storages.files import StoredFile
from async_storages.ids import FileId
from async_storages.images.probe import ImageSize, StreamProbe
from async_storages.storage import Storage
from async_storages.validation import FileValidatorImpl

__all__ = ["promote"]

_HEAD = 65_536
"""Bytes that are looked at: the header of any image of cameras and browsers lies within."""

_UNDO_WITHIN = 30.0  # seconds


async def promote(
    storage: Storage, pending: FileId, target: str, validator: FileValidatorImpl, ledger: Announcer | None = None
) -> StoredFile:
    """Give an upload its place, if it is what is let in; the pending file is gone then.

    The client's URL may still replace the pending file. So what is checked is the copy, which nobody but us can write:
    of the version that was found, as `copy` sees to (``x-amz-copy-source-if-match`` on S3). No second attempt passes:
    its target is taken, or its upload is gone.

    Args:
        storage: Holds both.
        pending: The upload.
        target: The key that it will have.
        validator: What is let in.
        ledger: Told of the file before it is there.

    Raises:
        FileNotFoundException: Nothing was uploaded, or it has its place already.
        FileExistsException: It is getting its place at this moment.
        FileTooLargeException: It is too large; it is removed.
        InvalidFileTypeException: Its name or content is not let in, or they do not agree; it is removed.
        OperationNotSupportedException: The storage cannot copy.
    """
    try:
        await _check_size(storage.file(pending), validator)  # spares copying what is too large
        async with copied(storage, pending, target, ledger) as file:
            await _check(file, validator)
            await storage.delete(pending)
    except (FileTooLargeException, InvalidFileTypeException) as error:
        await clean_up(storage.delete(pending), error, within=_UNDO_WITHIN)
        raise
    return file


async def _check(file: StoredFile, validator: FileValidatorImpl) -> None:
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


async def _check_size(file: StoredFile, validator: FileValidatorImpl) -> None:
    validator.check_size((await file.get_info()).file_size, file.filename)
