"""The JSON of lists, to and fro; what databases find in it is in tests/integration/transactions/test_list_facts.py."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.dialects import sqlite

from async_storages import MemoryStorage
from async_storages.files import StoredFile, StoredImage
from async_storages.images.size import ImageSize
from async_storages.integrations.sqlalchemy import FileListType, ImageListType
from async_storages.integrations.sqlalchemy.columns.list_json import keep_facts, list_as_json, split_list

ALL = ("size", "content_type", "filename", "sha256", "uploaded_at", "width", "height", "placeholder")
TYPE = ImageListType(MemoryStorage(), facts=ALL)


def image(name, **facts):
    made = TYPE.coerce([name])[0]
    made.remember(**facts)
    return made


def bound(type_, files):
    return json.loads(json.dumps(type_.process_bind_param(files, sqlite.dialect())))


def loaded(type_, value):
    return type_.process_result_value(value, sqlite.dialect())


def test_all_facts_come_back():
    time = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    size = ImageSize(3, 4)
    known = {"size": 0, "content_type": "image/png", "filename": "Ä.png", "sha256": "ab", "placeholder": "cd"}
    written = bound(TYPE, [image("a.png", upload_time=time, image_size=size, **known), "b.png"])
    told = {**known, "uploaded_at": "2026-03-01T10:00:00+00:00", "width": 3, "height": 4}
    assert written == ["mem:a.png", "mem:b.png", {"mem:a.png": told}]
    one, other = loaded(TYPE, written)
    assert (one.known_size, one.content_type, one.filename, one.known_sha256) == (0, "image/png", "Ä.png", "ab")
    assert (one.known_upload_time, one.known_dimensions, one.known_placeholder) == (time, (3, 4), "cd")
    assert one.known_upload_time.tzinfo == UTC
    assert (other.known_size, other.known_dimensions) == (None, None)
    assert bound(TYPE, [one, other]) == written


def test_those_that_are_not_declared_are_not_written():
    files = [image("a.png", size=1, sha256="ab")]
    assert bound(FileListType(None), files) == ["mem:a.png"]
    assert bound(FileListType(None, facts=["size"]), files) == ["mem:a.png", {"mem:a.png": {"size": 1}}]


def test_a_file_that_is_named_twice_is_described_once():
    written = bound(TYPE, [image("a.png"), image("a.png", size=1), image("a.png", sha256="ab")])
    assert written == [*["mem:a.png"] * 3, {"mem:a.png": {"size": 1, "sha256": "ab"}}]
    assert [each.known_size for each in loaded(TYPE, written)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("items", "ids", "facts"),
    [
        ([], [], {}),
        (["a"], ["a"], {}),
        ([{}], [], {}),
        (["a", {"a": {"size": 1}}], ["a"], {"a": {"size": 1}}),
        (["a", {"a": {"size": 1}}, "b"], ["a", {"a": {"size": 1}}, "b"], {}),
        (["a", {"id": "b"}], ["a", {"id": "b"}], {}),
        (["a", None, 7, ["b"]], ["a", None, 7, ["b"]], {}),
    ],
)
def test_what_are_facts_and_what_is_none(items, ids, facts):
    assert split_list(items) == (ids, facts)


@pytest.mark.parametrize("value", [7, {"mem:a": {"size": 1}}, [7, {"id": "mem:a"}]])
def test_what_others_wrote_stays_as_it_is(value):
    assert loaded(TYPE, value) == (value if isinstance(value, list) else [value])


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": "big", "width": -1, "height": 4, "sha256": 7, "uploaded_at": "soon", "content_type": None},
        {"size": True, "width": "3", "height": [], "filename": {}, "uploaded_at": 7, "placeholder": 1.5},
        {"unknown": 1, "": {}},
    ],
)
def test_what_is_no_fact_is_passed_over(wrong):
    [file] = loaded(TYPE, ["mem:a.png", {"mem:a.png": wrong}])
    facts = file.known_size, file.known_content_type, file.known_filename, file.known_sha256
    assert (facts, file.known_dimensions, file.known_upload_time) == ((None,) * 4, None, None)


def test_a_time_without_a_zone_is_in_utc():
    [file] = loaded(TYPE, ["mem:a", {"mem:a": {"uploaded_at": "2026-03-01T10:00:00"}}])
    assert file.known_upload_time == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_files_keep_what_they_know_better():
    before = image("a", size=1, filename="old.png")
    one, new = image("a", size=2), image("b")
    keep_facts([one, new], [before], ["size", "filename"])
    assert (one.known_size, one.filename, new.known_size) == (2, "old.png", None)


def test_without_facts_there_is_no_object_after_the_ids():
    assert list_as_json(["mem:a"], [StoredFile("mem:a")], ALL) == ["mem:a"]
    assert list_as_json([None], [None], ALL) == [None]
    assert isinstance(loaded(TYPE, ["mem:a"])[0], StoredImage)
