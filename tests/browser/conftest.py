"""A browser, and a storage of each kind that its files must arrive in."""

import pytest

from async_storages import LocalStorage
from tests.support.browser import SECRET, browser_page
from tests.support.s3 import s3_storage


@pytest.fixture
async def page():
    async with browser_page() as page:
        yield page


@pytest.fixture(params=["local", "s3"])
def make_storage(request, tmp_path):
    """Makes the storage, once the site's URL is known."""
    if request.param == "local":
        return lambda url: LocalStorage(tmp_path / "files", base_url=f"{url}/stored", secret_key=SECRET)
    server, bucket = request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket")
    return lambda _url: s3_storage(server, bucket)
