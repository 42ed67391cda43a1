"""The token that FastDFS's nginx module checks."""

import pytest

from async_storages.backends.fastdfs.token import anti_leech_token
from async_storages.errors import InvalidArgumentException

PATH = "M00/00/20/fwAAAWsCGCKAJhtIAAAAA9er2IM886.log"
SECRET = "FastDFS1234567890"


@pytest.mark.parametrize(
    ("path", "secret", "timestamp", "token"),
    [
        (PATH, SECRET, 1700000000, "21ccf8723695a2b95be0196420d04dea"),  # as the C function gives it
        ("", "", 0, "cfcd208495d565ef66e7dff9f98764da"),  # the MD5 of "0"
        ("a", "é", 1, "e1398d5547523452f69ec114b02617fd"),
    ],
    ids=["real", "nothing", "UTF-8"],
)
def test_vectors(path, secret, timestamp, token):
    assert anti_leech_token(path, secret, timestamp) == token


def test_everything_counts():
    changed = [(PATH[:-1], SECRET, 1), (PATH, SECRET.lower(), 1), (PATH, SECRET, 2), (f"group1/{PATH}", SECRET, 1)]
    tokens = {anti_leech_token(*each) for each in [(PATH, SECRET, 1), *changed]}
    assert len(tokens) == 5


@pytest.mark.parametrize("letter", ["s", "é"])
def test_the_longest_is_320_bytes_with_12_for_the_time(letter):
    room = 320 - 12 - len(PATH)
    longest = letter * (room // len(letter.encode()))
    assert len(anti_leech_token(PATH, longest, 1700000000)) == 32
    with pytest.raises(InvalidArgumentException, match="too long for a token") as caught:
        anti_leech_token(PATH, longest + letter, 1700000000)
    assert longest not in str(caught.value)
