"""Tokens that clients hold in place of file ids: a raw id would let anyone read any file that the credentials reach."""

from collections.abc import Sequence
from typing import Literal, get_args

from async_storages._secrets import hidden
from async_storages.errors import AccessDeniedException, InvalidArgumentException
from async_storages.files import StoredFile
from async_storages.signing import TokenSigner, check_expires_in

__all__ = ["FileRight", "FileTokens"]

FileRight = Literal["read", "manage"]
"""The right of a token's holder: to read a file and its facts, or that and to delete it."""

_RIGHTS = get_args(FileRight)  # each allows what those before it do


class FileTokens:
    """Makes and checks the tokens that stand for files, each for one right, some for one owner.

    Args:
        secret_key: One secret, or several for rotation: the last one signs, all of them are accepted.
        expires_in: Seconds that a token is good for, 1 to 604,800.

    Raises:
        InvalidArgumentException: A secret that is empty, or a time out of range.

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
        """A token for a file.

        Args:
            file: The file or its fusion id; it is readable in the token.
            right: The holder's.
            owner: The client that may use the token; None for whoever holds it.

        Raises:
            InvalidArgumentException: There is no such right.
        """
        if right not in _RIGHTS:
            raise InvalidArgumentException(f"a right is one of {_RIGHTS}, not {right!r}")
        return self._signer.sign({"id": str(file), "right": right, "owner": owner}, check_expires_in(self._expires_in))

    def file_id(self, token: str, right: FileRight = "read", *, owner: str | None = None) -> str:
        """The fusion id that a token stands for.

        Args:
            token: The token that a client sent.
            right: The one that the client needs.
            owner: The client, as far as it is known.

        Raises:
            AccessDeniedException: The token is malformed, altered, expired, for a lesser right, or another's.
        """
        token = hidden(token)
        payload = self._signer.verify(token)
        if _RIGHTS.index(payload["right"]) < _RIGHTS.index(right):
            raise AccessDeniedException(f"the token lets nobody {right} the file", operation="verify")
        if payload["owner"] not in {None, owner}:
            raise AccessDeniedException("the token is another's", operation="verify")
        return str(payload["id"])
