"""The keys of pending files: files that browsers have uploaded and that are not attached yet. No I/O.

```
pending/ 6921c0de.Zk3…Q /photos/5f0c7a4be11c9d20_cat.jpg
  |          |      |        |
folder   deadline  HMAC   the folder and the name of the attached file
```

The key is also a token: it proves that this application made it, for which client, and until when it may be attached.
Uploaders such as Uppy know only the key of a file, and the key is all that `attach` needs.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence

from itsdangerous import Signer

from async_storages import naming
from async_storages._secrets import hidden
from async_storages.errors import AccessDeniedException
from async_storages.signing import secrets_of

__all__ = ["PendingKeys"]

_CLAIMED = re.compile(r"([1-9a-f][0-9a-f]{7,9})\.([\w-]{43})/(.+)", re.ASCII)

_CLAIM = "attached-"
"""The beginning of the names of claims."""


class PendingKeys:
    """Makes and checks the keys below one folder of one storage.

    Args:
        secret_key: One secret, or several for rotation: the last one signs, all of them are accepted.
        purpose: A text that tells the storage apart from others with the same secret.
        folder: The full key of the folder, without a slash at its end.
        clock: Returns the time in seconds since 1970.

    Raises:
        InvalidArgumentException: A secret is empty.
    """

    def __init__(
        self, secret_key: str | Sequence[str], purpose: str, folder: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        secret_key = hidden(secret_key)
        salt = f"async_storages.{purpose}"
        self._signer = Signer(secrets_of(secret_key), salt=salt, digest_method=hashlib.sha256)
        self._prefix = f"{folder}/"
        self._clock = clock

    def new(self, target: str, owner: str | None, *, keep_for: float) -> str:
        """Return the full key for a new upload.

        Args:
            target: The folder and the unique name of the attached file.
            owner: The client that may attach the upload. None allows every client that knows the key.
            keep_for: Seconds in which the upload must be attached.
        """
        deadline = int(self._clock() + keep_for)
        signature = self._signer.get_signature(_claim(target, deadline, owner)).decode()
        return naming.check_key(f"{self._prefix}{deadline:x}.{signature}/{target}")

    def target(self, key: str, owner: str | None) -> str:
        """Check a key, and return the folder and the name of the attached file.

        Args:
            key: The key from a client.
            owner: The client.

        Raises:
            AccessDeniedException: The key is not a key of an upload, was altered, belongs to another client, or has
                expired.
        """
        key = hidden(key)
        deadline, signature, target = self._parts(key)
        if not self._signer.verify_signature(_claim(target, deadline, owner), signature):
            raise AccessDeniedException("the key was not given to this client")
        if deadline < self._clock():
            raise AccessDeniedException("the time to attach the upload is over")
        return target

    def folder_and_name(self, key: str) -> str:
        """Return folder and name in a key that `target` has accepted."""
        return self._parts(key)[2]

    def seconds_left(self, key: str) -> float:
        """Return the seconds until the deadline of a key that `target` has accepted."""
        return self._parts(key)[0] - self._clock()

    def claims(self, key: str) -> str:
        """Return the beginning of the full keys of the claims on an upload: see `first_claim.py`."""
        folder, _, _ = key.removeprefix(self._prefix).partition("/")
        return f"{self._prefix}{folder}/{_CLAIM}"

    @staticmethod
    def is_claim_name(name: str) -> bool:
        """Return True if a file beside a pending file would look like a claim with this name."""
        return name.startswith(_CLAIM)

    def is_claim(self, key: str) -> bool:
        """Return True if a full key is the key of a claim."""
        return key.startswith(self.claims(key))

    def is_over(self, key: str) -> bool:
        """Return True if the deadline in a key has passed. False for other keys.

        Other files of the same folder, such as parts of an upload and its claims, have the same deadline.
        """
        try:
            return self._parts(key)[0] < self._clock()
        except AccessDeniedException:
            return False

    def _parts(self, key: str) -> tuple[int, str, str]:
        key = hidden(key)
        found = _CLAIMED.fullmatch(key.removeprefix(self._prefix)) if key.startswith(self._prefix) else None
        if found is None:
            raise AccessDeniedException("this is no key of an upload")
        return int(found[1], 16), hidden(found[2]), found[3]


def _claim(target: str, deadline: int, owner: str | None) -> bytes:
    return json.dumps([target, deadline, owner]).encode()
