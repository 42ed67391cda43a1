"""XML that S3 answers, and XML that it is sent."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_storages.backends.s3 import xml_messages
from async_storages.backends.s3.error_responses import ErrorResponse, is_failure
from async_storages.backends.s3.xml_messages import UploadedPart
from async_storages.errors import (
    AccessDeniedException,
    StorageOperationException,
    StorageUnavailableException,
)

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def listing(*keys, more="<IsTruncated>false</IsTruncated>"):
    contents = "".join(
        f"<Contents><Key>{key}</Key><ETag>&quot;e&quot;</ETag><Size>1</Size>"
        "<LastModified>2026-11-22T01:10:48.123Z</LastModified></Contents>"
        for key in keys
    )
    return f"<ListBucketResult {NAMESPACE}>{contents}{more}</ListBucketResult>".encode()


ENCODED = "<EncodingType>url</EncodingType>"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a+b%2Bc", "a b+c"),
        ("a%20b/c+d", "a b/c d"),
        ("%D1%91/%2541", "ё/%41"),
        ("a&amp;b%3C", "a&b<"),
        ("a%FF", "a\ufffd"),
    ],
)
def test_a_listed_key_is_decoded(written, key):
    [listed] = xml_messages.parse_listing(listing(written, more=ENCODED)).objects
    assert (listed.key, listed.size, listed.etag, listed.storage_class) == (key, 1, "e", None)
    assert listed.last_modified == datetime(2026, 11, 22, 1, 10, 48, 123_000, UTC)


@pytest.mark.parametrize("more", ["", "<EncodingType/>", "<EncodingType>none</EncodingType>"])
def test_a_listed_key_that_is_not_encoded_stays_as_it_is(more):
    [listed] = xml_messages.parse_listing(listing("a+b%2Bc", more=more)).objects
    assert listed.key == "a+b%2Bc"


def test_a_listing_says_how_it_goes_on():
    assert xml_messages.parse_listing(listing()) == xml_messages.Listing([], None)
    token = "<IsTruncated>true</IsTruncated><NextContinuationToken>a+b%2F=</NextContinuationToken>"
    assert xml_messages.parse_listing(listing("k", more=token)).token == "a+b%2F="


BAD = {
    "nothing": b"",
    "text": b"gateway time-out",
    "cut": listing("k")[:-20],
    "no size": listing("k").replace(b"<Size>1</Size>", b""),
    "no number": listing("k").replace(b"<Size>1<", b"<Size>one<"),
    "no time": listing("k").replace(b"2026-", b"26-"),
    "no token": listing(more="<IsTruncated>true</IsTruncated>"),
    "entity bomb": b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&c;</a>',
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_what_is_no_listing_is_refused(body):
    with pytest.raises(StorageOperationException, match="not what was asked for"):
        xml_messages.parse_listing(body)


@given(st.binary() | st.text().map(str.encode))
@example(b"<?xml version='1.0' encoding='utf-7'?><a/>")
def test_no_answer_leads_to_another_exception(body):
    ErrorResponse.of(400, {}, body).error()
    is_failure(body)
    for parse in (
        xml_messages.parse_listing,
        xml_messages.parse_delete_result,
        xml_messages.parse_uploads,
        lambda body: xml_messages.parse_text(body, "ETag"),
    ):
        try:
            parse(body)
        except StorageOperationException:
            continue


def test_uploads_are_listed():
    uploads = "".join(f"<Upload><Key>{key}</Key><UploadId>{key}-id</UploadId></Upload>" for key in ("a+b", "c%2B"))
    body = f"<ListMultipartUploadsResult {NAMESPACE}>{uploads}</ListMultipartUploadsResult>".encode()
    assert xml_messages.parse_uploads(body) == [("a+b", "a+b-id"), ("c%2B", "c%2B-id")]
    body = f"<ListMultipartUploadsResult {NAMESPACE}>{ENCODED}{uploads}</ListMultipartUploadsResult>".encode()
    assert xml_messages.parse_uploads(body) == [("a b", "a+b-id"), ("c+", "c%2B-id")]


def test_what_a_multi_object_delete_could_not_delete():
    failed = "<Error><Key>a&amp;b</Key><Code>AccessDenied</Code></Error><Error><Key>c</Key></Error>"
    body = f"<DeleteResult {NAMESPACE}><Deleted><Key>d</Key></Deleted>{failed}</DeleteResult>".encode()
    failures = xml_messages.parse_delete_result(body)
    assert {key: type(failure.error()) for key, failure in failures.items()} == {
        "a&b": AccessDeniedException,
        "c": StorageUnavailableException,
    }
    assert str(failures["a&b"].error()) == "S3 refused (AccessDenied)"


# ---- what is sent


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1)))
@example(["a&b<c>d\"'e]]>", " a ", "a  b"])
def test_keys_survive_in_a_multi_object_delete(keys):
    root = ET.fromstring(xml_messages.delete_objects_body(keys))
    assert [key.text for key in root.iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")] == keys


def test_parts_are_named_with_their_checksums():
    body = xml_messages.complete_multipart_body([UploadedPart(1, '"a"', "AAAA=="), UploadedPart(2, '"b"')])
    assert body.decode() == (
        f'<CompleteMultipartUpload {NAMESPACE}><Part><PartNumber>1</PartNumber><ETag>"a"</ETag>'
        '<ChecksumCRC32>AAAA==</ChecksumCRC32></Part><Part><PartNumber>2</PartNumber><ETag>"b"</ETag></Part>'
        "</CompleteMultipartUpload>"
    )
