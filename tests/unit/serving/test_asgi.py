"""Headers of requests as one mapping, and headers of answers put together."""

from async_storages.serving.asgi import joined_headers, merged_headers


def test_lines_of_one_name_are_one():
    raw = [(b"Range", b"bytes=0-1"), (b"accept", b"*/*"), (b"range", b"bytes=3-4")]
    assert joined_headers(raw) == {"range": "bytes=0-1, bytes=3-4", "accept": "*/*"}


def test_headers_of_the_application_go_before_defaults_and_fixed_ones_before_both():
    own = [(b"Cache-Control", b"no-store"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"content-length", b"9")]
    merged = merged_headers(own, {"cache-control": "private", "etag": '"1"'}, {"content-length": "0"})
    assert merged == [
        (b"cache-control", b"no-store"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"etag", b'"1"'),
        (b"content-length", b"0"),
    ]
