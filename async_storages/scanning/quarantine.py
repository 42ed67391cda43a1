"""Quarantine: files that are held back until a scanner has found them clean.

```python
from async_storages.scanning import quarantine

document.file = await storage.save(upload, folder="quarantine")
...
review = await review_quarantined_file(document.file, scanner, folder="documents")
if review.released:
    document.file = review.released  # with enable_file_tracking the commit removes the quarantined file
```
"""

import re
from dataclasses import dataclass

from async_storages.direct_uploads.verified_copy import Announcer, copied
from async_storages.errors import during
from async_storages.files import StoredFile
from async_storages.models import FileBasicInfo
from async_storages.scanning.verdicts import Scanner, Unscanned, Verdict

__all__ = ["QuarantineReview", "review_quarantined_file"]

_MD5 = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class QuarantineReview:
    """The result of a review.

    Attributes:
        verdict: The verdict of the scanner.
        released: A copy of the file under a new key, ready for use. None if the file is not clean.
    """

    verdict: Verdict
    released: StoredFile | None = None


async def review_quarantined_file(
    file: StoredFile, scanner: Scanner, *, folder: str = "", ledger: Announcer | None = None
) -> QuarantineReview:
    """Scan a file. If it is clean, release it: copy it into `folder` under a new key.

    Only the scanned version is released. If a client replaces the file during the scan, for example with a presigned
    URL, nothing is released, and the verdict is `Unscanned`. This function never deletes the quarantined file, as a row
    may still reference it.

    Args:
        file: The quarantined file.
        scanner: The scanner.
        folder: The folder of the released file's key.
        ledger: A `FileLedger`. It records the released file before the copy is made. If the process dies before a row
            references the copy, the ledger deletes it.

    Raises:
        FileNotFoundException: There is no such file.
        OperationNotSupportedException: The storage of the file cannot copy.
        StorageException: The storage failed.
    """
    with during("review", file.file_id):
        scanned = await file.get_info()
        verdict = await scanner.scan(file)
        if not verdict:
            return QuarantineReview(verdict)
        async with copied(file.storage, file, file.filename, ledger, folder=folder) as released:
            is_unchanged = _version(await file.get_info()) == _version(scanned)
            if is_unchanged and not _differ(scanned, await released.get_info()):
                return QuarantineReview(verdict, released)
            await released.delete()
    return QuarantineReview(Unscanned("the file was replaced while it was scanned"))


def _differ(scanned: FileBasicInfo, released: FileBasicInfo) -> bool:
    """Return True if the ETags are digests and differ: the file was replaced and restored within a second."""
    etags = [info.etag or "" for info in (scanned, released)]
    return all(map(_MD5.fullmatch, etags)) and etags[0] != etags[1]


def _version(info: FileBasicInfo) -> tuple[object, ...]:
    return info.etag, info.file_size, info.last_modify_time
