"""Faults of the network and of the server behind it, at a chosen byte: a TCP proxy for any client.

It knows just enough of HTTP/1.1 (RFC 9112) to find the beginning and end of headers and bodies, also on connections
that carry several requests. Bytes that it does not understand pass unchanged. With ``raw=True``, for any other
protocol, it counts bytes per connection and direction. It speaks neither TLS nor HTTP/2 nor WebSocket,
and runs on event loops that have `add_reader`: all but the Proactor of Windows.

Example:
    ```python
    async with FaultProxy("127.0.0.1", 8333) as proxy, S3Storage("photos", endpoint_url=proxy.url) as storage:
        await storage.upload(b"hello", "a.txt")
        fault = proxy.inject(Reset(), response_body("middle"), when=lambda method, path: method == "GET")
        assert await storage.read("a.txt") == b"hello"  # the storage tried again
        assert fault.fired == 1
    ```
"""

from async_storages.testing._http1 import Request
from async_storages.testing.faults._faults import (
    Answer,
    Delay,
    Duplicate,
    Fault,
    Refuse,
    Reset,
    Stall,
    Throttle,
    Truncate,
)
from async_storages.testing.faults._injections import Injection
from async_storages.testing.faults._places import (
    CONNECT,
    Place,
    request_body,
    request_header,
    response_body,
    response_header,
    to_client,
    to_upstream,
)
from async_storages.testing.faults._proxy import FaultProxy

__all__ = [
    "CONNECT",
    "Answer",
    "Delay",
    "Duplicate",
    "Fault",
    "FaultProxy",
    "Injection",
    "Place",
    "Refuse",
    "Request",
    "Reset",
    "Stall",
    "Throttle",
    "Truncate",
    "request_body",
    "request_header",
    "response_body",
    "response_header",
    "to_client",
    "to_upstream",
]
