"""A storage of one's own signs URLs by one method, and without an underscore."""

from datetime import timedelta

import pytest

from async_storages import (
    AccessDeniedException,
    InvalidArgumentException,
    MemoryStorage,
    PresigningStorage,
    SupportsPresign,
    check_presign_method,
    events,
)


class Signing(PresigningStorage, MemoryStorage):
    """Writes into the URL what `sign_url` was told."""

    def sign_url(self, file, expires_in, method, options):
        said = {name: value for name, value in options.items() if value is not None}
        return f"{file} {expires_in} {method} {said}"


@pytest.fixture
def storage():
    return Signing()


def test_the_hook_is_told_everything(storage):
    hour = timedelta(hours=1)
    assert storage.presign("a.txt") == "mem:a.txt 3600 GET {}"
    assert storage.presign("mem:a.txt", 60, "PUT", content_type="text/plain", content_length=5) == (
        "mem:a.txt 60 PUT {'content_type': 'text/plain', 'content_length': 5}"
    )
    assert storage.presign("a.txt", filename="b.txt", disposition="inline", stable=hour) == (
        f"mem:a.txt 3600 GET {{'filename': 'b.txt', 'disposition': 'inline', 'stable': {hour!r}}}"
    )


async def test_the_rest_follows_from_it(storage):
    assert isinstance(storage, SupportsPresign)
    expected = ["mem:b 60 GET {}", "mem:a 60 GET {}"]
    assert storage.presign_many(["b", "a"], 60) == expected
    assert await storage.presigned_urls(iter(["b", "a"]), 60) == expected
    assert await storage.file("a").get_presigned_url(60) == expected[1]


def test_it_is_an_operation_like_any_other(storage, monkeypatch):
    seen = []
    monkeypatch.setattr(events, "hooks", [seen.append])
    storage.presign("a.txt")
    with pytest.raises(InvalidArgumentException, match=r"presign 'mem:a.txt': 'PATCH' is not a method"):
        storage.presign("a.txt", method="PATCH")
    assert [(event.operation, event.outcome) for event in seen] == [
        ("presign", "ok"),
        ("presign", "InvalidArgumentException"),
    ]


def test_a_put_is_refused_where_an_upload_would_be(storage):
    storage.presign("a?.txt")
    with pytest.raises(InvalidArgumentException):
        storage.presign("a?.txt", method="PUT")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_read_only_storage_signs_no_changes(storage, method):
    storage.read_only = True
    assert storage.presign("a.txt", method="HEAD")
    with pytest.raises(AccessDeniedException, match="read_only=True"):
        storage.presign("a.txt", method=method)


def test_options_that_do_not_exist_are_refused(storage):
    with pytest.raises(TypeError):
        storage.presign("a.txt", file_name="b.txt")


def test_a_method_that_may_be_presigned_is_returned():
    assert check_presign_method("GET", read_only=True) == "GET"
    assert check_presign_method("POST", read_only=False) == "POST"
