"""Scanners that cannot be made; tests/integration/scanning asks the real clamd."""

import pytest

from async_storages import InvalidArgumentException
from async_storages.scanning.clamd import ClamdScanner


@pytest.mark.parametrize(
    "address", ["", "localhost", "localhost:", "a:b", "[::1", "http://a:1", "a:1/b", "u@a:1", "a:0"]
)
def test_an_address_that_cannot_be_is_refused(address):
    with pytest.raises(InvalidArgumentException, match="address"):
        ClamdScanner(address)


@pytest.mark.parametrize("option", ["max_size", "timeout", "connect_timeout"])
def test_a_limit_that_cannot_be_is_refused(option):
    with pytest.raises(InvalidArgumentException, match=option):
        ClamdScanner(**{option: 0})
