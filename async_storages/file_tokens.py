"""Tokens that clients get in place of file ids. With a raw id, a client could read any file that the process can."""

from collections.abc import Sequence
from typing import Literal, get_args

from async_storages._secrets import hidden
from async_storages.errors import AccessDeniedException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.signing import TokenSigner, check_expires_in

__all__ = ["FileRight", "FileTokens"]

FileRight = Literal["read", "manage"]
"""The right that a token gives: ``"read"`` reads a file and its facts, ``"manage"`` also deletes it."""

_RIGHTS = get_args(FileRight)  # each allows what those before it do


class FileTokens:
    """Makes and checks tokens for files. A token gives one right, and may be limited to one owner.

    Args:
        secret_key: One secret, or several for rotation: the last one signs, all of them are accepted.
        expires_in: The lifetime of a token in seconds, 1 to 604,800.

    Raises:
        InvalidArgumentException: A secret is empty, or `expires_in` is out of range.

    Example:
        >>> tokens = FileTokens(secret)
        >>> tokens.file_id(tokens.sign(document.file))
        'file:5f0c7a4be11c9d20_cat.png'
    """

    def __init__(self, secret_key: str | Sequence[str], *, expires_in: float = 86_400) -> None:
        secret_key = hidden(secret_key)
        check_expires_in(expires_in)
        self._expires_in = expires_in
        self._signer = TokenSigner(secret_key, "file")

    def sign(self, file: StoredFile | str, right: FileRight = "read", *, owner: str | None = None) -> str:
        """Return a token for a file.

        Args:
            file: The file or its id. The client can read the id in the token.
            right: The right that the token gives.
            owner: The client that may use the token. None allows every client that has it.

        Raises:
            InvalidArgumentException: The right is unknown.
        """
        if right not in _RIGHTS:
            raise InvalidArgumentException(f"a right is one of {_RIGHTS}, not {right!r}")
        return self._signer.sign({"id": str(file), "right": right, "owner": owner}, check_expires_in(self._expires_in))

    def file_id(self, token: str, right: FileRight = "read", *, owner: str | None = None) -> str:
        """Return the file id in a token.

        Args:
            token: The token from a client.
            right: The right that the client needs.
            owner: The client. None if it is unknown.

        Raises:
            AccessDeniedException: The token is malformed, altered, expired, gives a lesser right, or belongs to another
                client.
        """
        token = hidden(token)
        payload = self._signer.verify(token)
        if _RIGHTS.index(payload["right"]) < _RIGHTS.index(right):
            raise AccessDeniedException(f"the token lets nobody {right} the file", operation="verify")
        if payload["owner"] not in {None, owner}:
            raise AccessDeniedException("the token is another's", operation="verify")
        return str(payload["id"])
