import pytest

from async_storages.errors import FileTooLargeException
from async_storages.size_limits import check_size


@pytest.mark.parametrize(("size", "limit"), [(0, 0), (10, 10), (1 << 60, None)])
def test_a_size_within_the_limit_is_let_in(size, limit):
    check_size(size, limit)


@pytest.mark.parametrize(("size", "limit"), [(1, 0), (11, 10)])
def test_a_larger_one_is_a_413_that_names_the_limit(size, limit):
    with pytest.raises(FileTooLargeException, match=f"larger than the {limit} bytes allowed") as refusal:
        check_size(size, limit)
    assert refusal.value.http_status == 413
