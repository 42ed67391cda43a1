"""A TCP proxy that makes faults of the network, or of the server, at a byte you choose. It works with any client.

It finds the beginning and end of HTTP/1.1 headers and bodies (RFC 9112), also on connections with several requests. It
passes bytes on unchanged that it does not understand. For any other protocol use ``raw=True``: the proxy then counts
bytes per connection and direction. It supports neither TLS nor HTTP/2 nor WebSocket. It needs an event loop that has
`add_reader`. Only the Proactor loop of Windows lacks it.

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
