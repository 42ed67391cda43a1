"""Files that are held back until a scanner has found them clean.

```python
document.file = await storage.save(upload, folder="quarantine")
...
review = await quarantine.review(document.file, scanner, folder="documents")
if review.released:
    document.file = review.released  # with enable_file_tracking the commit removes the quarantined file
```
"""

from dataclasses import dataclass

from async_storages import naming
from async_storages.backends.cleanup import clean_up
from async_storages.errors import OperationNotSupportedException
from async_storages.files import StoredFile
from async_storages.models import FileBasicInfo
from async_storages.scanning import Scanner, Unscanned, Verdict
from async_storages.storage import SupportsCopy

__all__ = ["Review", "review"]

_UNDO_WITHIN = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Review:
    """What came of a review.

    Attributes:
        verdict: What the scanner said.
        released: The file that may be used, a copy under a new key; None unless it is clean.
    """

    verdict: Verdict
    released: StoredFile | None = None


async def review(file: StoredFile, scanner: Scanner, *, folder: str = "") -> Review:
    """Scan a file, and release it if it is clean.

    What is released is the version that was scanned: if the file is replaced meanwhile, as by somebody who holds a
    presigned URL, it stays where it is. The quarantined file is never removed here: its row may still name it.

    Args:
        file: The quarantined file.
        scanner: Looks at it.
        folder: Of the key that the released file has.

    Raises:
        FileNotFoundException: There is no such file.
        OperationNotSupportedException: Its storage cannot copy.
        StorageException: Its storage fails.
    """
    storage = file.storage
    if not isinstance(storage, SupportsCopy):
        raise OperationNotSupportedException(f"{type(storage).__name__} cannot copy files", operation="review")
    scanned = _version(await file.get_info())
    verdict = await scanner.scan(file)
    if not verdict:
        return Review(verdict)
    target = naming.unique_key(file.filename, folder)
    released = StoredFile(await storage.copy(file, target, overwrite=False), storage)
    try:
        if _version(await file.get_info()) == scanned:
            released.remember(is_new=True)
            return Review(verdict, released)
        await released.delete()
    except BaseException as error:
        await clean_up(released.delete(), error, within=_UNDO_WITHIN)
        raise
    return Review(Unscanned("the file was replaced while it was scanned"))


def _version(info: FileBasicInfo) -> tuple[object, ...]:
    return info.etag, info.file_size, info.last_modify_time
