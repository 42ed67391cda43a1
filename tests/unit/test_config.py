"""Settings: what is wrong is named, and nothing secret is shown."""

import pickle

import pytest

from async_storages.config import FastdfsConfig, validated
from async_storages.errors import InvalidArgumentException

SECRET = "hidden-from-all"
GOOD = {"tracker_servers": ["10.0.0.1:22122"]}
EVERYTHING = GOOD | {
    "connect_timeout": 1.5,
    "network_timeout": 60,
    "store_path_index": 254,
    "group": "group1",
    "url_base": "https://files.example.com",
    "secret_key": SECRET,
    "token_ttl": 900,
    "link_filename": "attname",
    "address_map": {"172.17.0.2": "fastdfs.example.com"},
}


def test_the_defaults():
    assert validated(FastdfsConfig, GOOD).model_dump() == GOOD | {
        "connect_timeout": 2.0,
        "network_timeout": 30.0,
        "store_path_index": -1,
        "group": None,
        "url_base": None,
        "secret_key": None,
        "token_ttl": None,
        "link_filename": "filename",
        "address_map": {},
    }


def test_all_that_can_be_said():
    config = validated(FastdfsConfig, EVERYTHING)
    assert config.model_dump() | {"secret_key": config.secret_key.get_secret_value()} == EVERYTHING


@pytest.mark.parametrize("servers", [["a", "b"], ("a", "b"), iter("ab")], ids=["list", "tuple", "iterator"])
def test_trackers_in_any_sequence(servers):
    assert validated(FastdfsConfig, {"tracker_servers": servers}).tracker_servers == ["a", "b"]


WRONG = {
    "tracker_servers": [[], SECRET, [1], [None], None, [SECRET.encode() + b"\xff"]],
    "connect_timeout": [0, -1, float("nan"), SECRET, None],
    "network_timeout": [0, -1, float("nan"), SECRET, None],
    "store_path_index": [-2, 255, 1.5, SECRET, None],
    "group": [1, [SECRET]],
    "url_base": [1, [SECRET]],
    "secret_key": ["", 1, [SECRET], {SECRET: SECRET}],
    "token_ttl": [0, -1, 1.5, SECRET],
    "link_filename": ["", SECRET, None],
    "address_map": [None, SECRET, [SECRET], {"10.0.0.1": 1}],
    "trackers": [SECRET],
}


@pytest.mark.parametrize(
    ("setting", "value"), [(setting, value) for setting, values in WRONG.items() for value in values], ids=str
)
def test_what_is_wrong_is_named_without_its_value(setting, value):
    with pytest.raises(InvalidArgumentException, match=rf"FastdfsConfig: {setting}[:.]") as caught:
        validated(FastdfsConfig, EVERYTHING | {setting: value})
    assert SECRET not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None


def test_all_that_is_wrong_is_named_at_once():
    with pytest.raises(InvalidArgumentException) as caught:
        validated(FastdfsConfig, {"connect_timeout": 0, "bucket": "a"})
    assert [part.partition(":")[0] for part in caught.value.reason.removeprefix("FastdfsConfig: ").split("; ")] == [
        "tracker_servers",
        "connect_timeout",
        "bucket",
    ]


def test_no_secret_is_shown():
    config = validated(FastdfsConfig, EVERYTHING)
    assert SECRET not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


def test_settings_do_not_change():
    config = validated(FastdfsConfig, EVERYTHING)
    with pytest.raises(ValueError, match="frozen"):
        config.group = "group2"
    assert pickle.loads(pickle.dumps(config)) == config
