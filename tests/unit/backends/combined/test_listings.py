"""Two sorted listings become one, whatever is in them, and are closed with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages import FileBasicInfo
from async_storages.backends.combined.listings import paired


class Listing:
    """The files with these keys, told by one side; notes that it was closed."""

    def __init__(self, side, keys):
        self.side, self.keys, self.is_closed = side, keys, False

    async def __aiter__(self):
        try:
            for key in self.keys:
                yield FileBasicInfo(file_id=f"mem:{key}", file_name=key, file_size=self.side)
        finally:
            self.is_closed = True


@given(st.sets(st.text("ab/-", max_size=3)), st.sets(st.text("ab/-", max_size=3)))
async def test_each_file_comes_once_in_order(one, other):
    pairs = [pair async for pair in paired(Listing(1, sorted(one)), Listing(2, sorted(other)))]
    keys = [(ours or theirs).file_name for ours, theirs in pairs]
    assert keys == sorted(one | other)
    assert {ours.file_name for ours, _ in pairs if ours} == one
    assert {theirs.file_name for _, theirs in pairs if theirs} == other
    assert {(ours.file_size, theirs.file_size) for ours, theirs in pairs if ours and theirs} <= {(1, 2)}


@given(st.lists(st.sampled_from("abcd"), unique=True), st.lists(st.sampled_from("abcd"), unique=True))
async def test_nothing_is_left_out_where_a_server_lists_out_of_order(one, other):
    pairs = [pair async for pair in paired(Listing(1, one), Listing(2, other))]
    assert [ours.file_name for ours, _ in pairs if ours] == one
    assert [theirs.file_name for _, theirs in pairs if theirs] == other


async def test_both_are_closed_when_one_is_left():
    listings = Listing(1, "abc"), Listing(2, "abc")
    pairs = paired(*listings)
    await anext(pairs)
    await pairs.aclose()
    assert [each.is_closed for each in listings] == [True, True]


async def test_an_error_of_one_surfaces_and_closes_the_other():
    class Broken(Listing):
        async def __aiter__(self):
            raise OSError(self.side)
            yield

    listing = Listing(1, "abc")
    with pytest.raises(OSError, match="2"):
        await anext(paired(listing, Broken(2, "")))
    assert listing.is_closed
