"""Tokens for files: whom they let do what, and until when."""

import time
from datetime import UTC, datetime

import pytest

from async_storages.errors import AccessDeniedException, InvalidArgumentException
from async_storages.file_tokens import FileTokens
from async_storages.signing import TokenSigner

FAR = datetime(2100, 1, 1, tzinfo=UTC)
ID = "s3:photos/cat.jpg"


@pytest.mark.parametrize(("made_for", "asked"), [("read", "read"), ("manage", "manage"), ("manage", "read")])
def test_a_token_gives_the_file_it_was_made_for(made_for, asked):
    tokens = FileTokens("secret")
    assert tokens.file_id(tokens.sign(ID, made_for), asked) == ID


REFUSED = {
    "lesser-right": (lambda tokens: tokens.sign(ID, "read"), "manage", None),
    "raw-id": (lambda _: ID, "read", None),
    "empty": (lambda _: "", "read", None),
    "altered": (lambda tokens: tokens.sign(ID)[:-1] + "?", "read", None),
    "another-secret": (lambda _: FileTokens("other").sign(ID), "read", None),
    "another-purpose": (lambda _: TokenSigner("secret", "LocalStorage /files").sign({"id": ID}, FAR), "read", None),
    "another-owner": (lambda tokens: tokens.sign(ID, owner="anna"), "read", "ben"),
    "nobody-known": (lambda tokens: tokens.sign(ID, owner="anna"), "read", None),
}


@pytest.mark.parametrize(("token", "right", "owner"), REFUSED.values(), ids=REFUSED)
def test_a_token_that_does_not_fit_is_refused(token, right, owner):
    tokens = FileTokens("secret")
    with pytest.raises(AccessDeniedException):
        tokens.file_id(token(tokens), right, owner=owner)


def test_a_token_ends(monkeypatch):
    tokens = FileTokens("secret", expires_in=60)
    token = tokens.sign(ID)
    later = time.time() + 61
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(AccessDeniedException, match="expired"):
        tokens.file_id(token)


def test_an_owner_may_use_a_token_that_is_everybodys():
    tokens = FileTokens("secret")
    assert tokens.file_id(tokens.sign(ID), owner="anna") == ID


def test_secrets_rotate():
    old, both = FileTokens("old"), FileTokens(["old", "new"])
    assert both.file_id(old.sign(ID)) == ID
    with pytest.raises(AccessDeniedException):
        old.file_id(both.sign(ID))


@pytest.mark.parametrize(
    "make",
    [
        lambda: FileTokens(""),
        lambda: FileTokens("secret", expires_in=0),
        lambda: FileTokens("secret", expires_in=604_801),
        lambda: FileTokens("secret").sign(ID, "write"),
    ],
    ids=["no-secret", "no-time", "too-long", "unknown-right"],
)
def test_what_cannot_be_is_refused_at_once(make):
    with pytest.raises(InvalidArgumentException):
        make()
