"""Checksum headers. Some servers refuse them, so they are sent as configured or as the server accepts them."""

from collections.abc import Mapping
from typing import Literal, get_args

from async_storages.backends.s3 import checksums
from async_storages.backends.transport.http import Body
from async_storages.errors import InvalidArgumentException

__all__ = ["ChecksumHeaders", "Checksums"]

Checksums = Literal["auto", "required", "never"]
"""When ``x-amz-checksum-…`` headers are sent: until the server refuses them, always, or never. Else an MD5 is sent."""

_PREFIX = "x-amz-checksum-"
_NAMED = "x-amz-sdk-checksum-algorithm"
"""The header that names the checksum. It is sent together with the checksum."""
_MODE = "x-amz-checksum-mode"


class ChecksumHeaders:
    """The rule that decides if requests to one server carry checksum headers.

    Args:
        checksums: See `Checksums`.

    Attributes:
        are_sent: True if requests carry them.

    Raises:
        InvalidArgumentException: `checksums` has another value.
    """

    def __init__(self, checksums: Checksums) -> None:
        if checksums not in get_args(Checksums):
            raise InvalidArgumentException(f"checksums is {checksums!a}: give auto, required or never")
        self.are_sent = checksums != "never"
        self._may_learn = checksums == "auto"
        self._accepted: set[str] = set()

    @property
    def are_read(self) -> bool:
        """True if the server is known to accept requests for a stored checksum, or must accept them."""
        return self.are_sent and (not self._may_learn or _MODE in self._accepted)

    def may_be_why(self, method: str, headers: Mapping[str, str]) -> bool:
        """Return True if checksum headers may be the reason of a refusal, so that a retry without them makes sense.

        A refused HEAD gives no reason, and is not repeated.
        """
        is_unknown = self._may_learn and not self._accepted.issuperset(_names(headers))
        is_known_by_now = not self.are_sent  # from the answer to another request
        return (is_unknown or is_known_by_now) and method != "HEAD" and bool(_names(headers))

    def learn(self, method: str, headers: Mapping[str, str], *, were_sent: bool) -> None:
        """Note that the server accepted a request, with checksum headers or only without them."""
        if not headers or not self._may_learn or method == "HEAD":
            return
        if self._accepted.issuperset(names := _names(headers)):
            return
        if were_sent:
            self._accepted.update(names)
        else:
            self.are_sent = self._may_learn = False

    def are_left_out(self, method: str, headers: Mapping[str, str], *, are_sent: bool) -> bool:
        """Return True if the `reduced` headers are to be sent.

        A HEAD requests the stored checksum only if the server has accepted other checksum headers.
        """
        if are_sent and (method != "HEAD" or self._accepted or not self._may_learn):
            return False
        return bool(_names(headers))

    async def reduced(self, headers: Mapping[str, str], body: Body | None) -> Mapping[str, str]:
        """Return the headers without checksums, and with an MD5 of the body."""
        left_out = (_PREFIX, _NAMED)
        kept = {name: value for name, value in headers.items() if not name.startswith(left_out)}
        if body is not None and body.size and f"{_PREFIX}crc32" in headers:
            kept["Content-MD5"] = await checksums.computed(checksums.content_md5, body)
        return kept


def _names(headers: Mapping[str, str]) -> list[str]:
    return [name for name in headers if name.startswith(_PREFIX)]
