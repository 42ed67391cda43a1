import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from async_storages.errors import AccessDeniedException, InvalidArgumentException
from async_storages.signing import LONGEST_EXPIRY, LastingSigner, TokenSigner, check_expires_in, signing_time

NOW = 1_800_000_000.75
PAYLOAD = {"key": "a/照片.txt", "max_size": 10}


@pytest.fixture
def clock(monkeypatch):
    """`clock(seconds)` sets the time to that many seconds after NOW."""

    def set_to(seconds):
        monkeypatch.setattr(time, "time", lambda: NOW + seconds)

    set_to(0)
    return set_to


@pytest.fixture
def signer():
    return TokenSigner("a secret", "tests")


@pytest.mark.parametrize("expires_in", [1, 1.5, 3600, LONGEST_EXPIRY])
def test_a_signature_ends_so_many_seconds_from_now(expires_in, clock):
    assert check_expires_in(expires_in) == datetime.fromtimestamp(NOW + expires_in, UTC)


@pytest.mark.parametrize(
    "expires_in",
    [0, 0.999, -1, LONGEST_EXPIRY + 0.001, 10**30, float("inf"), float("-inf"), float("nan"), "3600", None, b"1", 1j],
)
def test_an_expiry_out_of_range_is_refused(expires_in):
    with pytest.raises(InvalidArgumentException, match="must be 1 to 604800 seconds"):
        check_expires_in(expires_in)


def test_a_token_gives_back_what_was_signed(signer):
    token = signer.sign(PAYLOAD, check_expires_in(60))
    assert signer.verify(token) == PAYLOAD
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@pytest.mark.parametrize(("after", "is_valid"), [(0, True), (9.99, True), (10, True), (10.01, False), (1e9, False)])
def test_a_token_is_good_until_it_expires_to_the_fraction(after, is_valid, signer, clock):
    token = signer.sign(PAYLOAD, check_expires_in(10))
    clock(after)
    if is_valid:
        assert signer.verify(token) == PAYLOAD
    else:
        with pytest.raises(AccessDeniedException, match="has expired"):
            signer.verify(token)


def test_a_payload_cannot_prolong_itself(signer, clock):
    token = signer.sign({"exp": NOW + 1e9}, check_expires_in(10))
    clock(11)
    with pytest.raises(AccessDeniedException, match="has expired"):
        signer.verify(token)


def refused(signer, token):
    with pytest.raises(AccessDeniedException, match="the signature does not fit") as raised:
        signer.verify(token)
    assert raised.value.__cause__ is None  # what itsdangerous raises holds the token
    return True


def test_a_token_that_is_altered_anywhere_is_refused(signer):
    token = signer.sign(PAYLOAD, check_expires_in(60))
    for position, right in enumerate(token):
        for char in "AQgw9-_.~\n".replace(right, ""):  # some differ only in bits that Base64 ignores
            assert refused(signer, token[:position] + char + token[position + 1 :])
        assert refused(signer, token[:position] + token[position + 1 :])
        assert refused(signer, token[:position])
    for altered in (
        f"{token}=",
        f"{token}A",
        f"{token}\n",
        f" {token}",
        f"{token}.",
        f".{token}",
        f"{token}!",
        token * 2,
    ):
        assert refused(signer, altered)


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "a.b",
        "=.=",
        "ä.ö",
        "\ud800.\ud800",
        "\0",
        "." * 1_000_000,
        "A" * 1_000_000,
        None,
        7,
        1.5,
        [],
        {},
        b"a.b",
    ],
    ids=lambda token: ascii(token)[:12],
)
def test_what_is_no_token_is_refused(token, signer):
    assert refused(signer, token)


def test_the_bytes_of_a_token_are_no_token(signer):
    assert refused(signer, signer.sign(PAYLOAD, check_expires_in(60)).encode())


@pytest.mark.parametrize("payload", [["a", "list"], "text", None, 7, {}, {"exp": "tomorrow"}, {"exp": None}], ids=repr)
def test_what_the_key_signed_elsewhere_is_refused(payload, signer):
    assert refused(signer, signer._serializer.dumps(payload))


@pytest.mark.parametrize(
    "other", [TokenSigner("a secret", "other"), TokenSigner("another", "tests"), TokenSigner("a secret", "")]
)
def test_another_purpose_or_secret_is_refused(other, signer):
    assert refused(other, signer.sign(PAYLOAD, check_expires_in(60)))


def test_the_secret_alone_signs_nothing(signer):
    assert refused(signer, URLSafeSerializer("a secret").dumps({**PAYLOAD, "exp": time.time() + 60}))


def test_after_a_rotation_old_tokens_hold_until_their_secret_is_dropped():
    old, both, new = (TokenSigner(keys, "tests") for keys in ("old", ["old", "new"], ("new",)))
    before, after = (signer.sign(PAYLOAD, check_expires_in(60)) for signer in (old, both))
    assert both.verify(before) == both.verify(after) == new.verify(after) == PAYLOAD
    assert refused(new, before)
    assert refused(old, after)


@pytest.mark.parametrize(
    "secret", ["", [], (), ["good", ""], [""], b"bytes", [b"bytes"], [None], ["good", 7]], ids=repr
)
def test_a_secret_that_is_none_is_refused(secret):
    with pytest.raises(InvalidArgumentException, match="secret_key") as raised:
        TokenSigner(secret, "tests")
    assert "good" not in str(raised.value)


def test_no_repr_shows_the_secret(signer):
    assert "a secret" not in repr(signer)


# ---- stable signatures

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.floats(0, 4e9, allow_nan=False)
WINDOWS = st.integers(1, 86_400)


@given(moment=MOMENTS, window=WINDOWS, expires_in=st.integers(1, 500_000))
def test_a_stable_signature_lasts_as_long_as_asked_and_a_window_more_at_most(moment, window, expires_in):
    now = EPOCH + timedelta(seconds=moment)
    signed_at, good_for = signing_time(now, expires_in, timedelta(seconds=window))
    ends_at = signed_at + timedelta(seconds=good_for)
    assert timedelta(0) <= now - signed_at < timedelta(seconds=window)
    assert now + timedelta(seconds=expires_in) < ends_at <= now + timedelta(seconds=expires_in + window)
    assert signed_at.timestamp() % window == 0


@given(moment=MOMENTS, window=WINDOWS, later=st.floats(0, 1, exclude_max=True))
def test_signatures_of_a_window_are_made_at_one_time(moment, window, later):
    begun = moment // window * window
    made = [signing_time(EPOCH + timedelta(seconds=at), 60, timedelta(seconds=window)) for at in (begun, begun + later)]
    assert made[0] == made[1]


def test_without_a_window_the_time_stays_as_it_is():
    now = datetime(2026, 11, 30, 12, 0, 0, 5, tzinfo=UTC)
    assert signing_time(now, 60.5, None) == (now, 60.5)


@pytest.mark.parametrize(
    "stable", [timedelta(0), timedelta(seconds=0.5), timedelta(-1), timedelta(seconds=604_741), 600]
)
def test_a_window_that_cannot_be_is_refused(stable):
    with pytest.raises(InvalidArgumentException, match="stable must be a timedelta"):
        signing_time(datetime.now(UTC), 60, stable)


# ---- texts that are signed for good


def test_a_lasting_signature_is_the_same_each_time_and_of_one_text():
    signer = LastingSigner("a secret", "tests")
    signature = signer.sign("a/照片.png")
    assert signature == LastingSigner(["an old one", "a secret"], "tests").sign("a/照片.png")
    assert set(signature) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert len(signature) == 43
    assert signer.is_signed("a/照片.png", signature)
    assert LastingSigner(["a secret", "a new one"], "tests").is_signed("a/照片.png", signature)
    for other in (LastingSigner("another", "tests"), LastingSigner("a secret", "other tests")):
        assert not other.is_signed("a/照片.png", signature)
    assert not signer.is_signed("a/照片.pnG", signature)


@pytest.mark.parametrize("signature", ["", "x", "ä", "\udc80", ".", "=" * 43, "A" * 43, "A" * 10_000, "\0"])
def test_what_is_no_signature_is_none(signature):
    assert not LastingSigner("a secret", "tests").is_signed("text", signature)


def test_a_signature_has_one_spelling():
    signer = LastingSigner("a secret", "tests")
    signature = signer.sign("text")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [signature[:-1] + letter for letter in letters if signer.is_signed("text", signature[:-1] + letter)]
    assert same == [signature]
    assert not signer.is_signed("text", signature + "=")


@pytest.mark.parametrize("secret", ["", [], [""], None, 7])
def test_a_lasting_signature_needs_a_secret(secret):
    with pytest.raises((InvalidArgumentException, TypeError)):
        LastingSigner(secret, "tests")
