"""Keys of files that browsers upload by themselves, until somebody attaches them. No I/O.

```
pending/ 6921c0de.Zk3…Q /photos/5f0c7a4be11c9d20_cat.jpg
  |          |      |        |
folder   deadline  HMAC   the key it will have
```

The key is its own token: it proves that it was given out here, to whom, and until when it may be attached. So uploaders
such as Uppy, which know of a file nothing but its key, hand back all that is needed.
"""

import hashlib
import json
import time
from collections.abc import Sequence

from itsdangerous import Signer

from async_storages import naming
from async_storages.errors import AccessDeniedException, InvalidArgumentException

__all__ = ["PendingKeys"]


class PendingKeys:
    """Makes and checks the keys below one folder of one storage.

    Args:
        secret_key: One secret, or several for rotation: the last one signs, all of them are accepted.
        purpose: Tells the storage from others that use the same secret.
        folder: The folder's full key, without a slash at its end.

    Raises:
        InvalidArgumentException: A secret that is empty.
    """

    def __init__(self, secret_key: str | Sequence[str], purpose: str, folder: str) -> None:
        keys = [secret_key] if isinstance(secret_key, str) else list(secret_key)
        if not keys or not all(isinstance(key, str) and key for key in keys):
            raise InvalidArgumentException("a secret_key is a str, or several, and never empty")
        self._signer = Signer(keys, salt=f"async_storages.{purpose}", digest_method=hashlib.sha256)
        self.prefix = f"{folder}/"

    def new(self, target: str, owner: str | None, *, keep_for: float) -> str:
        """The full key that a file is uploaded to.

        Args:
            target: The key that it will have.
            owner: Who may attach it; None for whoever knows the key.
            keep_for: Seconds until which that must have happened.
        """
        deadline = int(time.time() + keep_for)
        signature = self._signer.get_signature(_claim(target, deadline, owner)).decode()
        return naming.check_key(f"{self.prefix}{deadline:x}.{signature}/{target}")

    def target(self, key: str, owner: str | None) -> str:
        """The key that the file will have.

        Args:
            key: As a client sent it.
            owner: Who the client is.

        Raises:
            AccessDeniedException: It is none of these keys, was altered, is another's, or its time is over.
        """
        deadline, signature, target = self._parts(key)
        if not self._signer.verify_signature(_claim(target, deadline, owner), signature):
            raise AccessDeniedException("the key was not given to this client")
        if deadline < time.time():
            raise AccessDeniedException("the time to attach the upload is over")
        return target

    def is_over(self, key: str) -> bool:
        """Whether the time of a key is over, going by what it says; False for what is none of these keys."""
        try:
            return self._parts(key)[0] < time.time()
        except AccessDeniedException:
            return False

    def _parts(self, key: str) -> tuple[int, str, str]:
        try:
            claim, slash, target = key.removeprefix(self.prefix).partition("/")
            deadline, dot, signature = claim.partition(".")
            if key.startswith(self.prefix) and slash and dot:
                return int(deadline, 16), signature, target
        except ValueError:
            pass
        raise AccessDeniedException("this is no key of an upload")


def _claim(target: str, deadline: int, owner: str | None) -> bytes:
    return json.dumps([target, deadline, owner]).encode()
