"""Names of files in an archive: safe and unique paths."""

import posixpath
from collections import Counter

from async_storages import naming

__all__ = ["Names"]

_LONGEST_UNNUMBERED = 240


class Names:
    """Gives each entry a safe and unique path."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._folders: dict[str, str] = {}
        self._numbers: Counter[str] = Counter()

    def unique(self, untrusted: str) -> str:
        """Return the path of the next file.

        Raises:
            InvalidArgumentException: The name is not a str.
        """
        *folders, name = naming.clean_key(untrusted).split("/")
        path = ""
        for folder in folders:
            path = self._folder(path + folder) + "/"
        return self._free(path + name)

    def _folder(self, path: str) -> str:
        wanted = path.casefold()
        if wanted not in self._folders:
            self._folders[wanted] = self._free(path)
        return self._folders[wanted]

    def _free(self, path: str) -> str:
        free = self._numbered(path) if path.casefold() in self._taken else path
        self._taken.add(free.casefold())
        return free

    def _numbered(self, path: str) -> str:
        folder, name = posixpath.split(path)
        stem, extension = posixpath.splitext(naming.clean_filename(name, max_bytes=_LONGEST_UNNUMBERED))
        wanted = posixpath.join(folder, stem)
        # counted by what is left after shortening, so that no two series of numbers run over each other
        series = f"{wanted}/{extension}".casefold()
        while path.casefold() in self._taken:
            self._numbers[series] += 1
            path = f"{wanted}_{self._numbers[series] + 1}{extension}"
        return path
