"""Scanners for malicious files, and their verdicts. No I/O.

```python
match await scanner.scan(document.file):
    case Clean(): ...
    case Infected(name): ...
    case Unscanned(reason): ...  # nobody knows: it is treated like an infected one until it was scanned
```

`ClamdScanner` is a scanner. `review_quarantined_file` scans a file and releases it if it is clean.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from async_storages.files import StoredFile

__all__ = ["Clean", "Infected", "Scanner", "Unscanned", "Verdict"]


class _Verdict:
    """A verdict is true only if the file is clean, so that ``if await scanner.scan(file)`` refuses every other file."""

    __slots__ = ()
    is_clean: ClassVar[bool] = False

    def __bool__(self) -> bool:
        return self.is_clean


@dataclass(frozen=True, slots=True)
class Clean(_Verdict):
    """The scanner examined the whole file and found no malware."""

    is_clean = True

    def __str__(self) -> str:
        return "clean"


@dataclass(frozen=True, slots=True)
class Infected(_Verdict):
    """The scanner found malware.

    Attributes:
        name: The scanner's name for the malware.
    """

    name: str

    def __str__(self) -> str:
        return f"infected: {self.name}"


@dataclass(frozen=True, slots=True)
class Unscanned(_Verdict):
    """The scanner did not examine the whole file: the scanner cannot be reached, or the file is too large.

    Attributes:
        reason: The reason, as text for a log.
    """

    reason: str

    def __str__(self) -> str:
        return f"unscanned: {self.reason}"


type Verdict = Clean | Infected | Unscanned
"""A scanner's verdict on a file. It is true only if the file is clean."""


class Scanner(Protocol):
    """An object that scans files."""

    async def scan(self, file: StoredFile) -> Verdict:
        """Scan a whole file.

        Returns:
            The verdict. `Unscanned` if the scanner fails.

        Raises:
            StorageException: The file is missing, or its storage failed.
        """
        ...
