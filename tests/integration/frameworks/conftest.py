"""The application in each framework, on a storage of each kind."""

import pytest

from async_storages import LocalStorage
from tests.support.direct import SECRET
from tests.support.frameworks import FRAMEWORKS
from tests.support.s3 import s3_storage


@pytest.fixture(params=["local", "s3"])
def storage(request, tmp_path):
    if request.param == "s3":
        return s3_storage(request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket"))
    return LocalStorage(tmp_path / "files", base_url="/stored", secret_key=SECRET)


@pytest.fixture(params=FRAMEWORKS)
def make_app(request):
    """Makes the application of a storage; its options are those of `StoredFileResponse`."""
    make = FRAMEWORKS[request.param]
    return lambda storage, **options: make(storage, options)
