"""The anti-leech token of FastDFS's nginx module, like a presigned URL of S3 (common/fdfs_http_shared.c:306-356)."""

from hashlib import md5

from async_storages.errors import InvalidArgumentException

__all__ = ["anti_leech_token"]

_LONGEST = 320  # bytes of what is hashed, and 12 for the time


def anti_leech_token(path: str, secret_key: str, timestamp: int) -> str:
    """Return the token of a link.

    Args:
        path: The id without its group: ``M00/00/1E/…``.
        secret_key: The ``http.anti_steal.secret_key`` of the server.
        timestamp: The time of the link, in seconds since 1970. The server accepts the link for its ``token_ttl`` after
            that.

    Raises:
        InvalidArgumentException: Path and key together are too long.

    Example:
        >>> anti_leech_token("M00/00/20/fwAAAWsCGCKAJhtIAAAAA9er2IM886.log", "FastDFS1234567890", 1700000000)
        '21ccf8723695a2b95be0196420d04dea'
    """
    if len(path.encode()) + len(secret_key.encode()) + 12 > _LONGEST:
        raise InvalidArgumentException("the id and the secret key are too long for a token")
    return md5(f"{path}{secret_key}{timestamp}".encode(), usedforsecurity=False).hexdigest()
