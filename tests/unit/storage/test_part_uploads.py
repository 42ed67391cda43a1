"""Which parts a file can be made of."""

import pytest

from async_storages import FileTooLargeException, InvalidArgumentException, StoredPart
from async_storages.storage.part_uploads import MAX_PARTS, check_number, check_part_size, chosen_parts, largest_part

MIB = 1 << 20
THERE = [StoredPart(1, 5 * MIB, "a"), StoredPart(2, 6 * MIB, "b"), StoredPart(3, 1, "c")]


def test_the_parts_are_chosen_in_order():
    assert chosen_parts(THERE, {3: "c", 1: '"a"', 2: "b"}, None) == THERE
    assert chosen_parts(THERE, {2: "b", 3: "c"}, 6 * MIB + 1) == THERE[1:]


@pytest.mark.parametrize("etags", [{}, {4: "d"}, {1: "a", 4: "d"}, {1: "other"}], ids=str)
def test_parts_that_have_not_arrived_as_they_were_sent_are_refused(etags):
    with pytest.raises(InvalidArgumentException, match="send it again"):
        chosen_parts(THERE, etags, None)


def test_a_small_part_is_allowed_at_the_end_only():
    with pytest.raises(InvalidArgumentException, match="part 3 has 1 bytes: each part but the last has at least 5 MiB"):
        chosen_parts([*THERE, StoredPart(4, 5 * MIB, "d")], {3: "c", 4: "d"}, None)


def test_a_file_above_its_limit_is_refused():
    with pytest.raises(FileTooLargeException, match="larger than the 5242880 bytes allowed"):
        chosen_parts(THERE, {1: "a", 3: "c"}, 5 * MIB)


@pytest.mark.parametrize("number", [1, MAX_PARTS])
def test_numbers_of_parts_are_returned(number):
    assert check_number(number) == number


@pytest.mark.parametrize("number", [0, -1, MAX_PARTS + 1, "1", 1.0, None])
def test_numbers_that_no_part_can_have_are_refused(number):
    with pytest.raises(InvalidArgumentException, match=f"from 1 to {MAX_PARTS}, not {number!r}"):
        check_number(number)


def test_a_part_has_at_most_what_the_ones_before_leave():
    assert largest_part(3, 12 * MIB) == 2 * MIB
    check_part_size(2 * MIB, 2 * MIB)
    check_part_size(None, 1)
    with pytest.raises(FileTooLargeException, match="left to it"):
        check_part_size(2 * MIB + 1, 2 * MIB)
