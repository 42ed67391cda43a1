"""Upload options on Cloud Storage: what it keeps, by resource, parameter and header; and what it has not."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from async_storages import (
    CustomerKey,
    GCSStorage,
    KmsEncryption,
    OperationNotSupportedException,
    UploadOptions,
)
from async_storages.backends.gcs import object_options
from async_storages.backends.gcs.resources import StoredObject
from tests.support.gcs_accounts import service_account
from tests.support.scripted import reply, scripted

TIME = datetime(2027, 1, 1, tzinfo=UTC)
SERVED = {
    "cache_control": "max-age=60",
    "content_disposition": "attachment",
    "content_encoding": "gzip",
    "content_language": "de",
}
KMS_KEY = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
SIZES = pytest.mark.parametrize("size", [10, 600_000], ids=["whole", "in parts"])


@pytest.fixture
def part_size():
    return 2 * 256 * 1024


@SIZES
async def test_a_file_has_them_and_so_has_its_copy(gcs, size):
    storage = await gcs(upload_options=UploadOptions(**SERVED, encryption="AES256"))
    saved = await storage.save(b"x" * size, "a.txt")
    await storage.set_metadata(saved, {"a": "b"})
    for name in (saved, await storage.copy(saved, "b.txt")):
        info = await storage.info(name)
        assert {field: getattr(info, field) for field in SERVED} == SERVED


async def test_a_call_goes_before_the_storage(gcs):
    storage = await gcs(upload_options=UploadOptions(cache_control="a", content_language="de"))
    await storage.upload(b"x", "a.txt", options=UploadOptions(cache_control="b"))
    info = await storage.info("a.txt")
    assert (info.cache_control, info.content_language) == ("b", "de")


CANNOT = {
    "expires": {"expires": TIME},
    "tags": {"tags": {"a": "b"}},
    "encryption": {"encryption": "aws:kms"},
    "encryption of a customer": {"encryption": CustomerKey(bytes(32))},
    "encryption without a key": {"encryption": KmsEncryption()},
    "context": {"encryption": KmsEncryption(key_id=KMS_KEY, context={"a": "b"})},
    "bucket_key": {"encryption": KmsEncryption(key_id=KMS_KEY, bucket_key=True)},
}


@pytest.mark.parametrize(("name", "said"), CANNOT.items(), ids=CANNOT)
async def test_what_it_has_not_is_named(storage, name, said):
    options = UploadOptions(**said)
    with pytest.raises(OperationNotSupportedException, match=f"GCSStorage cannot do .*{name.partition(' ')[0]}="):
        await storage.upload(b"x", "a.txt", options=options)
    with pytest.raises(OperationNotSupportedException):
        GCSStorage("photos", anonymous=True, upload_options=options)
    with pytest.raises(OperationNotSupportedException):
        storage.with_upload_options(options)
    assert not await storage.exists("a.txt")


def test_key_acl_and_lock_are_told_as_the_api_has_them():
    options = UploadOptions(
        encryption=KmsEncryption(key_id=KMS_KEY), acl="publicRead", lock_mode="COMPLIANCE", lock_until=TIME
    )
    assert object_options.parameters(options) == {"predefinedAcl": "publicRead", "kmsKeyName": KMS_KEY}
    locked = {"retention": {"mode": "Locked", "retainUntilTime": "2027-01-01T00:00:00.000+00:00"}}
    assert object_options.described(options) == locked
    colder = UploadOptions(storage_class="NEARLINE", cache_control="a")
    assert object_options.described(colder) == {"storageClass": "NEARLINE", "cacheControl": "a"}
    assert object_options.copied(colder, {"cacheControl": "b"}) == {"storageClass": "NEARLINE", "cacheControl": "b"}
    version = f"{KMS_KEY}/cryptoKeyVersions/7"
    found = StoredObject.of({"name": "a", "size": "1", "generation": "1", "kmsKeyName": version})
    assert object_options.copy_parameters(options, found) == {
        "destinationPredefinedAcl": "publicRead",
        "destinationKmsKeyName": KMS_KEY,
    }
    assert object_options.copy_parameters(UploadOptions(), found) == {"destinationKmsKeyName": KMS_KEY}
    assert object_options.copy_parameters(UploadOptions(encryption="AES256"), found) == {}


async def test_parameters_are_sent():
    resource = b'{"name": "a.txt", "size": "1", "generation": "1"}'
    options = UploadOptions(encryption=KmsEncryption(key_id=KMS_KEY), acl="private")
    async with (
        scripted(lambda asked: reply(200, resource)) as server,
        GCSStorage("photos", endpoint_url=server.url, anonymous=True) as storage,
    ):
        await storage.upload(b"x", "a.txt", options=options)
    query = parse_qs(urlsplit(server.asked[0].path).query)
    assert (query["kmsKeyName"], query["predefinedAcl"]) == ([KMS_KEY], ["private"])


async def test_presigned_uploads_carry_what_is_served():
    storage = GCSStorage("photos", service_account_info=service_account(), upload_options=UploadOptions(**SERVED))
    expected = {
        "Cache-Control": "max-age=60",
        "Content-Disposition": "attachment",
        "Content-Encoding": "gzip",
        "Content-Language": "de",
    }
    async with storage:
        form = await storage.presign_post("a.txt")
        url = storage.presign("a.txt", method="PUT")
        assert "Cache-Control" not in storage.presign("a.txt")
    assert storage.presigned_headers() == expected
    assert form.fields.items() >= expected.items()
    [signed] = parse_qs(urlsplit(url).query)["X-Goog-SignedHeaders"]
    assert signed == "cache-control;content-disposition;content-encoding;content-language;host"
