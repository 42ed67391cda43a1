"""Bodies of requests, in one piece or in many."""

import pytest

from async_storages.backends.transport.body import Body

PIECE = 262_144


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        (b"", []),
        (b"1", [1]),
        (bytes(PIECE), [PIECE]),
        (bytes(2 * PIECE + 1), [PIECE, PIECE, 1]),
        ([b"12", b"", bytes(PIECE + 1)], [2, PIECE, 1]),
    ],
    ids=["empty", "small", "one", "large", "many"],
)
def test_a_body_gives_its_bytes_in_pieces(data, sizes):
    body = Body(data)
    views = [*body.views()]
    assert [*map(len, views)] == sizes
    assert body.size == sum(sizes)
    assert b"".join(views) == (data if isinstance(data, bytes) else b"".join(data))


def test_the_pieces_are_no_copies():
    content = bytes(PIECE + 1)
    assert all(view.obj is content for view in Body(content).views())


@pytest.mark.parametrize(("size", "expected"), [(0, True), (65_536, True), (65_537, False)])
def test_a_small_body_is_what_a_socket_takes_at_once(size, expected):
    assert Body(bytes(size)).is_small is Body([bytes(size)]).is_small is expected


def test_its_progress_can_be_put_back():
    body = Body(b"1")
    before = body.sent
    body.times_sent, body.was_sent = 1, True
    assert body.sent == (1, True)
    body.sent = before
    assert (body.times_sent, body.was_sent) == (0, False)
