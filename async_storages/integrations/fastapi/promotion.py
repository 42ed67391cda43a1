"""From a pending upload to a file like any other."""

from async_storages import sniff
from async_storages.backends.cleanup import clean_up
from async_storages.errors import (
    FileTooLargeException,
    InvalidFileTypeException,
    OperationNotSupportedException,
)
from async_storages.files import StoredFile
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage import Storage, SupportsCopy
from async_storages.validation import FileValidatorImpl

__all__ = ["promote"]

_HEAD = 4096
_UNDO_WITHIN = 30.0  # seconds


async def promote(storage: Storage, pending: FileId, target: str, validator: FileValidatorImpl) -> StoredFile:
    """Give an upload its place, if it is what is let in; the pending file is gone then.

    The client's URL may still replace the pending file. So what is checked is the copy, which nobody but us can write:
    of the version that was found, as `copy` sees to (``x-amz-copy-source-if-match`` on S3). No second attempt passes:
    its target is taken, or its upload is gone.

    Args:
        storage: Holds both.
        pending: The upload.
        target: The key that it will have.
        validator: What is let in.

    Raises:
        FileNotFoundException: Nothing was uploaded, or it has its place already.
        FileExistsException: It is getting its place at this moment.
        FileTooLargeException: It is too large; it is removed.
        InvalidFileTypeException: Its content is not let in, or is not what its name says; it is removed.
        OperationNotSupportedException: The storage cannot copy.
    """
    if not isinstance(storage, SupportsCopy):
        raise OperationNotSupportedException(f"{type(storage).__name__} cannot copy files")
    try:
        _check_size(await storage.stat(pending), validator)  # spares copying what is too large
        file = StoredFile(await storage.copy(pending, target, overwrite=False), storage)
        try:
            await _check(file, validator)
            await storage.delete(pending)
        except BaseException as error:
            await clean_up(file.delete(), error, within=_UNDO_WITHIN)
            raise
    except (FileTooLargeException, InvalidFileTypeException) as error:
        await clean_up(storage.delete(pending), error, within=_UNDO_WITHIN)
        raise
    return file


async def _check(file: StoredFile, validator: FileValidatorImpl) -> None:
    info = await file.get_info()
    _check_size(info, validator)
    head = b"".join([chunk async for chunk in file.stream(0, _HEAD)])
    validator.check_type(head, file.filename)
    kind, expected = sniff.content_type(head, file.filename), sniff.guess_by_name(file.filename)
    if expected not in {kind, sniff.UNKNOWN_TYPE}:  # it is stored as the type that its name says
        raise InvalidFileTypeException(f"the content is {kind}, not {expected}")
    file.remember(is_new=True)


def _check_size(info: FileBasicInfo, validator: FileValidatorImpl) -> None:
    validator.check_size(info.file_size, info.file_name)
