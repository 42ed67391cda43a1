"""What a GCSStorage does without a server: names, URLs, options."""

import json
import subprocess
import sys

import pytest

from async_storages import registry
from async_storages.backends.gcs.storage import GCSStorage
from async_storages.config import GCSConfig, validated
from async_storages.errors import (
    AccessDeniedException,
    DeleteNotSupportedException,
    InvalidArgumentException,
    OperationNotSupportedException,
    RouteNotSupportedException,
)
from async_storages.manager.manager import StorageManager
from async_storages.storage.capabilities import (
    SupportsCopy,
    SupportsDirectUpload,
    SupportsFolders,
    SupportsList,
    SupportsMetadata,
    SupportsPing,
    SupportsPresign,
)
from tests.support.gcs_accounts import service_account

ACCOUNT = service_account()
POWERS = (SupportsPresign, SupportsDirectUpload, SupportsList, SupportsCopy, SupportsMetadata, SupportsFolders)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


def gcs(bucket_name="photos", **options):
    return GCSStorage(bucket_name, **{"service_account_info": ACCOUNT, **options})


def anonymous(**options):
    return GCSStorage("photos", anonymous=True, **options)


@pytest.mark.parametrize("protocol", [*POWERS, SupportsPing], ids=lambda protocol: protocol.__name__)
def test_it_has_every_power(protocol):
    assert isinstance(gcs(), protocol)


# ---- URLs


LOCAL = {"endpoint_url": "http://localhost:4443"}
URLS = {
    "Google": ({}, "https://storage.googleapis.com/photos/"),
    "emulator": (LOCAL, "http://localhost:4443/photos/"),
    "TLS by default": ({"endpoint_url": "gcs.example.com"}, "https://gcs.example.com/photos/"),
    "public URL": (LOCAL | {"public_url": "https://files.example.com"}, "https://files.example.com/photos/"),
    "domain": (LOCAL | {"custom_domain": "cdn.example.com"}, "https://cdn.example.com/"),
    "domain with a path": ({"custom_domain": "http://cdn.example.com/media/"}, "http://cdn.example.com/media/"),
    "prefix": ({"prefix": "/up loads/"}, "https://storage.googleapis.com/photos/up%20loads/"),
    "prefix and domain": ({"custom_domain": "cdn.example.com", "prefix": "a"}, "https://cdn.example.com/a/"),
}


@pytest.mark.parametrize(("options", "root"), URLS.values(), ids=URLS)
async def test_a_url_is_what_was_configured(options, root):
    assert await gcs(**options).get_path("a b/#%41+ü.txt") == f"{root}a%20b/%23%2541%2B%C3%BC.txt"


@pytest.mark.parametrize("options", [LOCAL, {"endpoint_url": "http://gcs", "public_url": "http://localhost:4443"}])
async def test_a_url_may_be_presigned(options):
    async with gcs(**options, querystring_auth=True) as storage:
        path = await storage.get_path("a.txt")
        assert path.startswith("http://localhost:4443/photos/a.txt?")
        assert "X-Goog-Signature=" in path
        assert [url.partition("?")[0] for url in storage.presign_many(["a", "b"])] == [
            f"http://localhost:4443/photos/{key}" for key in "ab"
        ]


async def test_without_an_account_nothing_is_signed():
    async with anonymous() as storage:
        for attempt in (storage.presigned_urls(["a.txt"]), storage.presign_post("a.txt")):
            with pytest.raises(OperationNotSupportedException, match="service_file"):
                await attempt


EMULATORS = {
    "with a scheme": "http://localhost:4443",
    "without": "localhost:4443",
    "with a slash": "http://localhost:4443/",
}


@pytest.mark.parametrize("value", EMULATORS.values(), ids=EMULATORS)
async def test_the_emulator_of_the_environment_is_used_without_an_account(monkeypatch, value):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", value)
    assert GCSStorage("photos").location == "http://localhost:4443/photos"
    assert await GCSStorage("photos")._credentials.token() is None
    assert GCSStorage("photos", endpoint_url="https://a").location == "https://a/photos"


# ---- names


def test_bare_keys_are_relative_to_the_prefix_and_ids_are_not():
    storage = gcs(prefix="uploads/2026")
    for name in ("a.txt", "gs:photos/uploads/2026/a.txt"):
        assert str(storage.identify(name)) == "gs:photos/uploads/2026/a.txt"
    assert str(storage.within("acme").identify("a.txt")) == "gs:photos/uploads/2026/acme/a.txt"
    assert str(storage.with_bucket("others").identify("a.txt")) == "gs:others/a.txt"


@pytest.mark.parametrize("name", ["gs:photos/a.txt", "gs:photos/uploads2/a.txt", "gs:others/uploads/a", "s3:photos/a"])
def test_ids_elsewhere_are_refused(name):
    with pytest.raises(RouteNotSupportedException):
        gcs(prefix="uploads").identify(name)


def test_a_manager_routes_to_it():
    storage = anonymous()
    manager = StorageManager.from_storages(storage)
    assert manager.storage_for("gs:photos/a.txt") is storage
    with pytest.raises(RouteNotSupportedException):
        manager.storage_for("gs:others/a.txt")


# ---- options


BAD = {
    "bucket": {"bucket_name": "a/b"},
    "short bucket": {"bucket_name": "ab"},
    "no bucket": {"bucket_name": None},
    "endpoint with a password": {"endpoint_url": "http://user:hidden@localhost"},
    "public URL with a query": {"public_url": "http://localhost?a=hidden"},
    "domain with a password": {"custom_domain": "user:hidden@cdn.example.com"},
    "prefix that leads elsewhere": {"prefix": "../uploads"},
    "header injection": {"predefined_acl": "private\r\nx: y"},
    "storage class": {"storage_class": "é"},
    "two accounts": {"service_file": "hidden.json"},
    "an account and none": {"anonymous": True},
}


@pytest.mark.parametrize("options", BAD.values(), ids=BAD)
def test_options_that_cannot_be_right_are_refused_at_once(options):
    with pytest.raises(InvalidArgumentException) as refused:
        gcs(**options)
    assert "hidden" not in str(refused.value)


def test_it_can_be_registered():
    storage = anonymous(name="photos of tests")
    assert registry.get("photos of tests") is storage
    registry.unregister("photos of tests")


def test_settings_and_what_goes_before_them(tmp_path):
    file = tmp_path / "account.json"
    file.write_text(json.dumps(ACCOUNT))
    config = validated(
        GCSConfig,
        {"default_bucket": "photos", "endpoint": "http://localhost:1", "service_file": str(file), "prefix": "a"},
    )
    assert GCSStorage.from_config(config).location == "http://localhost:1/photos"
    assert GCSStorage.from_config(config, bucket_name="others", prefix="b").identify("c").key == "b/c"


def test_settings_show_no_key():
    config = validated(GCSConfig, {"default_bucket": "photos", "service_account_info": ACCOUNT})
    storage = GCSStorage.from_config(config)
    shown = f"{config!r} {config} {config.model_dump()} {config.model_dump_json()} {storage!r} {storage.location}"
    assert ACCOUNT["private_key"][40:80] not in shown
    assert repr(storage) == "GCSStorage('photos', location='https://storage.googleapis.com/photos')"


# ---- what it may not do


async def test_a_read_only_storage_changes_nothing():
    """It would say so sooner or later: there is no server."""
    storage = gcs(read_only=True, endpoint_url="http://localhost:1")
    for attempt in (
        lambda: storage.upload(b"", "a.txt"),
        lambda: storage.copy("a.txt", "b.txt"),
        lambda: storage.set_metadata("a.txt", {}),
        lambda: storage.presign_post("a.txt"),
        lambda: storage.presigned_urls(["a.txt"], method="PUT"),
    ):
        with pytest.raises(AccessDeniedException, match="read_only"):
            await attempt()
    with pytest.raises(DeleteNotSupportedException):
        await storage.delete("a.txt")


@pytest.mark.parametrize("name", ["../a.txt", "/a", "a//b", "CON"])
async def test_nothing_is_signed_that_could_not_be_uploaded(name):
    async with gcs(prefix="uploads") as storage:
        await storage.prepare()
        with pytest.raises(InvalidArgumentException):
            storage.presign(name, method="PUT")
        with pytest.raises(InvalidArgumentException):
            await storage.presign_post(name)


def test_a_missing_extra_says_what_to_install():
    program = "import sys; sys.modules['gcloud'] = None\nfrom async_storages import GCSStorage"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert 'run  pip install "sqlalchemy-async-storages[gcs]"' in done.stderr
