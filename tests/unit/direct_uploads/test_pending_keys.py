"""Keys of pending uploads: whom they let attach what, and until when."""

import time

import pytest

from async_storages.direct_uploads.pending_keys import PendingKeys
from async_storages.errors import AccessDeniedException, InvalidArgumentException
from async_storages.naming import check_key

TARGET = "photos/5f0c7a4be11c9d20_照片.jpg"


def keys(secret="secret", purpose="bucket", folder="tenant/pending", **options):
    return PendingKeys(secret, purpose, folder, **options)


@pytest.mark.parametrize("owner", [None, "anna", ""])
def test_a_key_gives_the_target_it_was_made_for(owner):
    key = keys().new(TARGET, owner, keep_for=60)
    assert key.startswith("tenant/pending/")
    assert key.endswith(f"/{TARGET}")
    assert check_key(key) == key
    assert keys().target(key, owner) == TARGET


WRONG = {
    "another-owner": lambda key: (keys(), key, "ben"),
    "nobody-known": lambda key: (keys(), key, None),
    "another-secret": lambda key: (keys(secret="other"), key, "anna"),
    "another-storage": lambda key: (keys(purpose="other"), key, "anna"),
    "another-folder": lambda key: (keys(folder="other"), key, "anna"),
    "another-target": lambda key: (keys(), key.replace("photos", "invoices"), "anna"),
    "another-deadline": lambda key: (keys(), key.replace("pending/", "pending/f"), "anna"),
    "no-signature": lambda key: (keys(), f"tenant/pending/ffffffff./{TARGET}", "anna"),
    "the-target-itself": lambda key: (keys(), TARGET, "anna"),
    "no-target": lambda key: (keys(), key.removesuffix(f"/{TARGET}"), "anna"),
    "no-number": lambda key: (keys(), "tenant/pending/x.y/z", "anna"),
    "deadline-spelled-otherwise": lambda key: (keys(), key.replace("pending/", "pending/0x"), "anna"),
    "deadline-without-end": lambda key: (keys(), f"tenant/pending/{'f' * 5000}.x/z", "anna"),
    "negative-deadline": lambda key: (keys(), key.replace("pending/", "pending/-"), "anna"),
    "signature-with-padding": lambda key: (keys(), key.replace("/photos", "=/photos"), "anna"),
    "empty": lambda key: (keys(), "", "anna"),
    "not-ascii": lambda key: (keys(), "tenant/pending/1.ü/z", "anna"),
    "lone-surrogate": lambda key: (keys(), "tenant/pending/1.\ud800/z\ud800", "anna"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_key_that_does_not_fit_is_refused(wrong):
    checker, key, owner = wrong(keys().new(TARGET, "anna", keep_for=60))
    with pytest.raises(AccessDeniedException):
        checker.target(key, owner)


def test_a_key_ends():
    key = keys().new(TARGET, None, keep_for=60)
    later = keys(clock=lambda: time.time() + 61)
    assert not keys().is_over(key)
    assert later.is_over(key)
    with pytest.raises(AccessDeniedException, match="over"):
        later.target(key, None)


@pytest.mark.parametrize("key", ["", "tenant/pending/readme.txt", "tenant/pending/1", f"other/1.x/{TARGET}"])
def test_what_is_none_of_these_keys_is_never_over(key):
    assert not keys().is_over(key)


def test_secrets_rotate():
    assert keys(["old", "new"]).target(keys("old").new(TARGET, None, keep_for=60), None) == TARGET


@pytest.mark.parametrize("secret", ["", [], ["old", ""]], ids=repr)
def test_no_secret_is_refused(secret):
    with pytest.raises(InvalidArgumentException):
        keys(secret)


def test_claims_lie_beside_the_upload_that_they_are_for():
    key = keys().new(TARGET, None, keep_for=60)
    claim = keys().claims(key) + "1"
    assert check_key(claim) == claim
    assert claim.rpartition("/")[0] == key.removesuffix(f"/{TARGET}")
    assert keys().is_claim(claim)
    assert not keys().is_claim(key)
    assert not keys().is_claim("tenant/pending/readme.txt")
    assert 58 < keys().seconds_left(key) <= 60
    assert not keys().is_over(claim)
    assert keys().is_over(keys().claims(keys().new(TARGET, None, keep_for=-1)) + "1")
