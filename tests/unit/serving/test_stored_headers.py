"""What was stored with a file, taken over for one user."""

import pytest

from async_storages import FileBasicInfo
from async_storages.serving.stored_headers import cache_control, representation, stored_disposition


def info(**said):
    return FileBasicInfo(file_id="mem:a.txt", file_name="a.txt", file_size=1, **said)


KEPT = {
    "nothing": (None, None, None, "private, no-cache"),
    "a year": ("public, max-age=31536000, immutable", None, None, "private, max-age=31536000, immutable"),
    "shared caches": ("max-age=5, s-maxage=60, proxy-revalidate", None, None, "private, max-age=5"),
    "no store": ("no-store", None, None, "private, no-store"),
    "a directive with a value": (
        'no-cache="Set-Cookie, A", max-age=5',
        None,
        None,
        'private, no-cache="Set-Cookie, A", max-age=5',
    ),
    "only shared": ("public", None, None, "private, no-cache"),
    "malformed": ("max-age=5 Set-Cookie: a", None, None, "private, no-cache"),
    "the developer": ("max-age=5", 60, None, "private, max-age=60"),
    "the developer, never": ("max-age=5", 0, None, "private, no-cache"),
    "no longer than a URL": ("max-age=500, immutable, stale-if-error=9", None, 60.9, "private, max-age=60"),
    "less than a URL": ("max-age=5", None, 60, "private, max-age=5"),
    "nonsense": ("max-age=x", None, 60, "private, max-age=0"),
    "the developer's, no longer than a URL": (None, 500, 60, "private, max-age=60"),
    "over": ("max-age=5", None, -1, "private, max-age=0"),
}


@pytest.mark.parametrize(("stored", "max_age", "fresh_for", "expected"), KEPT.values(), ids=KEPT)
def test_how_long_it_is_kept(stored, max_age, fresh_for, expected):
    assert cache_control(info(cache_control=stored), max_age, fresh_for) == expected


def test_how_it_is_encoded_is_told():
    assert representation(info(content_encoding="gzip", content_language="de, en")) == {
        "content-encoding": "gzip",
        "content-language": "de, en",
    }
    assert representation(info(content_encoding="gzip\r\nX: y", content_language="de;")) == {}


NAMED = {
    "nothing": (None, (None, None)),
    "inline": ("inline", (None, None)),
    "attachment": ("attachment", (None, "attachment")),
    "named": ('attachment; filename="q3.pdf"', ("q3.pdf", "attachment")),
    "in UTF-8": ("inline; filename=\"a.pdf\"; filename*=UTF-8''%E7%85%A7.pdf", ("照.pdf", None)),
    "unknown": ("form-data; filename=x", ("x", None)),
    "malformed": ("attachment; filename*=nope''%ff", ("ÿ", "attachment")),
    "control characters": ("attachment\r\nX: y", (None, None)),
}


@pytest.mark.parametrize(("stored", "expected"), NAMED.values(), ids=NAMED)
def test_its_name_and_kind(stored, expected):
    assert stored_disposition(info(content_disposition=stored)) == expected
