"""A source that can be read only once is refused the second time."""

import pytest

from async_storages import InvalidArgumentException
from async_storages.read_once import begin_reading, rememberable


class Chunks:
    """An iterator that Python can reference weakly."""

    def __iter__(self):
        return self

    def __next__(self):
        return b"x"


def generator():
    yield b"x"


@pytest.mark.parametrize("make", [Chunks, generator])
def test_the_second_reading_is_refused(make):
    source = rememberable(make())
    begin_reading(source)
    next(source)
    with pytest.raises(InvalidArgumentException, match=rf"this {type(source).__name__} can be read only once"):
        begin_reading(source)


def test_another_source_of_the_kind_is_read():
    for source in (Chunks(), Chunks()):
        begin_reading(source)


def test_an_iterator_without_weak_references_is_refused_when_it_gives_nothing():
    chunks = iter([b"a", b"b"])
    assert list(rememberable(chunks)) == [b"a", b"b"]
    with pytest.raises(InvalidArgumentException, match="list_iterator gives nothing, as if it was read before"):
        list(rememberable(chunks))
