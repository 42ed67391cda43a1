"""Each operation against a server that says what servers seldom say."""

import asyncio
import base64
import hashlib
import re
import time
import zlib
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from async_storages.backends.buckets.server_errors import FileChanged, NoSuchUpload
from async_storages.backends.s3.api_client import CopySource, S3ApiClient
from async_storages.backends.s3.conditional_writes import CREATE, REPLACE, Creation
from async_storages.backends.s3.credentials import StaticCredentials
from async_storages.backends.s3.sigv4 import Credentials
from async_storages.backends.s3.xml_messages import UploadedPart
from async_storages.backends.transport.retries import Retries
from async_storages.errors import (
    AccessDeniedException,
    ChecksumMismatchException,
    FileExistsException,
    StorageOperationException,
    StorageUnavailableException,
)
from tests.support import scripted as scripts
from tests.support.s3 import FAST
from tests.support.scripted import Ending, scripted

CLOSED = b""
"""The server ends the connection, having done what it was asked for or not; aiohttp asks again, but for a POST."""

LOST = "lost"
"""The same, twice where aiohttp asks again."""

BODY = b"12345"
MD5 = hashlib.md5(BODY).hexdigest()
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
OWN = {"Content_Length": str(len(BODY)), "ETag": f'"{MD5}"'}


def reply(status=200, body=b"", **headers):
    """An answer; a success has an ETag, as those of S3 have."""
    return scripts.reply(status, body, **({"ETag": '"any"'} if status == 200 else {}) | headers)


def error(status, code, **headers):
    return reply(status, f"<Error><Code>{code}</Code></Error>".encode(), **headers)


def head(**headers):
    """The answer to a HEAD."""
    return reply(200, **headers)


def region_of(asked):
    return re.search("Credential=key/[0-9]{8}/([^/]+)/s3", asked.headers["Authorization"])[1]


@asynccontextmanager
async def client_of(*answers, attempts=3, **options):
    """A client of a server that gives these answers, one after the other, or asks a function for them."""
    async with scripted(answers[0] if callable(answers[0]) else Script(answers)) as server:
        client = S3ApiClient(
            StaticCredentials(Credentials("key", "secret")),
            endpoint_url=server.url,
            options=replace(FAST, retries=Retries(attempts=attempts, base=0)),
            **{"checksums": "required", **options},
        )
        try:
            yield client, server
        finally:
            await client.aclose()


class Script:
    def __init__(self, answers):
        self.answers = list(answers)

    def __call__(self, asked):
        assert self.answers, f"{asked.method} {asked.path} was not expected"
        answer = self.answers.pop(0)
        if answer is LOST:
            self.answers[:0] = [CLOSED] * (asked.method != "POST")
            return CLOSED
        return answer


async def put(client, **options):
    await client.put_object("photos", "a.txt", BODY, headers={"Content-Type": "a/b", "x-amz-meta-a": "1"}, **options)


async def got(client, *part):
    return b"".join([chunk async for chunk in client.get_object("photos", "a.txt", *part)])


def methods(server):
    return "".join(asked.method[0] for asked in server.asked)


# ---- retries


async def test_what_may_pass_is_tried_again():
    async with client_of(error(503, "SlowDown"), LOST, reply()) as (client, server):
        await put(client)
    assert methods(server) == "PPPP"
    assert {asked.body for asked in server.asked} == {BODY}


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (400, "InvalidRequest")])
async def test_what_does_not_pass_is_not(status, code):
    async with client_of(error(status, code)) as (client, server):
        with pytest.raises((AccessDeniedException, StorageOperationException)):
            await put(client)
    assert methods(server) == "P"


async def test_it_is_tried_as_often_as_was_said():
    async with client_of(*[error(500, "InternalError")] * 4, attempts=4) as (client, server):
        with pytest.raises(StorageUnavailableException, match="500 InternalError"):
            await client.list_objects("photos", "")
    assert len(server.asked) == 4


# ---- regions


REDIRECTS = {
    "301 with a header": reply(301, x_amz_bucket_region="eu-west-1"),
    "307 with a header": reply(307, x_amz_bucket_region="eu-west-1"),
    "400 of a HEAD": reply(400, x_amz_bucket_region="eu-west-1"),
    "400 with a body": reply(
        400, b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>"
    ),
}


@pytest.mark.parametrize("redirect", REDIRECTS.values(), ids=REDIRECTS)
async def test_a_bucket_in_another_region_is_found_once_and_remembered(redirect):
    async with client_of(redirect, reply(), reply(), attempts=1) as (client, server):
        await put(client)
        await put(client)
    assert [region_of(asked) for asked in server.asked] == ["us-east-1", "eu-west-1", "eu-west-1"]
    assert client.wire.endpoint("photos").region == "eu-west-1"
    assert client.wire.endpoint("others").region == "us-east-1"


async def test_a_bucket_that_is_sent_around_is_given_up():
    there, back = (reply(301, x_amz_bucket_region=region) for region in ("eu-west-1", "us-east-1"))
    async with client_of(there, back) as (client, server):
        with pytest.raises(StorageOperationException, match="301"):
            await put(client)
    assert len(server.asked) == 2


async def test_requests_that_are_redirected_together_all_arrive():
    def answer(asked):
        return reply() if region_of(asked) == "eu-west-1" else reply(301, x_amz_bucket_region="eu-west-1")

    async with client_of(answer, attempts=1) as (client, _):
        await asyncio.gather(*(put(client) for _ in range(20)))


async def test_a_region_that_is_none_leads_nowhere():
    async with client_of(reply(301, x_amz_bucket_region="evil.example/"), reply(), attempts=1) as (client, server):
        with pytest.raises(StorageOperationException, match="301"):
            await put(client)
        await put(client)
    assert [region_of(asked) for asked in server.asked] == ["us-east-1"] * 2


# ---- clocks


def at(hours):
    return format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)


def hour_of(asked):
    """How many hours the request is ahead."""
    sent = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return round((sent - datetime.now(UTC)) / timedelta(hours=1))


SKEWED = {
    "by name": lambda: error(403, "RequestTimeTooSkewed", Date=at(5)),
    "of a HEAD": lambda: reply(403, Date=at(5)),
}


@pytest.mark.parametrize("refusal", SKEWED.values(), ids=SKEWED)
async def test_the_servers_clock_is_taken_over_once_and_remembered(refusal):
    async with client_of(refusal(), reply(), reply(), attempts=1) as (client, server):
        await put(client)
        await put(client)
    assert [hour_of(asked) for asked in server.asked] == [0, 5, 5]
    assert round((client.wire.now.timestamp() - time.time()) / 3600) == 5


async def test_a_refusal_at_any_time_is_a_refusal():
    refused = [error(403, "AccessDenied", Date=at(hours)) for hours in (5, 5)]
    async with client_of(*refused) as (client, server):
        with pytest.raises(AccessDeniedException):
            await put(client)
    assert len(server.asked) == 2


@pytest.mark.parametrize("date", ["in three minutes", "yesterday", None])
async def test_a_clock_that_is_not_why_is_left_alone(date):
    told = at(0.05) if date == "in three minutes" else date
    async with client_of(error(403, "AccessDenied", Date=told)) as (client, server):
        with pytest.raises(AccessDeniedException):
            await put(client)
    assert len(server.asked) == 1


async def test_requests_that_are_skewed_together_all_arrive():
    def answer(asked):
        return reply() if hour_of(asked) == 5 else reply(403, Date=at(5))

    async with client_of(answer, attempts=1) as (client, _):
        await asyncio.gather(*(put(client) for _ in range(20)))


# ---- put


async def test_a_body_is_sent_with_its_checksums():
    for size in (0, 5, 1 << 20, (1 << 20) + 1):
        body = bytes(size)
        async with client_of(reply()) as (client, server):
            await client.put_object("photos", "a.txt", body, headers={})
        sent = server.asked[0].headers
        assert sent["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
        assert sent["x-amz-checksum-crc32"] == base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        assert server.asked[0].body == body


async def test_a_checksum_that_comes_back_altered_is_an_error():
    async with client_of(reply(x_amz_checksum_crc32="AAAAAA==")) as (client, _):
        with pytest.raises(ChecksumMismatchException):
            await put(client)


TAKEN = error(412, "PreconditionFailed")
HEADS = {
    "by its ETag": (head(**OWN, x_amz_meta_a="1"), None),
    "by its checksum": (head(**OWN | {"ETag": '"sse"'}, x_amz_checksum_crc32=CRC32, x_amz_meta_a="1"), None),
    "other content": (head(**OWN | {"ETag": '"other"'}, x_amz_meta_a="1"), FileExistsException),
    "other size": (head(**OWN | {"Content_Length": "6"}, x_amz_meta_a="1"), FileExistsException),
    "other metadata": (head(**OWN, x_amz_meta_a="2"), FileExistsException),
    "no metadata": (head(**OWN), FileExistsException),
    "gone again": (reply(404), FileExistsException),
    "not to be seen": (reply(403), AccessDeniedException),
}


@pytest.mark.parametrize(("found", "kind"), HEADS.values(), ids=HEADS)
async def test_a_new_file_of_which_the_answer_was_lost_is_recognised(found, kind):
    async with client_of(LOST, TAKEN, found) as (client, server):
        if kind is None:
            await put(client, creation=CREATE)
        else:
            with pytest.raises(kind):
                await put(client, creation=CREATE)
    assert methods(server) == "PPPH"


async def test_whether_it_is_ones_own_is_not_guessed():
    async with client_of(LOST, TAKEN, *[reply(503)] * 3) as (client, _):
        with pytest.raises(StorageUnavailableException):
            await put(client, creation=CREATE)


async def test_a_key_that_was_taken_before_is_taken():
    """Also if it is by the very same content."""
    async with client_of(TAKEN) as (client, server):
        with pytest.raises(FileExistsException):
            await put(client, creation=CREATE)
    assert methods(server) == "P"


@pytest.mark.parametrize(
    ("found", "is_stored"),
    [(head(**OWN, x_amz_meta_a="1"), True), (reply(404), False), (reply(503), False), (LOST, False)],
    ids=["stored", "absent", "down", "lost"],
)
async def test_what_was_never_answered_is_looked_for_once(found, is_stored):
    async with client_of(LOST, LOST, LOST, found) as (client, server):
        if is_stored:
            await put(client)
        else:
            with pytest.raises(StorageUnavailableException):
                await put(client)
    assert methods(server)[:7] == "PPPPPPH"


async def test_what_was_never_sent_is_not_looked_for():
    async with client_of(reply()) as (client, server):
        pass
    with pytest.raises(StorageUnavailableException):
        await put(client)
    assert server.asked == []


async def test_a_kept_connection_that_was_closed_does_not_make_a_stranger_of_ones_own_file():
    async with client_of(reply(), CLOSED, TAKEN, head(**OWN, x_amz_meta_a="1"), attempts=1) as (client, server):
        await put(client)
        await put(client, creation=CREATE)
    assert methods(server) == "PPPH"


# ---- get


def part(asked, content=BODY, **headers):
    """What a good server says to a range."""
    first, last = asked.headers["Range"].removeprefix("bytes=").split("-")
    end = int(last or len(content) - 1) + 1
    said = {"Content_Range": f"bytes {first}-{end - 1}/{len(content)}", "ETag": f'"{MD5}"'} | headers
    return reply(206, content[int(first) : end], **said)


def whole(**headers):
    return reply(200, BODY, ETag=f'"{MD5}"', **headers)


def cut(answer, rest=4):
    """The answer without the last bytes of its body."""
    return Ending(answer[:-rest]) if rest else answer


async def test_a_download_that_breaks_goes_on_where_it_was():
    """As often as it takes, if a byte comes each time; the checksum is still looked at."""

    def answer(asked):
        if "Range" not in asked.headers:
            return cut(whole(x_amz_checksum_crc32=CRC32))
        assert asked.headers["If-Match"] == f'"{MD5}"'
        missing = len(BODY) - int(asked.headers["Range"][6])
        return cut(part(asked), missing - 1)

    async with client_of(answer, attempts=2) as (client, server):
        assert await got(client) == BODY
    assert [asked.headers["Range"] for asked in server.asked] == [None, *(f"bytes={n}-4" for n in range(1, 5))]


REPLACED = {
    "412": TAKEN,
    "416": error(416, "InvalidRange"),
    "another ETag": reply(206, BODY[1:], Content_Range="bytes 1-4/5", ETag='"other"'),
    "the whole of another version again": reply(200, BODY, ETag='"other"'),
    "the whole, which is shorter by now": reply(200, BODY[:3], ETag=f'"{MD5}"'),
}


@pytest.mark.parametrize("answer", REPLACED.values(), ids=REPLACED)
async def test_a_download_does_not_go_on_with_another_version(answer):
    async with client_of(cut(whole()), answer) as (client, _):
        with pytest.raises(StorageOperationException):
            await got(client)


async def test_a_download_goes_on_with_the_rest_of_the_whole_where_a_range_is_ignored():
    async with client_of(cut(whole()), whole()) as (client, server):
        assert await got(client) == BODY
    assert len(server.asked) == 2


async def test_a_download_of_which_nothing_came_may_be_of_another_version():
    async with client_of(cut(whole(), 5), reply(200, b"new", ETag='"new"')) as (client, _):
        assert await got(client) == b"new"


async def test_a_download_that_never_gives_anything_is_given_up():
    async with client_of(*[cut(whole(), 5)] * 3) as (client, server):
        with pytest.raises(StorageUnavailableException):
            await got(client)
    assert len(server.asked) == 3


@pytest.mark.parametrize("stored", [CRC32, "AAAAAA==-2", None])
async def test_a_download_is_held_against_the_stored_checksum(stored):
    async with client_of(whole(x_amz_checksum_crc32=stored)) as (client, server):
        assert await got(client) == BODY
    assert server.asked[0].headers["x-amz-checksum-mode"] == "ENABLED"


async def test_a_download_of_other_bytes_than_were_stored_is_an_error():
    async with client_of(whole(x_amz_checksum_crc32="AAAAAA==")) as (client, _):
        with pytest.raises(ChecksumMismatchException):
            await got(client)


@pytest.mark.parametrize("answer", [whole(), reply(200, BODY, Content_Length=None, Transfer_Encoding=None)])
async def test_what_is_asked_for_is_taken_where_a_range_is_ignored(answer):
    async with client_of(Ending(answer)) as (client, _):
        assert await got(client, 1, 2) == BODY[1:3]


@pytest.mark.parametrize("answer", [reply(206, BODY), reply(206, BODY, Content_Range="bytes 0-4/5")])
async def test_another_range_is_not_taken_for_the_one_that_was_asked_for(answer):
    async with client_of(answer) as (client, _):
        with pytest.raises(StorageOperationException):
            await got(client, 1, 2)


@pytest.mark.parametrize(
    ("range_", "asked"),
    [((0, 2), "bytes=0-1"), ((3, None), "bytes=3-"), ((-2, None), "bytes=-2"), ((1, 1), "bytes=1-1")],
)
async def test_a_range_is_asked_for(range_, asked):
    content = BODY[range_[0] :][: range_[1]]
    first = range_[0] % len(BODY)
    said = reply(206, content, Content_Range=f"bytes {first}-{first + len(content) - 1}/5")
    async with client_of(said) as (client, server):
        assert await got(client, *range_) == content
    assert server.asked[0].headers["Range"] == asked


# ---- delete, list, copy


def deleted(**failures):
    failed = "".join(f"<Error><Key>{key}</Key><Code>{code}</Code></Error>" for key, code in failures.items())
    return reply(200, f"<DeleteResult>{failed}</DeleteResult>".encode())


async def test_of_many_deletes_those_that_may_pass_are_tried_again():
    answers = [deleted(a="InternalError", b="AccessDenied"), deleted(a="SlowDown"), deleted()]
    async with client_of(*answers) as (client, server):
        failed = await client.delete_objects("photos", ["a", "b", "c"])
    assert {key: type(error) for key, error in failed.items()} == {"b": AccessDeniedException}
    assert [re.findall("<Key>(.)</Key>", asked.body.decode()) for asked in server.asked] == [
        ["a", "b", "c"],
        ["a"],
        ["a"],
    ]
    for asked in server.asked:
        assert base64.b64decode(asked.headers["Content-MD5"]) == hashlib.md5(asked.body).digest()


async def test_of_many_deletes_those_that_do_not_pass_are_told():
    async with client_of(*[deleted(a="SlowDown")] * 3) as (client, _):
        failed = await client.delete_objects("photos", ["a"])
    assert {key: type(error) for key, error in failed.items()} == {"a": StorageUnavailableException}


async def test_a_server_that_minds_deleting_what_is_not_there_is_ignored():
    async with client_of(error(404, "NoSuchKey")) as (client, _):
        await client.delete_object("photos", "a.txt")


async def test_a_listing_goes_on_with_its_token():
    more = b"<IsTruncated>true</IsTruncated><NextContinuationToken>a+/=</NextContinuationToken>"
    page = reply(200, b"<ListBucketResult>" + more + b"</ListBucketResult>")
    async with client_of(page, reply(200, b"<ListBucketResult/>")) as (client, server):
        first = await client.list_objects("photos", "a/ü")
        assert (await client.list_objects("photos", "a/ü", first.token)).token is None
    asked = parse_qs(urlsplit(server.asked[1].path).query)
    assert asked == {"list-type": ["2"], "prefix": ["a/ü"], "encoding-type": ["url"], "continuation-token": ["a+/="]}


SOURCE = CopySource("photos", "a b/ü.txt", '"e"')
COPIED = reply(200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>")


async def copy(client, *, is_done=False, **options):
    await client.copy_object("photos", "b.txt", SOURCE, is_done_by=lambda found: is_done, **options)


async def test_a_copy_is_of_one_version():
    async with client_of(COPIED) as (client, server):
        await copy(client)
    sent = server.asked[0].headers
    assert (sent["x-amz-copy-source"], sent["x-amz-copy-source-if-match"]) == ("photos/a%20b/%C3%BC.txt", '"e"')


@pytest.mark.parametrize("late", [error(200, "InternalError"), reply(200, b"  \n<Error><Code>SlowDown</Code></Error>")])
async def test_a_failure_that_comes_late_is_one(late):
    async with client_of(late, late, COPIED) as (client, server):
        await copy(client)
    assert len(server.asked) == 3
    async with client_of(late, late, late, reply(404)) as (client, _):
        with pytest.raises(StorageUnavailableException):
            await copy(client)


async def test_a_failure_that_comes_late_and_stays_is_told():
    async with client_of(error(200, "InvalidRequest"), error(200, "AccessDenied")) as (client, _):
        with pytest.raises(StorageOperationException, match="InvalidRequest"):
            await copy(client)
        with pytest.raises(AccessDeniedException):
            await copy(client)


FRESH = Creation(is_conditional=True, is_fresh=True)


@pytest.mark.parametrize(
    ("creation", "kind"), [(REPLACE, FileChanged), (CREATE, FileExistsException), (FRESH, FileChanged)]
)
async def test_a_failed_precondition_of_a_copy_is_whose_it_must_be(creation, kind):
    async with client_of(TAKEN) as (client, _):
        with pytest.raises(kind):
            await copy(client, creation=creation)


async def test_a_copy_of_which_the_answer_was_lost_is_recognised():
    async with client_of(LOST, TAKEN, head()) as (client, _):
        await copy(client, is_done=True, creation=CREATE)
    async with client_of(LOST, TAKEN, head()) as (client, _):
        with pytest.raises(FileExistsException):
            await copy(client, is_done=False, creation=CREATE)


# ---- multipart uploads

UPLOAD = reply(200, b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
COMPLETED = reply(200, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
PARTS = [UploadedPart(2, f'"{hashlib.md5(b"b").hexdigest()}"'), UploadedPart(1, f'"{hashlib.md5(b"a").hexdigest()}"')]
ETAG = f'"{hashlib.md5(hashlib.md5(b"a").digest() + hashlib.md5(b"b").digest()).hexdigest()}-2"'


async def complete(client, parts=PARTS, **options):
    await client.complete_multipart_upload("photos", "a.txt", "1", parts, **options)


async def test_parts_are_put_together_in_order():
    async with client_of(COMPLETED) as (client, server):
        await complete(client)
    assert re.findall("<PartNumber>(.)<", server.asked[0].body.decode()) == ["1", "2"]


UNHEARD = {
    "no such upload": (error(404, "NoSuchUpload"), NoSuchUpload),
    "the key is taken": (TAKEN, FileExistsException),
}


@pytest.mark.parametrize(("refusal", "kind"), UNHEARD.values(), ids=UNHEARD)
async def test_a_completion_of_which_the_answer_was_lost_is_recognised(refusal, kind):
    async with client_of(LOST, refusal, head(ETag=ETAG)) as (client, _):
        await complete(client, creation=CREATE)
    for found in (head(ETag='"other-2"'), reply(404)):
        async with client_of(LOST, refusal, found) as (client, _):
            with pytest.raises(kind):
                await complete(client, creation=CREATE)


async def test_parts_without_an_md5_are_not_recognised():
    """As with SSE-KMS; better an error too many than a success too many."""
    async with client_of(LOST, error(404, "NoSuchUpload"), head(ETag=ETAG)) as (client, _):
        with pytest.raises(NoSuchUpload):
            await complete(client, [*PARTS, UploadedPart(3, '"opaque"')])


@pytest.mark.parametrize("answer", [error(404, "NoSuchUpload"), reply(404), reply(204)])
async def test_an_upload_that_is_gone_is_aborted(answer):
    async with client_of(answer) as (client, _):
        await client.abort_multipart_upload("photos", "a.txt", "1")


async def test_an_upload_that_cannot_be_aborted_says_so():
    async with client_of(error(403, "AccessDenied")) as (client, _):
        with pytest.raises(AccessDeniedException):
            await client.abort_multipart_upload("photos", "a.txt", "1")


def uploads(*ids):
    listed = "".join(f"<Upload><Key>{key}</Key><UploadId>{upload_id}</UploadId></Upload>" for key, upload_id in ids)
    return reply(200, f"<ListMultipartUploadsResult>{listed}</ListMultipartUploadsResult>".encode())


async def begin(client, **options):
    return await client.create_multipart_upload("photos", "a.txt", headers={}, **options)


def aborted(server):
    return [parse_qs(urlsplit(asked.path).query)["uploadId"][0] for asked in server.asked if asked.method == "DELETE"]


async def test_an_upload_whose_beginning_was_not_heard_of_is_aborted():
    there = uploads(("a.txt", "0"), ("a.txt", "1"), ("a.txt.bak", "2"))
    async with client_of(LOST, UPLOAD, there, reply(204)) as (client, server):
        assert await begin(client, is_fresh=True) == "1"
    assert aborted(server) == ["0"]
    async with client_of(LOST, LOST, LOST, there, reply(204), reply(204)) as (client, server):
        with pytest.raises(StorageUnavailableException):
            await begin(client, is_fresh=True)
    assert aborted(server) == ["0", "1"]


async def test_uploads_of_others_to_the_same_key_are_left_alone():
    async with client_of(LOST, UPLOAD) as (client, server):
        assert await begin(client) == "1"
    assert methods(server) == "PP"


async def test_a_beginning_that_cannot_be_understood_is_none():
    async with client_of(reply(200, b"<html>"), uploads(("a.txt", "0")), reply(204)) as (client, server):
        with pytest.raises(StorageOperationException):
            await begin(client, is_fresh=True)
    assert aborted(server) == ["0"]


async def test_a_part_comes_back_with_its_checksum():
    ours, none = {"x_amz_checksum_crc32": CRC32}, {}
    answered = [reply(ETag='"e"', **said) for said in (none, ours, {"x_amz_checksum_crc32": "AAAAAA=="})]
    async with client_of(*answered) as (client, _):
        assert await client.upload_part("photos", "a.txt", "1", 7, BODY) == UploadedPart(7, '"e"', None)
        assert await client.upload_part("photos", "a.txt", "1", 7, BODY) == UploadedPart(7, '"e"', CRC32)
        with pytest.raises(ChecksumMismatchException):
            await client.upload_part("photos", "a.txt", "1", 7, BODY)


async def test_a_part_is_copied_from_one_version():
    asked = {"source": SOURCE, "first": 5, "last": 9}
    etag, checksum = b"<ETag>&quot;e&quot;</ETag>", b"<ChecksumCRC32>AAAAAA==</ChecksumCRC32>"
    made = [reply(200, b"<CopyPartResult>" + said + b"</CopyPartResult>") for said in (etag, etag + checksum)]
    async with client_of(*made, TAKEN) as (client, server):
        assert await client.upload_part_copy("photos", "b.txt", "1", 7, **asked) == UploadedPart(7, '"e"')
        assert await client.upload_part_copy("photos", "b.txt", "1", 7, **asked) == UploadedPart(7, '"e"', "AAAAAA==")
        with pytest.raises(FileChanged):
            await client.upload_part_copy("photos", "b.txt", "1", 7, **asked)
    assert server.asked[0].headers["x-amz-copy-source-range"] == "bytes=5-9"
