"""Requests and answers of the stub, and the XML in them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

__all__ = ["StubAnswer", "StubError", "StubRequest", "element", "xml_answer"]

_UNHOLDABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True, slots=True)
class StubRequest:
    """A request to the stub, as it arrived.

    Attributes:
        method: The HTTP method.
        target: Path and query, as sent.
        bucket: The bucket, decoded. Empty for the service itself.
        key: The key, decoded. Empty for the bucket itself.
        query: The parameters, decoded.
        headers: The headers by lower-case names.
        body: The whole body, without chunked coding.
    """

    method: str
    target: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StubAnswer:
    """An answer of the stub.

    Attributes:
        status: The HTTP status.
        headers: The headers. The stub adds a missing Content-Length.
        body: The body. The stub leaves it out of an answer to HEAD.
        kind: The kind of answer, for the behaviour `endless`. ``"content"`` for the bytes of objects.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    kind: str = "answers"


class StubError(Exception):
    """An answer with an error of S3.

    Args:
        status: The HTTP status.
        code: The S3 error code, such as ``"NoSuchKey"``.
        headers: The headers of the answer.
        **fields: Further elements of the body.
    """

    def __init__(self, status: int, code: str, headers: Mapping[str, str] | None = None, **fields: str) -> None:
        super().__init__(status, code)
        elements = "".join(element(name, text) for name, text in {"Code": code, "Message": code, **fields}.items())
        body = f"{_XML}<Error>{elements}</Error>".encode()
        self.answer = StubAnswer(status, {"Content-Type": "application/xml", **(headers or {})}, body, "errors")


def element(name: str, text: object) -> str:
    """Return an element with a text. It replaces characters that XML cannot hold."""
    return f"<{name}>{escape(_UNHOLDABLE.sub(chr(0xFFFD), str(text)))}</{name}>"


def xml_answer(root: str, content: str, kind: str = "answers") -> StubAnswer:
    """Return a 200 with XML."""
    body = f'{_XML}<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</{root}>'.encode()
    return StubAnswer(200, {"Content-Type": "application/xml"}, body, kind)
