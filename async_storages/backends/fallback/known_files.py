"""Keys of files that are in the new storage."""

__all__ = ["KnownFiles"]

_MOST = 10_000


class KnownFiles:
    """The last 10,000 requested keys that were found in the new storage.

    A file in the new storage stays there until it is deleted, so its key is remembered. Another process may move a file
    out of the old storage at any moment, so keys of the old storage are not remembered.
    """

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        if key not in self._keys:
            return False
        self.add(key)
        return True

    def add(self, key: str) -> None:
        """Add a key as the last requested one."""
        self._keys.pop(key, None)
        self._keys[key] = None
        if len(self._keys) > _MOST:
            del self._keys[next(iter(self._keys))]

    def forget(self, key: str) -> None:
        """Forget a key. An unknown key is not an error."""
        self._keys.pop(key, None)
