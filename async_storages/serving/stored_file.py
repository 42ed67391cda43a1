"""Responses with a stored file. A hostile file in a response cannot harm the user who opens it."""

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
"""The way of a file to the client: ``"redirect"`` to a presigned URL, or ``"proxy"`` through the application."""

INLINE_TYPES = frozenset(
    {
        *("application/pdf", "text/plain"),
        *("image/apng", "image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp"),
        *("audio/aac", "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/opus", "audio/wav", "audio/webm"),
        *("video/mp4", "video/ogg", "video/quicktime", "video/webm", "video/x-m4v"),
    }
)
"""The content types that a browser may show in its window. None of them runs scripts in the page that shows it."""

HARMLESS = {"x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'; sandbox"}
"""Headers that prevent a file from running scripts in the browser."""


class DeliveryOptions(TypedDict, total=False):
    """Options of a `StoredFileResponse`, in every framework.

    Attributes:
        filename: The file name that the user sees, untrusted. By default the name in the stored
            ``Content-Disposition``, or the name of the stored file.
        disposition: ``"inline"`` (the default) lets the browser show files whose type is in `INLINE_TYPES`, and save
            all others. ``"attachment"`` lets it save every file.
        mode: ``"redirect"`` sends the client to a presigned URL. ``"proxy"`` sends the file through the application.
            None (the default) redirects if the storage can presign, and otherwise proxies.
        expires_in: Seconds until the presigned URL expires, 1 to 604,800. The default is 3600.
        max_age: Seconds for which the client may cache the response. 0 lets it ask again each time. A redirect is
            cached at most half as long as its URL works. By default, the `UploadOptions.cache_control` of the file
            applies, but only to the client's own cache, not to shared caches. If the file has no `cache_control`,
            the client asks for it each time.
        fresh_for: The longest time in seconds for which a proxied response may be cached, for example the remaining
            time of a URL.
        stable: The time window in which redirects lead to the same URL, so that caches recognise it: see
            `SupportsPresign.presign`.
        front_server: A web server that sends the files of a `LocalStorage` itself: `XAccelRedirect` or `XSendfile`. The
            server then answers ranges and conditions, and must add the security headers: see docs/how-to/serve.md.
            Files of other storages are not affected.
        content_type: The content type of the response, in place of the stored one. A malformed type becomes
            ``application/octet-stream``, and the browser saves the file.
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
    """Answers GET and HEAD with a stored file: it redirects to a presigned URL, or sends the file itself.

    When it sends the file itself, it supports one range (206, 416), conditions (304, 412) and HEAD, as in RFC 9110. It
    closes the stream from the storage as soon as the client disconnects. If the file is missing, or fails before its
    first byte, it raises an exception for the framework's handlers. A later failure closes the connection.

    Args:
        file: The file. None, from an empty column, counts as a missing file. The other arguments are `DeliveryOptions`.

    Raises:
        InvalidArgumentException: An option is wrong.
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
            headers: Further headers. In a proxied response they replace the library's headers of the same name.
            scope: The scope from ASGI.
            receive: The callable from ASGI.
            send: The callable from ASGI.
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
        """Return the URL for a redirect. None if the storage cannot sign a URL with these options."""
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
        """Send a response without a body. The front server adds the file."""
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
    """Return the status of a response, and the range of the file in it (RFC 9110 section 13.2.2)."""
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
    """Check options of a delivery.

    Raises:
        InvalidArgumentException: An option is wrong.
    """
    if mode not in (None, "redirect", "proxy"):
        raise InvalidArgumentException(f"the mode is 'redirect', 'proxy' or None, not {mode!r}")
    if disposition not in ("inline", "attachment"):
        raise InvalidArgumentException(f"a disposition is 'inline' or 'attachment', not {disposition!r}")
    if max_age is not None and (not isinstance(max_age, int) or max_age < 0):
        raise InvalidArgumentException(f"max_age is a whole number of seconds, not {max_age!r}")
