"""Upload options: what is refused, which ones count, and that no key is shown."""

import pickle
from dataclasses import fields
from datetime import UTC, datetime

import pytest

from async_storages import (
    Content,
    CustomerKey,
    InvalidArgumentException,
    KmsEncryption,
    MemoryStorage,
    OperationNotSupportedException,
    PendingFile,
    Storage,
    UploadOptions,
)
from async_storages.upload_options import SERVED

TIME = datetime(2026, 12, 1, tzinfo=UTC)
KEY = b"hidden-from-all-who-have-eyes..."
ALL = {
    "cache_control": "max-age=60",
    "content_disposition": 'attachment; filename="a.txt"',
    "content_encoding": "gzip",
    "content_language": "de, en-GB",
    "expires": TIME,
    "encryption": KmsEncryption(key_id="k", context={"a": "b"}),
    "tags": {"team": "web"},
    "storage_class": "STANDARD_IA",
    "acl": "public-read",
    "lock_mode": "GOVERNANCE",
    "lock_until": TIME,
}


def test_all_that_can_be_said():
    assert set(ALL) == {each.name for each in fields(UploadOptions) if each.init}
    assert UploadOptions(**ALL).said == ALL
    assert UploadOptions().said == {}
    assert UploadOptions(tags={}).said == {"tags": {}}


WRONG = {
    "cache_control": ["", "no-cache\r\nSet-Cookie: a", "ä", 1],
    "content_disposition": ["", "inline\n", b"inline"],
    "content_encoding": ["", "gzip;", "gzip\n", ","],
    "content_language": ["", "de_DE", "de\r\n"],
    "expires": ["tomorrow", 1, datetime(2026, 12, 1)],  # noqa: DTZ001 - that is the point
    "encryption": ["aes256", "", 1, {}, b"key"],
    "tags": ["a=b", {"a": 1}, {"a": "b\n"}, {str(number): "" for number in range(11)}],
    "storage_class": ["", "A B", "A\n"],
    "acl": ["", "a b"],
    "lock_mode": ["", "governance"],
    "lock_until": ["tomorrow", datetime(2026, 12, 1)],  # noqa: DTZ001
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_what_no_storage_takes_is_refused_by_name(name, value):
    with pytest.raises(InvalidArgumentException, match=name):
        UploadOptions(**{name: value})


@pytest.mark.parametrize("key", [b"", b"x" * 31, b"x" * 33, "x" * 32, None])
def test_a_customers_key_has_32_bytes(key):
    with pytest.raises(InvalidArgumentException, match="32 bytes"):
        CustomerKey(key)


@pytest.mark.parametrize("wrong", [{"key_id": ""}, {"key_id": "a\n"}, {"context": {"a": 1}}], ids=repr)
def test_a_key_of_a_service_is_named_by_text(wrong):
    with pytest.raises(InvalidArgumentException, match=next(iter(wrong))):
        KmsEncryption(**wrong)


def test_keys_and_contexts_are_not_shown_nor_pickled():
    options = UploadOptions(encryption=CustomerKey(KEY))
    context = UploadOptions(encryption=KmsEncryption(key_id="k", context={"patient": "hidden"}))
    for shown in (options, options.said, context, PendingFile(b"", options=options)):
        assert "hidden" not in repr(shown)
    with pytest.raises(InvalidArgumentException, match="not pickled"):
        pickle.dumps(options)
    assert pickle.loads(pickle.dumps(UploadOptions(**ALL))) == UploadOptions(**ALL)


def test_equal_ones_have_one_hash_as_statements_are_cached_by_it():
    assert hash(UploadOptions(**ALL)) == hash(UploadOptions(**ALL))
    assert UploadOptions(tags={"a": "b"}) != UploadOptions(tags={"a": "c"})


def test_what_is_said_nearer_counts_field_by_field():
    far = UploadOptions(cache_control="no-cache", acl="private", encryption="AES256")
    near = UploadOptions(acl="public-read", encryption=KmsEncryption(key_id="k"))
    assert near.over(far) == UploadOptions(
        cache_control="no-cache", acl="public-read", encryption=KmsEncryption(key_id="k")
    )
    assert near.over(None) is near
    assert UploadOptions().over(far) is far


@pytest.mark.parametrize("name", ALL)
def test_what_a_storage_cannot_do_is_named(name):
    options = UploadOptions(**{name: ALL[name]})
    able = {*ALL} - {name}
    with pytest.raises(OperationNotSupportedException, match=f"OneStorage cannot do {name}="):
        options.require(able, "OneStorage")
    if not name.startswith("lock"):
        options.require({*ALL}, "OneStorage")


@pytest.mark.parametrize("name", ["lock_mode", "lock_until"])
def test_a_lock_needs_both(name):
    with pytest.raises(InvalidArgumentException, match="go together"):
        UploadOptions(**{name: ALL[name]}).require(ALL, "S3Storage")


# ---- on their way


class Deaf(MemoryStorage):
    """A storage that somebody wrote before there were options."""

    scheme = "deaf"
    able_options = Storage.able_options


async def test_a_storage_that_knows_no_options_refuses_them_before_it_writes():
    storage = Deaf()
    options = UploadOptions(cache_control="no-cache")
    for attempt in (
        storage.upload(b"", "a.txt", options=options),
        storage.save(b"", "a.txt", options=options),
        storage.save(PendingFile(b"", options=options), "a.txt"),
        storage.upload(Content(b"", options=options), "a.txt"),
    ):
        with pytest.raises(OperationNotSupportedException, match="Deaf cannot do cache_control="):
            await attempt
    assert [info async for info in storage.list()] == []


async def test_a_call_goes_before_pending_content_before_the_storage():
    storage = MemoryStorage()
    storage.upload_options = UploadOptions(cache_control="a", content_language="a", expires=TIME)
    pending = PendingFile(b"", "a.txt", options=UploadOptions(cache_control="b", content_language="b"))
    saved = await storage.save(pending, options=UploadOptions(cache_control="c"))
    copied = await storage.copy(saved, "b.txt")
    for name in (saved, copied):
        info = await storage.stat(name)
        assert [getattr(info, field) for field in ("cache_control", "content_language", "expires")] == ["c", "b", TIME]


async def test_options_of_content_are_given_to_it_itself():
    with pytest.raises(InvalidArgumentException, match=r"options: give them to Content"):
        await MemoryStorage().save(Content(b""), "a.txt", options=UploadOptions())


def test_what_is_served_is_a_part_of_all():
    assert set(ALL) > SERVED
