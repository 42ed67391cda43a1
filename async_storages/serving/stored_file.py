"""Answers that give a stored file, and cannot be turned against whoever opens them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, TypedDict
from urllib.parse import quote

from async_storages import sniff
from async_storages._media_types.well_formed import essence, is_well_formed
from async_storages.content_disposition import Disposition, content_disposition
from async_storages.errors import FileNotFoundException, InvalidArgumentException, OperationNotSupportedException
from async_storages.files import StoredFile
from async_storages.models import FileBasicInfo
from async_storages.serving.asgi import (
    RawHeaders,
    Receive,
    Scope,
    Send,
    joined_headers,
    merged_headers,
    send_empty,
)
from async_storages.serving.conditional_requests import Validators, failed_condition, wants_range
from async_storages.serving.front_server import FrontServer, local_file
from async_storages.serving.ranges import parse_range
from async_storages.serving.stored_headers import cache_control, representation, stored_disposition
from async_storages.serving.streaming import send_stream
from async_storages.signing import check_expires_in

__all__ = ["HARMLESS", "INLINE_TYPES", "DeliveryMode", "DeliveryOptions", "FileDelivery", "check_delivery"]

type DeliveryMode = Literal["redirect", "proxy"]
"""The way of a file to a client: from its storage, by a presigned URL, or through the application."""

INLINE_TYPES = frozenset(
    {
        *("application/pdf", "text/plain"),
        *("image/apng", "image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"),
        *("audio/aac", "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/opus", "audio/wav", "audio/webm"),
        *("video/mp4", "video/ogg", "video/quicktime", "video/webm", "video/x-m4v"),
    }
)
"""The types that a browser may show in its window: none of them runs scripts in the page that shows it."""

HARMLESS = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
"""Headers by which nothing that is given runs in the page of whoever opens it."""


class DeliveryOptions(TypedDict, total=False):
    """Options of a `StoredFileResponse`, in every framework.

    Attributes:
        filename: The name for people, untrusted; by default that of the stored ``Content-Disposition``, else the one it
            was stored under.
        disposition: ``"inline"`` (the default) shows what is in `INLINE_TYPES` by its stored type, and has the rest
            saved; ``"attachment"`` has everything saved.
        mode: ``"redirect"``, ``"proxy"``, or None (the default): a redirect where the storage can presign such a URL.
        expires_in: Seconds that the presigned URL is good for, 1 to 604,800; 3600 by default.
        max_age: Seconds that the client may keep the answer without asking again; 0 to have it ask each time. A
            redirect is kept at most half the time that its URL is good for. By default what the file was stored with
            (`UploadOptions.cache_control`), for the client's own cache and no shared one; else it asks each time.
        fresh_for: Seconds beyond which no answer through the application is kept, such as the rest of a URL's time.
        stable: A window of time in which redirects lead to the same URL, which caches know again:
            see `SupportsPresign.presign`.
        front_server: A web server that sends the files of a `LocalStorage` itself: `XAccelRedirect` or `XSendfile`. It
            answers ranges and conditions, and must add the headers that make files harmless: see the guide. Files
            elsewhere are answered as ever.
        content_type: The type to answer with instead of the stored one. Of either, what is not well-formed is
            answered as ``application/octet-stream``, and saved.
    """

    filename: str | None
    disposition: Disposition
    mode: DeliveryMode | None
    expires_in: float
    max_age: int | None
    fresh_for: float | None
    stable: timedelta | None
    front_server: FrontServer | None
    content_type: str | None


class FileDelivery:
    """Gives a stored file to whoever asks by GET or HEAD: by a redirect to a presigned URL, or through the application.

    Through the application it serves one range (206, 416), conditions (304, 412) and HEAD as RFC 9110 has them, and
    lets go of the storage as soon as the client has gone. A file that is missing, or fails before its first byte, is
    an exception that the framework's handlers answer; what fails later ends the connection.

    Args:
        file: The file; None, of an empty column, is answered like a missing file. The rest is `DeliveryOptions`.

    Raises:
        InvalidArgumentException: An option that cannot be.
        FileNotFoundException: The file is None.
    """

    def __init__(
        self,
        file: StoredFile | None,
        *,
        filename: str | None = None,
        disposition: Disposition = "inline",
        mode: DeliveryMode | None = None,
        expires_in: float = 3600,
        max_age: int | None = None,
        fresh_for: float | None = None,
        stable: timedelta | None = None,
        front_server: FrontServer | None = None,
        content_type: str | None = None,
    ) -> None:
        check_delivery(mode, disposition, max_age)
        check_expires_in(expires_in, stable)
        if file is None:
            raise FileNotFoundException("there is no file", operation="serve")
        self._file = file
        self._filename = filename
        self._disposition: Disposition = disposition
        self._mode = mode
        self._expires_in = expires_in
        self._max_age = max_age
        self._stable = stable
        self._front_server = front_server
        self._fresh_for = fresh_for
        self._content_type = content_type

    async def send(self, headers: RawHeaders, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI).

        Args:
            headers: Further headers; through the application they take the place of the same ones of ours.
            scope: As ASGI gives it.
            receive: As ASGI gives it.
            send: As ASGI gives it.
        """
        if (
            self._mode != "redirect"
            and self._front_server is not None
            and (local := local_file(self._file)) is not None
        ):
            await self._hand_over(self._front_server.header(*local), headers, send)
        elif self._mode != "proxy" and (url := await self._presigned_url(scope["method"])) is not None:
            await self._redirect(url, scope["method"], headers, send)
        else:
            await self._proxy(headers, scope, receive, send)

    # ---- redirect

    async def _presigned_url(self, method: str) -> str | None:
        """The URL to go to; None where the storage cannot sign all that it has to say."""
        asked = self._content_type
        if asked is not None and not is_well_formed(asked):
            asked = sniff.UNKNOWN_TYPE
        kind = asked or self._file.content_type  # by the name: the answer will have just this type
        is_shown = self._disposition_of(kind) == "inline"
        try:
            return await self._file.get_presigned_url(
                self._expires_in,
                "HEAD" if method == "HEAD" else "GET",
                filename=self._filename or self._file.filename,
                content_type=kind if is_shown else asked,
                disposition="inline" if is_shown else "attachment",
                stable=self._stable,
            )
        except OperationNotSupportedException:
            if self._mode == "redirect":
                raise
            return None

    async def _redirect(self, url: str, method: str, own: RawHeaders, send: Send) -> None:
        seconds = min(self._max_age or 0, int(self._expires_in / 2))
        ours = {
            "cache-control": f"private, max-age={seconds}" if seconds else "private, no-cache",
            "location": quote(url, safe=":/%#?=@[]!$&'()*+,;"),
            "content-length": "0",
        }
        await send_empty(307 if method in {"GET", "HEAD"} else 303, merged_headers(own, {}, ours), send)

    # ---- by the server in front

    async def _hand_over(self, header: tuple[str, str], own: RawHeaders, send: Send) -> None:
        """Send an answer without a body, for a server that puts the file in its place."""
        info = await self._file.get_info()
        ours = {
            "cache-control": cache_control(info, self._max_age, self._fresh_for),
            **HARMLESS,
            **self._about_body(info),
        }
        await send_empty(200, merged_headers(own, ours, {header[0]: header[1], "content-length": "0"}), send)

    # ---- proxy

    async def _proxy(self, own: RawHeaders, scope: Scope, receive: Receive, send: Send) -> None:
        info = await self._file.get_info()
        asked = joined_headers(scope["headers"])
        status, part = _select(scope["method"], asked, Validators.of(info.etag, info.last_modify_time), info.file_size)
        headers = self._headers_of(own, info, status, part)
        if scope["method"] == "HEAD" or not part:
            await send_empty(status, headers, send)
            return
        start = {"type": "http.response.start", "status": status, "headers": headers}
        chunks = self._file.stream(part.start, len(part) if status == 206 else None)
        await send_stream(start, chunks, receive, send, length=len(part))

    def _headers_of(self, own: RawHeaders, info: FileBasicInfo, status: int, part: range) -> list[tuple[bytes, bytes]]:
        ours = {
            "accept-ranges": "bytes",
            "cache-control": cache_control(info, self._max_age, self._fresh_for),
            **Validators.of(info.etag, info.last_modify_time).headers(datetime.now(UTC)),
            **HARMLESS,
            **(self._about_body(info) if status in {200, 206} else {}),
        }
        fixed = {} if status == 304 else {"content-length": str(len(part))}
        if status == 206:
            fixed["content-range"] = f"bytes {part.start}-{part.stop - 1}/{info.file_size}"
        elif status == 416:
            fixed["content-range"] = f"bytes */{info.file_size}"
        return merged_headers(own, ours, fixed)

    def _about_body(self, info: FileBasicInfo) -> dict[str, str]:
        kind = self._content_type or info.content_type or sniff.UNKNOWN_TYPE
        stored_name, forced = stored_disposition(info)
        return {
            "content-type": kind if is_well_formed(kind) else sniff.UNKNOWN_TYPE,
            "content-disposition": content_disposition(
                self._filename or stored_name or info.file_name, forced or self._disposition_of(kind)
            ),
            **representation(info),
        }

    def _disposition_of(self, content_type: str) -> Disposition:
        return self._disposition if essence(content_type) in INLINE_TYPES else "attachment"


def _select(method: str, headers: Mapping[str, str], current: Validators, size: int) -> tuple[int, range]:
    """The status of an answer, and the positions of the file that it gives (RFC 9110 section 13.2.2)."""
    nothing, whole = range(0), range(size)
    if method not in {"GET", "HEAD"}:
        return 200, whole
    if failed := failed_condition(headers, current):
        return failed, nothing
    if method == "HEAD" or not wants_range(headers, current):  # ranges are defined for GET only: section 14.2
        return 200, whole
    part = parse_range(headers.get("range"), size)
    if part is None:
        return 200, whole
    return (206, part) if part else (416, nothing)


def check_delivery(mode: object, disposition: object = "inline", max_age: object = None) -> None:
    """Refuse options of a delivery that cannot be.

    Raises:
        InvalidArgumentException: One of them.
    """
    if mode not in (None, "redirect", "proxy"):
        raise InvalidArgumentException(f"the mode is 'redirect', 'proxy' or None, not {mode!r}")
    if disposition not in ("inline", "attachment"):
        raise InvalidArgumentException(f"a disposition is 'inline' or 'attachment', not {disposition!r}")
    if max_age is not None and (not isinstance(max_age, int) or max_age < 0):
        raise InvalidArgumentException(f"max_age is a whole number of seconds, not {max_age!r}")
