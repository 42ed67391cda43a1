"""Resources in the answers of GCS."""

import json

import pytest

from async_storages.backends.gcs.resources import Page, Rewritten, StoredObject, parsed
from async_storages.errors import (
    StorageOperationException,
)

RESOURCE = {"name": "a/b.txt", "size": "5", "generation": "1795338406738346", "updated": "2026-11-22T09:06:46.738Z"}


def test_an_object():
    found = StoredObject.of({**RESOURCE, "md5Hash": "XUFAKrxLKna5cZ2REBfFkg==", "metadata": {"a": "合同"}})
    assert (found.key, found.size, found.generation, found.metadata) == (
        "a/b.txt",
        5,
        "1795338406738346",
        {"a": "合同"},
    )
    assert found.updated.isoformat() == "2026-11-22T09:06:46.738000+00:00"


WRONG = {
    "nothing": (b"", StoredObject.of),
    "no object": (b"[]", StoredObject.of),
    "null": (b"null", Page.of),
    "no name": (b'{"size": "1", "generation": "1"}', StoredObject.of),
    "no size": (b'{"name": "a", "size": "x", "generation": "1"}', StoredObject.of),
    "no generation": (b'{"name": "a", "size": "1", "generation": null}', StoredObject.of),
    "no time": (json.dumps(RESOURCE | {"updated": "today"}).encode(), StoredObject.of),
    "a page of something else": (b'{"items": [{}]}', Page.of),
    "a copy that leads nowhere": (b'{"done": false}', Rewritten.of),
    "a copy of nothing": (b'{"done": true}', Rewritten.of),
    "deep": (b"[" * 100_000, Page.of),
}


@pytest.mark.parametrize(("body", "read"), WRONG.values(), ids=WRONG)
def test_something_else_than_was_asked_for_is_refused(body, read):
    with pytest.raises(StorageOperationException, match="not what was asked for"):
        parsed(body, read)


def test_a_page_and_what_comes_after_it():
    body = json.dumps({"items": [RESOURCE], "nextPageToken": "t"}).encode()
    assert [found.key for found in parsed(body, Page.of).objects] == ["a/b.txt"]
    assert parsed(body, Page.of).token == "t"
    assert parsed(b"{}", Page.of) == Page([], None)
