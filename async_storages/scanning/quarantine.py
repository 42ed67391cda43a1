"""Files that are held back until a scanner has found them clean.

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
    """Result of a review.

    Attributes:
        verdict: What the scanner said.
        released: The file that may be used, a copy under a new key; None unless it is clean.
    """

    verdict: Verdict
    released: StoredFile | None = None


async def review_quarantined_file(
    file: StoredFile, scanner: Scanner, *, folder: str = "", ledger: Announcer | None = None
) -> QuarantineReview:
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
    """True if the ETags are digests and differ: the file was replaced and put back within a second."""
    etags = [info.etag or "" for info in (scanned, released)]
    return all(map(_MD5.fullmatch, etags)) and etags[0] != etags[1]


def _version(info: FileBasicInfo) -> tuple[object, ...]:
    return info.etag, info.file_size, info.last_modify_time
