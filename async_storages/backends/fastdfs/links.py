"""Links to files that nginx serves, with or without FastDFS's module. No I/O."""

from datetime import timedelta
from typing import Literal
from urllib.parse import quote, urlencode, urlsplit

from async_storages import naming
from async_storages._secrets import hidden
from async_storages.backends.fastdfs.protocol import Name
from async_storages.backends.fastdfs.token import anti_leech_token
from async_storages.config import FastdfsConfig
from async_storages.errors import InvalidArgumentException, OperationNotSupportedException
from async_storages.signing import check_expires_in

__all__ = ["Links"]

_LONGEST = 511  # bytes of path and query: FastDFS's module refuses more (fastdfs-nginx-module/src/common.c)


class Links:
    """The links of a storage.

    Args:
        config: See `FastdfsConfig`.

    Raises:
        InvalidArgumentException: The `url_base` is malformed.
    """

    def __init__(self, config: FastdfsConfig) -> None:
        self._base = _checked_base(config.url_base)
        self._secret = config.secret_key
        self._token_ttl = config.token_ttl
        self._filename: Literal["filename", "attname"] = config.link_filename

    def made_at(self, expires_in: float, stable: timedelta | None = None) -> int:
        """Return the time for a link that expires in this number of seconds: see `SupportsPresign.presign`.

        Raises:
            OperationNotSupportedException: The storage has no `secret_key` or no `token_ttl`.
        """
        ends_at = int(check_expires_in(expires_in, stable).timestamp())
        if self._secret is None or self._token_ttl is None:
            raise OperationNotSupportedException("links that end need a secret_key, and the token_ttl of the server")
        made_at = ends_at - self._token_ttl
        if made_at < 1:  # 0 would never end
            raise InvalidArgumentException(f"no link can end in {expires_in} s with a token_ttl of so many years")
        return made_at

    def link(self, file_id: str, made_at: int, filename: str | None = None) -> str:
        """Return a link with this time. A name that is too long is shortened or left out.

        Raises:
            OperationNotSupportedException: The storage has no `url_base`.
        """
        if self._base is None:
            raise OperationNotSupportedException("there is no url_base")
        url = f"{self._base}/{quote(file_id)}"
        query: dict[str, str | int] = {}
        if self._secret is not None:
            secret = hidden(self._secret.get_secret_value())
            query = {"token": anti_leech_token(Name.parse(file_id).path, secret, made_at), "ts": made_at}
        if filename:
            room = _LONGEST - _bytes_sent(_with(url, query | {self._filename: ""}))
            if shown := _fitting(naming.clean_filename(filename), room):
                query[self._filename] = shown
        return _with(url, query)


def _with(url: str, query: dict[str, str | int]) -> str:
    return f"{url}?{urlencode(query, quote_via=quote)}" if query else url


def _bytes_sent(url: str) -> int:
    """Return the length of path and query."""
    parts = urlsplit(url)
    return len(f"{parts.path}?{parts.query}")


def _fitting(name: str, room: int) -> str:
    """Return as much of a name as fits when quoted, with its extension. Empty if the extension does not fit."""
    stem, dot, extension = name.rpartition(".")
    if not stem:
        stem, dot, extension = name, "", ""
    room -= len(quote(dot + extension))
    while stem and len(quote(stem)) > room:
        stem = stem[:-1]
    return stem + dot + extension if stem else ""


def _checked_base(url_base: str | None) -> str | None:
    if url_base is None:
        return None
    parts = urlsplit(url_base)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise InvalidArgumentException("the url_base must be http[s]://host[:port][/path]")
    return url_base.rstrip("/")
