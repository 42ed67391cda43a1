"""A server to which every request fails the first time."""

from functools import partial
from zlib import crc32

from async_storages.testing.faults import Reset, request_header, response_body, response_header


def fail_first_attempts(proxy, unavailable, *, concerns):
    """Let each request fail the first time, in one of several ways.

    Args:
        proxy: A `FaultProxy`.
        unavailable: The `Answer` with which the server asks for patience.
        concerns: Of a method and a path: whether it does.
    """
    ways = [
        (unavailable, request_header()),
        (Reset(), request_header("middle")),
        (Reset(), response_header()),
        (Reset(), response_body()),
    ]

    def is_first(way, seen, method, path):
        is_new = concerns(method, path) and (method, path) not in seen
        seen.add((method, path))
        return is_new and crc32(f"{method} {path}".encode()) % len(ways) == way

    for way, (fault, place) in enumerate(ways):
        proxy.inject(fault, place, times=None, when=partial(is_first, way, set()))
