"""Engines and previewers as JSON."""

import json
from dataclasses import dataclass

import pytest

from async_storages import ImageLimits, InvalidArgumentException
from async_storages.imaging.specifications import loaded, specified


@dataclass
class Nested:
    @dataclass
    class Inner:
        pass


def test_another_process_makes_an_object_like_it():
    limits = ImageLimits(formats=["jpeg"], timeout=3)
    assert loaded(json.loads(json.dumps(specified(limits)))) == limits


@pytest.mark.parametrize("thing", ["pillow", ImageLimits, object(), Nested.Inner()])
def test_what_no_other_process_can_make_is_refused(thing):
    with pytest.raises(InvalidArgumentException):
        specified(thing)


def test_a_class_of_the_program_itself_is_refused(monkeypatch):
    monkeypatch.setattr(Nested, "__module__", "__main__")
    with pytest.raises(InvalidArgumentException, match=r"cannot import __main__.Nested: put the class into a module"):
        specified(Nested())
