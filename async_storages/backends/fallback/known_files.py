"""Keys of files that the new storage was found to have."""

__all__ = ["KnownFiles"]

_MOST = 10_000


class KnownFiles:
    """Keys that were found in the new storage lately, the 10,000 that were asked for last.

    That a file is in the new storage stays true until it is deleted. That it is only in the old one may end at any
    moment, by another process: so this is never remembered.
    """

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        if key not in self._keys:
            return False
        self.add(key)
        return True

    def add(self, key: str) -> None:
        """Note a key as the one that was asked for last."""
        self._keys.pop(key, None)
        self._keys[key] = None
        if len(self._keys) > _MOST:
            del self._keys[next(iter(self._keys))]

    def forget(self, key: str) -> None:
        """Forget a key; nothing happens if it is not known."""
        self._keys.pop(key, None)
