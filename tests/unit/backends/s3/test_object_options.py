"""Upload options as headers and fields: botocore's, and those that forms spell otherwise."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import boto3
import pytest
from botocore.config import Config

from async_storages import CustomerKey, KmsEncryption, OperationNotSupportedException, S3Storage, UploadOptions
from async_storages.backends.s3 import object_options

TIME = datetime(2026, 12, 1, 9, tzinfo=UTC)
KEY = CustomerKey(bytes(range(32)))
KEYS = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}

SAME = {
    "served": (
        {
            "cache_control": "max-age=60",
            "content_disposition": "attachment",
            "content_encoding": "gzip",
            "content_language": "de",
            "expires": TIME,
        },
        {
            "CacheControl": "max-age=60",
            "ContentDisposition": "attachment",
            "ContentEncoding": "gzip",
            "ContentLanguage": "de",
            "Expires": TIME,
        },
    ),
    "class and acl": (
        {"storage_class": "STANDARD_IA", "acl": "public-read"},
        {"StorageClass": "STANDARD_IA", "ACL": "public-read"},
    ),
    "AES256": ({"encryption": "AES256"}, {"ServerSideEncryption": "AES256"}),
    "aws:kms": ({"encryption": "aws:kms"}, {"ServerSideEncryption": "aws:kms"}),
    "a key": (
        {"encryption": KmsEncryption(key_id="arn:aws:kms:x", bucket_key=True)},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:x", "BucketKeyEnabled": True},
    ),
    "a context": (
        {"encryption": KmsEncryption(key_id="k", context={"a": "ä"}, bucket_key=False)},
        {
            "ServerSideEncryption": "aws:kms",
            "SSEKMSKeyId": "k",
            "SSEKMSEncryptionContext": "eyJhIjogIlx1MDBlNCJ9",
            "BucketKeyEnabled": False,
        },
    ),
    "a customer's key": (
        {"encryption": KEY},
        {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY.key},
    ),
    "lock": (
        {"lock_mode": "COMPLIANCE", "lock_until": TIME},
        {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": TIME},
    ),
}


class Sent(Exception):
    """Ends a request that botocore is about to send."""


@pytest.fixture(scope="module")
def botocore_headers():
    """What botocore sends for the options of a PutObject."""
    config = Config(request_checksum_calculation="when_required")
    client = boto3.Session().client("s3", region_name="us-east-1", config=config, **KEYS)

    def stop(request, **_):
        raise Sent(request.headers)

    client.meta.events.register("before-send.s3", stop)

    def headers(**options):
        with pytest.raises(Sent) as sent:
            client.put_object(Bucket="photos", Key="a", Body=b"", **options)
        return {name.lower(): _text(value) for name, value in sent.value.args[0].items()}

    return headers


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize(("ours", "theirs"), SAME.values(), ids=SAME)
def test_headers_are_those_of_botocore(botocore_headers, ours, theirs):
    expected = {name: value for name, value in botocore_headers(**theirs).items() if name not in botocore_headers()}
    options = UploadOptions(**ours)
    made = object_options.object_headers(options) | object_options.customer_headers(
        object_options.customer_key(options)
    )
    found = {name.lower(): value for name, value in made.items()}
    if "x-amz-object-lock-retain-until-date" in found:  # written in another way, and the same to S3
        assert datetime.fromisoformat(found.pop("x-amz-object-lock-retain-until-date")) == TIME
        del expected["x-amz-object-lock-retain-until-date"]
    assert found == expected


def test_tags_are_a_query():
    tags = {"team": "web & co", "ü": "a=b"}
    [value] = object_options.object_headers(UploadOptions(tags=tags)).values()
    assert value == "team=web%20%26%20co&%C3%BC=a%3Db"
    assert dict(parse_qsl(value)) == tags


def test_in_forms_the_acl_and_the_tags_are_other_fields():
    options = UploadOptions(acl="private", tags={"a<": "b&"}, encryption="AES256", cache_control="no-cache")
    assert object_options.form_fields(options) == {
        "acl": "private",
        "tagging": "<Tagging><TagSet><Tag><Key>a&lt;</Key><Value>b&amp;</Value></Tag></TagSet></Tagging>",
        "x-amz-server-side-encryption": "AES256",
        "Cache-Control": "no-cache",
    }


def test_a_copy_is_encrypted_with_the_key_of_the_original_unless_another_is_said():
    found = {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "theirs",
        "ETag": "e",
    }
    assert object_options.copied_headers(UploadOptions(cache_control="a", acl="private"), found) == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "theirs",
        "x-amz-acl": "private",
    }
    mine = UploadOptions(encryption=KmsEncryption(key_id="mine"))
    assert object_options.copied_headers(mine, found) == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "mine",
    }
    assert object_options.copied_headers(UploadOptions(encryption="AES256"), found) == {
        "x-amz-server-side-encryption": "AES256"
    }
    assert object_options.copied_headers(UploadOptions(), {"x-amz-server-side-encryption": "AES256"}) == {}


# ---- of a storage


def s3(**options):
    return S3Storage("photos", **KEYS, upload_options=UploadOptions(**options))


async def test_with_a_customers_key_nothing_is_presigned_but_a_delete():
    storage = s3(encryption=KEY)
    for presign in (
        lambda: storage.presign("a.txt"),
        lambda: storage.presign("a.txt", method="HEAD"),
        lambda: storage.presign("a.txt", method="PUT"),
        lambda: storage.presign_many(["a.txt"]),
    ):
        with pytest.raises(OperationNotSupportedException, match="CustomerKey"):
            presign()
    with pytest.raises(OperationNotSupportedException, match="CustomerKey"):
        await storage.presign_post("a.txt")
    with pytest.raises(OperationNotSupportedException, match="CustomerKey"):
        await storage.part_uploads.begin("a.txt", content_type="text/plain")
    assert storage.presign("a.txt", method="DELETE")


def test_other_options_on_the_same_connections():
    storage = s3(cache_control="a", acl="private")
    other = storage.with_upload_options(UploadOptions(cache_control="b"))
    assert other.upload_options == UploadOptions(cache_control="b", acl="private")
    assert other._client is storage._client
    assert storage.upload_options.cache_control == "a"


def test_who_asks_pays():
    storage = S3Storage("photos", **KEYS, requester_pays=True)
    assert "x-amz-request-payer=requester" in storage.presign("a.txt")
    assert "x-amz-request-payer=requester" in storage.presign_many(["a.txt"])[0]
    assert "x-amz-request-payer" in storage.presign("a.txt", method="PUT").partition("SignedHeaders=")[2]
    assert storage.presigned_headers() == {"x-amz-request-payer": "requester"}
