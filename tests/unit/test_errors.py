import copy
import inspect
import pickle
import re

import pytest

from async_storages import errors
from async_storages.errors import (
    FileNotFoundException,
    InvalidArgumentException,
    StorageException,
    StorageOperationException,
    StorageUnavailableException,
    during,
)

CLASSES = sorted(
    (value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, StorageException)),
    key=lambda value: value.__name__,
)
each_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def drawn_tree():
    """(name, parent, remark) of every line of the drawing in the module's docstring."""
    above = []
    for line in errors.__doc__.split("```")[1].strip().splitlines():
        indent, name, remark = re.fullmatch(r"([│├└─ ]*)(\w+) \((.*)\)", line).groups()
        del above[len(indent) // 4 :]
        yield name, above[-1] if above else None, remark
        above.append(name)


def test_the_drawing_is_the_tree():
    drawn = {name: (parent, int(remark.split(",")[0])) for name, parent, remark in drawn_tree()}
    real = {
        kind.__name__: (None if kind is StorageException else kind.__bases__[0].__name__, kind.http_status)
        for kind in CLASSES
    }
    assert drawn == real
    warnings = {name for name in errors.__all__ if name.endswith("Warning")}
    assert {kind.__name__ for kind in CLASSES} | {"during"} | warnings == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), UserWarning) for name in warnings)


def test_the_drawing_names_the_builtins_that_catch_them_too():
    remarks = {name: remark for name, _, remark in drawn_tree()}
    for kind in CLASSES:
        foreign = [base.__name__ for base in kind.__bases__[1:]]
        assert foreign == re.findall(r"also (?:the builtin )?(\w+)", remarks[kind.__name__])
    with pytest.raises(FileNotFoundError):
        raise FileNotFoundException("gone")
    with pytest.raises(ValueError):
        raise InvalidArgumentException("wrong")


@each_class
def test_each_carries_what_it_says(kind):
    error = kind("the reason", operation="stat", file_id="mem:a.txt")
    assert (error.operation, error.file_id, error.reason) == ("stat", "mem:a.txt", "the reason")
    assert str(error) == "stat 'mem:a.txt': the reason"


@each_class
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["copy", "deep", "pickle"],
)
def test_each_survives_copying_and_pickling(kind, duplicate):
    error = kind("the reason", operation="stat", file_id="mem:a.txt")
    error.add_note("a note")
    twin = duplicate(error)
    assert type(twin) is kind
    assert (str(twin), twin.__dict__, twin.args) == (str(error), error.__dict__, error.args)


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({}, "why"),
        ({"operation": "stat"}, "stat: why"),
        ({"file_id": "mem:x"}, "'mem:x': why"),
        ({"operation": "stat", "file_id": ""}, "stat '': why"),
        ({"file_id": "a\r\nSet-Cookie: b"}, r"'a\r\nSet-Cookie: b': why"),
        ({"file_id": "\x1b[31m\u202egnp\ud800"}, r"'\x1b[31m\u202egnp\ud800': why"),
        ({"file_id": "a" * 200}, f"'{'a' * 200}': why"),
        ({"file_id": "a" * 1_000_000}, f"'{'a' * 200}'…: why"),
        ({"file_id": 7}, "'7': why"),
        ({"file_id": "file:Söhne/照片.jpg"}, "'file:Söhne/照片.jpg': why"),
    ],
    ids=["nothing", "operation", "id", "empty-id", "header", "terminal", "longest", "huge", "no-str", "not-ascii"],
)
def test_the_message_shows_what_is_known_and_no_hostile_character(known, text):
    assert str(StorageException("why", **known)) == text


def test_during_completes_what_is_missing():
    with pytest.raises(StorageException) as raised, during("write", "mem:x"):
        raise StorageUnavailableException("down")
    assert str(raised.value) == "write 'mem:x': down"


@pytest.mark.parametrize("file_id", ["mem:inner", ""])
def test_during_never_overwrites(file_id):
    with pytest.raises(StorageException) as raised, during("outer", "mem:outer"), during("inner", None):
        raise StorageOperationException("why", file_id=file_id)
    assert (raised.value.operation, raised.value.file_id) == ("inner", file_id)


def test_during_lets_other_errors_and_results_pass():
    with pytest.raises(KeyError), during("write", "mem:x"):
        raise KeyError("x")
    with during("write", None):
        pass
