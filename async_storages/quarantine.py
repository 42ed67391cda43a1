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

from async_storages.backends.copies import Announcer, copied
from async_storages.errors import during
from async_storages.files import StoredFile
from async_storages.models import FileBasicInfo
from async_storages.scanning import Scanner, Unscanned, Verdict

__all__ = ["Review", "review"]


@dataclass(frozen=True, slots=True)
class Review:
    """What came of a review.

    Attributes:
        verdict: What the scanner said.
        released: The file that may be used, a copy under a new key; None unless it is clean.
    """

    verdict: Verdict
    released: StoredFile | None = None


async def review(file: StoredFile, scanner: Scanner, *, folder: str = "", ledger: Announcer | None = None) -> Review:
    """Scan a file, and release it if it is clean.

    What is released is the version that was scanned: if the file is replaced meanwhile, as by somebody who holds a
    presigned URL, it stays where it is. The quarantined file is never removed here: its row may still name it.

    Args:
        file: The quarantined file.
        scanner: Looks at it.
        folder: Of the key that the released file has.
        ledger: Told of the released file before it is there, so that none is left when the process dies before a row
            names it: a `FileLedger`.

    Raises:
        FileNotFoundException: There is no such file.
        OperationNotSupportedException: Its storage cannot copy.
        StorageException: Its storage fails.
    """
    with during("review", file.file_id):
        scanned = _version(await file.get_info())
        verdict = await scanner.scan(file)
        if not verdict:
            return Review(verdict)
        async with copied(file.storage, file, file.filename, ledger, folder=folder) as released:
            if _version(await file.get_info()) == scanned:
                return Review(verdict, released)
            await released.delete()
    return Review(Unscanned("the file was replaced while it was scanned"))


def _version(info: FileBasicInfo) -> tuple[object, ...]:
    return info.etag, info.file_size, info.last_modify_time
