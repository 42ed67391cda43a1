import pickle
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from async_storages.errors import InvalidArgumentException
from async_storages.naming import (
    check_key,
    clean_filename,
    clean_folder,
    clean_key,
    original_filename,
    unique_key,
)
from tests.support.corpus import GOOD_NAMES, HOSTILE_NAMES

CLEANED = {
    "traversal": "passwd",
    "windows-traversal": "x",
    "mixed-traversal": "x.png",
    "absolute": "passwd",
    "drive": "y.png",
    "share": "y.png",
    "dot": "file",
    "dots": "file",
    "three-dots": "file",
    "dots-and-blanks": "file",
    "nul-inside": "ab.png",
    "nul-extension": "x.exe",
    "nul-hides-extension": "a.php.png",
    "newline-extension": "a.php",
    "header-injection": "a.png_Set-Cookie_ owned=1",
    "double-quote": "a_b.png",
    "backslash-quote": "_b.png",
    "semicolon-comma": "a;b,c.png",
    "angle-brackets": "script_.html",
    "pipe-star-question": "a_b_c_.png",
    "right-to-left-override": "photo_gnp.exe",
    "zero-width": "a.png",
    "soft-hyphen-extension": "a.php",
    "line-separators": "ab.png",
    "c1-control": "ab.png",
    "device": "_CON",
    "device-with-extension": "_con.png",
    "device-two-extensions": "_nul.tar.gz",
    "device-blank": "_aux .txt",
    "device-port": "_COM1",
    "device-superscript": "_COM1",
    "device-console": "_CONIN$",
    "trailing-blank": "x.php",
    "trailing-dot": "x.php",
    "trailing-dots-and-blanks": "x",
    "no-break-space": "x.php",
    "hangul-filler": "file",
    "empty": "file",
    "blank": "file",
    "hidden": "htaccess",
    "very-long": "a" * 255,
    "very-long-extension": "a." + "b" * 253,
    "multibyte-at-the-limit": "a" * 249 + ".jpg",
    "multibyte-past-the-limit": "a" * 250 + ".jpg",
    "long-multibyte": "照" * 83 + ".jpg",
    "long-marks": "á" + "\u0301" * 124 + ".jpg",
    "long-blanks-to-a-device": "_con.png",
    "nfd": "café.png",
    "lone-surrogate": "a_.png",
    "surrogates-apart": "__.png",
    "noncharacter": "a___.png",
    "stream": "a.png_evil.exe",
    "scheme": "key.png",
    "url": "a.png_x=1#y",
    "fullwidth-traversal": "etc",
    "fullwidth-backslash": "etc",
    "small-forms": "etc",
    "two-dot-leader": "etc",
    "one-dot-leaders": "etc",
    "account-of": "cb",
    "fullwidth-php": "x.php",
    "mathematical-php": "x.php",
    "long-s": "x.js",
    "slashes": "file",
    "trailing-slash": "file",
    "inner-dots": "c.png",
    "template": "{{7_7}}${7_7}.png",
    "shell": "$(touch owned);`id`.png",
}


@pytest.mark.parametrize("label", HOSTILE_NAMES)
def test_a_hostile_name_becomes_one_safe_segment(label):
    assert clean_filename(HOSTILE_NAMES[label]) == CLEANED[label]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_good_name_comes_through_unchanged(name):
    assert clean_filename(name) == clean_key(name) == clean_folder(name) == check_key(name) == name
    assert original_filename(unique_key(name)) == name


PORTS = [f"{kind}{number}" for kind in ("com", "LPT") for number in range(10)]


@pytest.mark.parametrize("device", ["Con", "PRN", "aux", "NUL", "conin$", "CONOUT$", *PORTS])
def test_no_device_of_windows_is_opened(device):
    assert clean_filename(f"{device}.tar.gz") == f"_{device}.tar.gz"
    assert clean_key(f"a/{device}/b") == f"a/_{device}/b"
    for harmless in (f"{device}x", f"x{device}", f"{device}_.txt", f"a.{device}"):
        assert clean_filename(harmless) == harmless


def test_good_names_stay_distinct():
    assert len({clean_filename(name) for name in GOOD_NAMES}) == len(GOOD_NAMES)


def test_both_normal_forms_of_a_name_are_one():
    for name in ("Söhne.pdf", "가나다.txt", "≮ẛ.txt"):
        assert clean_filename(unicodedata.normalize("NFD", name)) == clean_filename(name)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("a/b/c.txt", "a/b/c.txt"),
        ("/a//b/./../c.txt/", "a/b/c.txt"),
        ("../../etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\con\\a.txt", "C_/Users/me/_con/a.txt"),
        ("．．／a／..b.／c ", "a/b/c"),
        ("a/\u200b/ /...../b", "a/b"),
        ("s3:bucket/key", "s3_bucket/key"),
        ("..", "file"),
        ("", "file"),
    ],
)
def test_a_key_is_cleaned_segment_by_segment(name, key):
    assert clean_key(name) == key
    assert clean_folder(name) == ("" if key == "file" else key)


def test_a_key_of_many_folders_keeps_its_name_and_the_leading_folders_that_fit():
    key = clean_key("/".join(["first", *["b" * 200] * 6, "c", "name.txt"]))
    assert key == "/".join(["first", *["b" * 200] * 5, "name.txt"])


@pytest.mark.parametrize("label", HOSTILE_NAMES)
def test_check_key_refuses_what_the_gate_changes_and_nothing_else(label):
    name = HOSTILE_NAMES[label]
    cleaned = clean_key(name)
    assert check_key(cleaned) == cleaned
    if cleaned != name:
        with pytest.raises(InvalidArgumentException) as refusal:
            check_key(name, operation="move")
        assert repr(cleaned) in refusal.value.reason
        assert "storage.get_name" in refusal.value.reason
        assert (refusal.value.operation, refusal.value.file_id) == ("move", name)
        assert str(pickle.loads(pickle.dumps(refusal.value))).isprintable()


@pytest.mark.parametrize(
    "name", ["con", "a/Con.txt", "nul /a", "a/com1./b", ".a", "a/.b", "a./b", " a", "a/b ", "a//b", "/a", "a/"]
)
def test_check_key_refuses_ascii_that_is_not_clean(name):
    assert clean_key(name) != name
    with pytest.raises(InvalidArgumentException):
        check_key(name)


@pytest.mark.parametrize("name", ["a", "cons/nullable.txt", "a/b c/d.e", "com/lpt", "a" * 255, "a/" * 120 + "a"])
def test_check_key_allows_ascii_that_is_clean(name):
    assert check_key(name) == clean_key(name) == name


def test_check_key_allows_1024_bytes():
    key = "/".join(["照" * 85] * 3 + ["照" * 84 + "a", "b"])
    assert len(key.encode()) == 1024 - 1
    key += "b"
    assert check_key(key) == key
    with pytest.raises(InvalidArgumentException, match=r"upload .*: a key is at most 1024 bytes"):
        check_key(key + "a")


def test_a_unique_key_is_new_every_time():
    keys = {unique_key("q3.pdf", "reports") for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        folder, name = key.split("/")
        prefix, rest = name.split("_")
        assert (folder, rest) == ("reports", "q3.pdf")
        assert len(prefix) == 16
        assert set(prefix) <= set("0123456789abcdef")


def test_a_unique_key_of_hostile_names_stays_in_its_folder():
    for name in HOSTILE_NAMES.values():
        key = unique_key(name, "../a/./b/")
        assert key.startswith("a/b/")
        assert key.count("/") == 2
        assert check_key(key) == key


def test_a_unique_key_shortens_the_name_and_keeps_its_extension():
    key = unique_key("照" * 200 + ".tar.gz")
    assert key.endswith("照.tar.gz")
    assert 250 < len(key.encode()) <= 255


def test_a_folder_that_leaves_no_room_for_a_name_is_refused():
    assert unique_key("a.txt", "f" * 255 + "/" + "g" * 255)
    with pytest.raises(InvalidArgumentException, match="1024 bytes"):
        unique_key("a.txt", "/".join(["f" * 255] * 4))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("reports/9f86d081884c7d65_q3.pdf", "q3.pdf"),
        ("9f86d081884c7d65_q3.pdf", "q3.pdf"),
        ("9f86d081884c7d65_0123456789abcdef_q3.pdf", "0123456789abcdef_q3.pdf"),
        ("9F86D081884C7D65_q3.pdf", "9F86D081884C7D65_q3.pdf"),
        ("9f86d081884c7d6_q3.pdf", "9f86d081884c7d6_q3.pdf"),
        ("9f86d081884c7d65_", "9f86d081884c7d65_"),
        ("9f86d081884c7d65_folder/q3.pdf", "q3.pdf"),
        ("group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin", "fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"),
        ("", ""),
    ],
)
def test_the_original_filename_of_a_key(key, name):
    assert original_filename(key) == name


@pytest.mark.parametrize("name", [None, b"a.png", 1, ["a.png"]])
@pytest.mark.parametrize("gate", [clean_filename, clean_key, clean_folder, check_key, unique_key])
def test_what_is_no_str_is_refused(gate, name):
    with pytest.raises(InvalidArgumentException, match=f"not {type(name).__name__}"):
        gate(name)


@pytest.mark.parametrize("limit", [-1, 0, 7, 256])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    with pytest.raises(InvalidArgumentException, match="8 to 255"):
        clean_filename("a", max_bytes=limit)


def test_a_letter_that_would_lose_its_marks_is_cut_off_with_them():
    assert clean_filename("a" * 250 + "q\u0323.jpg") == "a" * 250 + ".jpg"
    assert clean_filename("a" * 248 + "q\u0323.jpg") == "a" * 248 + "q\u0323.jpg"


def test_a_fallback_stands_in_for_nothing_and_passes_the_gate_itself():
    assert clean_filename("..", fallback="upload.bin") == "upload.bin"
    assert clean_filename("..", fallback="../a:b") == "a_b"
    assert clean_filename("..", fallback="..") == "file"


LONG = 5_000_000


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("x" * LONG + ".jpeg", "x.jpeg"),
        ("/" * LONG + "a.png", "a.png"),
        ("../" * LONG, "file"),
        ("a" + "\u0315\u0300\u0316\u0323" * LONG, "\u0323"),
        ("\u200b" * LONG + "a.png", "a.png"),
        ("a" + " " * LONG + ".png", "a.png"),
        ("照" * LONG, "照"),
        ("\ud800" * LONG, "_"),
    ],
    ids=["letters", "slashes", "dots", "marks", "zero-width", "blanks", "multibyte", "surrogates"],
)
def test_huge_input_is_cut_first(name, end):
    assert clean_filename(name).endswith(end)
    assert len(clean_filename(name).encode()) <= 255
    assert clean_key(name).endswith(end)


def test_every_character_that_folds_is_clean_after_one_pass():
    for code in range(0x110000):
        char = chr(code)
        special = code < 0x30000 and unicodedata.category(char)[0] in "CZ"
        if special or unicodedata.normalize("NFKC", char) != char:
            cleaned = clean_filename(f"a{char}b")
            assert clean_filename(cleaned) == cleaned
            assert cleaned.isprintable() or unicodedata.category(char) in {"Co", "Cn"}


# Surrogates, and the characters that the rules are about, far more often than chance would have them.
CHARACTERS = st.characters() | st.sampled_from(
    [*'/\\. .:_\0\r\n"%ac1', *"．／＼․ſ\u0301\u0338\u200b\u3164\ud800\uffff"]
)
ANYTHING = st.text(CHARACTERS, max_size=300) | st.sampled_from(sorted(HOSTILE_NAMES.values())) | st.text()


@given(ANYTHING, st.integers(8, 255))
@example("con" + " " * 300 + ".png", 8)
@example("a\u0301" * 200, 255)
@example("e\u200b\u0301.png", 255)
@example("nul." + "x" * 251, 255)
@example("照" * 5 + "." + "b" * 14, 8)
def test_the_gate_for_names_holds(name, limit):
    cleaned = clean_filename(name, max_bytes=limit)
    assert clean_filename(cleaned, max_bytes=limit) == clean_filename(cleaned) == clean_key(cleaned) == cleaned
    assert 0 < len(cleaned.encode()) <= limit
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not set('/\\:*?"<>|') & set(cleaned)
    assert cleaned.strip(" .") == cleaned
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in cleaned)
    folded = unicodedata.normalize("NFKC", cleaned)
    assert not {"/", "\\"} & set(folded)


@given(ANYTHING)
@example("/".join(["a" * 254] * 5))
@example("a/" * 2000)
@example("℀" * 600)
def test_the_gate_for_keys_holds(name):
    key = clean_key(name)
    assert clean_key(key) == clean_folder(key) == check_key(key) == key
    assert len(key.encode()) <= 1024
    assert all(clean_filename(segment) == segment for segment in key.split("/"))
    assert clean_folder(name) in ("", key)


@given(ANYTHING, st.text(CHARACTERS, max_size=30))
def test_a_unique_key_passes_the_gate_and_gives_the_name_back(name, folder):
    key = unique_key(name, folder)
    assert check_key(key) == key
    assert key.rpartition("/")[0] == clean_folder(folder)
    assert original_filename(key) == clean_filename(name, max_bytes=238)
