"""Scanners for malicious files, and their verdicts. No I/O.

```python
match await scanner.scan(document.file):
    case Clean(): ...
    case Infected(name): ...
    case Unscanned(reason): ...  # nobody knows: it is treated like an infected one until it was scanned
```

`review_quarantined_file` scans a file and releases it; `ClamdScanner` is a scanner.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from async_storages.files import StoredFile

__all__ = ["Clean", "Infected", "Scanner", "Unscanned", "Verdict"]


class _Verdict:
    """True only if the file is clean, so that ``if await scanner.scan(file)`` lets no other file pass."""

    __slots__ = ()
    is_clean: ClassVar[bool] = False

    def __bool__(self) -> bool:
        return self.is_clean


@dataclass(frozen=True, slots=True)
class Clean(_Verdict):
    """All of the file was looked at, and nothing was found."""

    is_clean = True

    def __str__(self) -> str:
        return "clean"


@dataclass(frozen=True, slots=True)
class Infected(_Verdict):
    """Something was found.

    Attributes:
        name: What the scanner calls it.
    """

    name: str

    def __str__(self) -> str:
        return f"infected: {self.name}"


@dataclass(frozen=True, slots=True)
class Unscanned(_Verdict):
    """The file, or a part of it, was not looked at: the scanner is not there, or the file is too large for it.

    Attributes:
        reason: Why, in words for a log.
    """

    reason: str

    def __str__(self) -> str:
        return f"unscanned: {self.reason}"


type Verdict = Clean | Infected | Unscanned
"""The verdict of a scanner on a file; it is true only if the file is clean."""


class Scanner(Protocol):
    """An object that looks at files."""

    async def scan(self, file: StoredFile) -> Verdict:
        """Look at all of a file.

        Returns:
            `Unscanned` where the scanner fails.

        Raises:
            StorageException: The file is missing, or its storage fails.
        """
        ...
