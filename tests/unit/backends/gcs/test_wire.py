"""Addresses of requests to GCS."""

import pytest

from async_storages.backends.gcs.wire import local_target
from async_storages.errors import StorageOperationException


def test_a_session_is_asked_for_at_the_server_that_is_known():
    """Whatever host it names: tokens go nowhere else."""
    location = "https://elsewhere.example.com:9/upload/storage/v1/b/a/o?upload_id=x&name=a%2Fb"
    assert local_target(location) == "/upload/storage/v1/b/a/o?upload_id=x&name=a%2Fb"


@pytest.mark.parametrize("location", ["", "http://[", "mailto:a", "https://example.com", "?a=b"])
def test_a_session_without_a_place_is_none(location):
    with pytest.raises(StorageOperationException, match="without giving its address"):
        local_target(location)


# ---- downloads
