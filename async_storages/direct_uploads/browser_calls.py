"""The requests of browsers, for frameworks without models: this module parses paths, queries and bodies."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, NonNegativeInt, TypeAdapter, ValidationError

from async_storages._media_types.well_formed import essence
from async_storages._secrets import hidden
from async_storages.direct_uploads.browser_api import BrowserApi, FileToUpload, NewUpload, PartNumber, UploadedParts
from async_storages.direct_uploads.uploads import DirectUploads
from async_storages.errors import FileTooLargeException, InvalidArgumentException

__all__ = ["BrowserCall", "BrowserRequest", "browser_calls"]

_MOST_JSON = 2 << 20
"""The largest body in bytes. A list of 10,000 parts takes a third of it."""

_SIZE: TypeAdapter[int] = TypeAdapter(NonNegativeInt)
_NUMBER: TypeAdapter[int] = TypeAdapter(PartNumber)


@dataclass(frozen=True, slots=True)
class BrowserRequest:
    """A request from a framework.

    Attributes:
        path: The parameters of the path.
        query: The parameters of the query.
        content_type: The header Content-Type. Empty if there is none.
        body: The chunks of the body.
        owner: The client.
    """

    path: Mapping[str, Any]
    query: Mapping[str, str]
    content_type: str
    body: AsyncGenerator[bytes]
    owner: str | None

    @property
    def upload_id(self) -> str:
        """The upload id of an upload in parts."""
        return str(self.path["upload_id"])

    @property
    def number(self) -> int:
        """The number of a part."""
        return _checked(_NUMBER, "number", str(self.path["number"]))

    @property
    def key(self) -> str:
        """The key of the upload."""
        return hidden(self.asked("key"))

    @property
    def size(self) -> int | None:
        """The size of a part in bytes. None if the client does not send it."""
        return _checked(_SIZE, "size", self.query["size"]) if "size" in self.query else None

    def asked(self, name: str) -> str:
        """Return a parameter of the query.

        Raises:
            InvalidArgumentException: The parameter is missing.
        """
        if name not in self.query:
            raise InvalidArgumentException(f"the query parameter {name!r} is missing")
        return self.query[name]

    async def read[Model: BaseModel](self, kind: type[Model]) -> Model:
        """Parse the JSON body. Pages of other sites cannot send JSON without the browser asking the server first.

        Raises:
            FileTooLargeException: The body is larger than any valid one.
            InvalidArgumentException: The body is not valid JSON of this kind.
        """
        if essence(self.content_type) != "application/json":
            raise InvalidArgumentException(f"the body must be application/json, not {self.content_type!r:.40}")
        body = bytearray()
        async with aclosing(self.body) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > _MOST_JSON:
                    raise FileTooLargeException(f"the body is larger than {_MOST_JSON} bytes")
        try:
            return kind.model_validate_json(bytes(body))
        except ValidationError as error:  # which shows the input
            raise InvalidArgumentException(f"the body is no {kind.__name__}: {error.error_count()} errors") from None


@dataclass(frozen=True, slots=True)
class BrowserCall:
    """A route for browsers.

    Attributes:
        method: The HTTP method.
        path: The path below the prefix of all routes, with parameters such as ``{upload_id:str}``.
        answer: Returns the JSON of the response. The status is 200.
        is_of_parts: True if the route needs a storage that supports uploads in parts.
    """

    method: str
    path: str
    answer: Callable[[BrowserRequest], Awaitable[bytes]]
    is_of_parts: bool = False


def browser_calls(uploads: DirectUploads) -> list[BrowserCall]:
    """Return all routes for the uploads: see `browser_api` for each."""
    api = BrowserApi(uploads)

    async def begin_upload(request: BrowserRequest) -> bytes:
        return _json(await api.begin_upload(await request.read(NewUpload), request.owner))

    async def begin_form(request: BrowserRequest) -> bytes:
        return _json(await api.begin_form(request.asked("filename"), request.owner))

    async def begin_parts(request: BrowserRequest) -> bytes:
        return _json(await api.begin_parts(await request.read(FileToUpload), request.owner))

    async def sign_part(request: BrowserRequest) -> bytes:
        return _json(await api.sign_part(request.upload_id, request.number, request.key, request.size, request.owner))

    async def list_parts(request: BrowserRequest) -> bytes:
        return _json(await api.list_parts(request.upload_id, request.key, request.owner))

    async def complete_parts(request: BrowserRequest) -> bytes:
        wanted = await request.read(UploadedParts)
        return _json(await api.complete_parts(request.upload_id, request.key, wanted, request.owner))

    async def abort_parts(request: BrowserRequest) -> bytes:
        return _json(await api.abort_parts(request.upload_id, request.key, request.owner))

    parts, upload = "/s3/multipart", "/s3/multipart/{upload_id:str}"
    return [
        BrowserCall("POST", "", begin_upload),
        BrowserCall("GET", "/s3/params", begin_form),
        BrowserCall("POST", parts, begin_parts, is_of_parts=True),
        BrowserCall("GET", upload, list_parts, is_of_parts=True),
        BrowserCall("DELETE", upload, abort_parts, is_of_parts=True),
        BrowserCall("POST", f"{upload}/complete", complete_parts, is_of_parts=True),
        BrowserCall("GET", f"{upload}/{{number:str}}", sign_part, is_of_parts=True),
    ]


def _json(value: object) -> bytes:
    return _ANY.dump_json(value, by_alias=True)


_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def _checked(kind: TypeAdapter[int], name: str, text: str) -> int:
    try:
        return kind.validate_python(text)
    except ValidationError:
        raise InvalidArgumentException(f"the parameter {name!r} is no number that is allowed: {text!r:.40}") from None
