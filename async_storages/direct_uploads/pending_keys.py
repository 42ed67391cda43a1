"""Keys of files that browsers upload by themselves, until somebody attaches them. No I/O.

```
pending/ 6921c0de.Zk3…Q /photos/5f0c7a4be11c9d20_cat.jpg
  |          |      |        |
folder   deadline  HMAC   the folder and the name it will have
```

The key is its own token: it proves that it was given out here, to whom, and until when it may be attached. So uploaders
such as Uppy, which know of a file nothing but its key, hand back all that is needed.
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
        purpose: Tells the storage from others that use the same secret.
        folder: The folder's full key, without a slash at its end.
        clock: The time in seconds since 1970.

    Raises:
        InvalidArgumentException: A secret that is empty.
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
        """The full key that a file is uploaded to.

        Args:
            target: The folder and the name that it will have, made unique.
            owner: The client that may attach it; None for whoever knows the key.
            keep_for: Seconds until which that must have happened.
        """
        deadline = int(self._clock() + keep_for)
        signature = self._signer.get_signature(_claim(target, deadline, owner)).decode()
        return naming.check_key(f"{self._prefix}{deadline:x}.{signature}/{target}")

    def target(self, key: str, owner: str | None) -> str:
        """The folder and the name that the file will have.

        Args:
            key: The key that a client sent.
            owner: The client.

        Raises:
            AccessDeniedException: It is none of these keys, was altered, is another's, or its time is over.
        """
        key = hidden(key)
        deadline, signature, target = self._parts(key)
        if not self._signer.verify_signature(_claim(target, deadline, owner), signature):
            raise AccessDeniedException("the key was not given to this client")
        if deadline < self._clock():
            raise AccessDeniedException("the time to attach the upload is over")
        return target

    def folder_and_name(self, key: str) -> str:
        """The same, of a key that `target` takes."""
        return self._parts(key)[2]

    def seconds_left(self, key: str) -> float:
        """The time until the deadline of a key that `target` takes."""
        return self._parts(key)[0] - self._clock()

    def claims(self, key: str) -> str:
        """The beginning of the full keys of the claims beside a file: see `first_claim.py`."""
        folder, _, _ = key.removeprefix(self._prefix).partition("/")
        return f"{self._prefix}{folder}/{_CLAIM}"

    @staticmethod
    def is_claim_name(name: str) -> bool:
        """True if the name of a file beside a pending one would be taken for a claim's."""
        return name.startswith(_CLAIM)

    def is_claim(self, key: str) -> bool:
        """True if a full key is that of a claim."""
        return key.startswith(self.claims(key))

    def is_over(self, key: str) -> bool:
        """True if the time that a key tells is over; False for anything else than these keys.

        Other files of the same folder, such as the parts of an upload and its claims, are over with it.
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
