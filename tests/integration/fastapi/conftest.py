"""A storage of each kind that the routes must be the same on."""

import pytest

from async_storages import LocalStorage
from tests.support.s3 import s3_storage

SECRET = "a secret of the tests"


@pytest.fixture
def s3_photos(s3_server, s3_bucket):
    """A storage on a bucket of the test server."""
    return s3_storage(s3_server, s3_bucket)


@pytest.fixture(params=["local", "s3"])
def storage(request, tmp_path):
    if request.param == "s3":
        return request.getfixturevalue("s3_photos")
    return LocalStorage(tmp_path / "files", base_url="/stored", secret_key=SECRET)
