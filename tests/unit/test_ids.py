from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.errors import InvalidArgumentException
from async_storages.ids import FASTDFS, FileId, is_fusion_id, known_schemes, register_scheme, scheme_of

STORABLE = st.characters(exclude_categories=["Cs", "Cc"])
KEYS = st.text(STORABLE, min_size=1)
BUCKETS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1)
FASTDFS_ID = "group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("s3:my-bucket/reports/q3.pdf", ("s3", "my-bucket", "reports/q3.pdf")),
        ("gs:media/cat.jpg", ("gs", "media", "cat.jpg")),
        ("file:reports/q3.pdf", ("file", None, "reports/q3.pdf")),
        ("mem:cat.jpg", ("mem", None, "cat.jpg")),
        ("mem:s3:b/k", ("mem", None, "s3:b/k")),
        ("s3:b//k/", ("s3", "b", "/k/")),
        ("s3:b/a:b", ("s3", "b", "a:b")),
        (FASTDFS_ID, (FASTDFS, None, FASTDFS_ID)),
        ("group1/M00/00/00/a:b.pdf", (FASTDFS, None, "group1/M00/00/00/a:b.pdf")),
        ("plain.txt", (FASTDFS, None, "plain.txt")),
        ("12:30.txt", (FASTDFS, None, "12:30.txt")),
        ("照片.jpg", (FASTDFS, None, "照片.jpg")),
        (":x", (FASTDFS, None, ":x")),
    ],
)
def test_an_id_is_taken_apart_and_put_together(text, parts):
    found = FileId.parse(text)
    assert (found.scheme, found.bucket, found.key) == parts
    assert str(found) == text


@given(st.one_of(
    st.builds(FileId, st.sampled_from(["s3", "gs"]), BUCKETS, KEYS),
    st.builds(FileId, st.sampled_from(["file", "mem"]), st.none(), KEYS),
    st.builds(FileId, st.just(FASTDFS), st.none(), KEYS.filter(lambda key: scheme_of(key) is None)),
))  # fmt: skip
def test_what_is_put_together_is_taken_apart_again(file_id):
    assert FileId.parse(str(file_id)) == file_id


@given(st.text())
def test_any_text_is_an_id_or_a_clear_error(text):
    with suppress(InvalidArgumentException):
        assert str(FileId.parse(text)) == text


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("", "empty"),
        (None, "not NoneType"),
        (b"mem:x", "not bytes"),
        (7, "not int"),
        ("C:\\x", "unknown scheme 'C'"),
        ("c:/x", "unknown scheme 'c'"),
        ("http://host/x", "unknown scheme 'http'"),
        ("S3:bucket/key", "unknown scheme 'S3'"),
        ("fastdfs:group1/x", "unknown scheme 'fastdfs'"),
        ("s3:", "scheme:bucket/key"),
        ("s3:bucket", "scheme:bucket/key"),
        ("s3:bucket/", "scheme:bucket/key"),
        ("s3:/key", "scheme:bucket/key"),
        ("mem:", "scheme:key"),
        ("mem:\0", r"U\+0000"),
        ("mem:a\nb", r"U\+000A"),
        ("mem:\x7f", r"U\+007F"),
        ("mem:\ud800", r"U\+D800"),
        ("\udfff", r"U\+DFFF"),
        ("a" * 1_000_000 + ":", "unknown scheme 'aaa"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_id_is_refused_with_the_reason(bad, reason):
    with pytest.raises(InvalidArgumentException, match=reason) as refused:
        FileId.parse(bad)
    assert len(str(refused.value)) < 500


def test_a_huge_key_is_as_good_as_a_short_one():
    text = "mem:" + "a" * 1_000_000
    assert str(FileId.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "scheme", "is_fusion"),
    [
        ("s3:b/k", "s3", True),
        ("C:\\x", "C", False),
        ("a/b:c", None, False),
        (FASTDFS_ID, None, False),
        ("", None, False),
    ],
)
def test_only_a_known_scheme_makes_a_fusion_id(text, scheme, is_fusion):
    assert (scheme_of(text), is_fusion_id(text)) == (scheme, is_fusion)


def test_a_registered_scheme_is_part_of_the_grammar():
    """These stay known in this process."""
    register_scheme("azure", has_bucket=True)
    register_scheme("azure", has_bucket=True)  # twice is once
    register_scheme("x-y.z+1", has_bucket=False)
    assert {"azure", "x-y.z+1"} < set(known_schemes())
    assert FileId.parse("azure:box/key") == FileId("azure", "box", "key")
    assert FileId.parse("x-y.z+1:box/key") == FileId("x-y.z+1", None, "box/key")


@pytest.mark.parametrize("scheme", ["", "c", "S3", "1a", "a b", "a:", "a/b", "azure\n", "ä9"])
def test_what_could_not_be_read_again_cannot_be_a_scheme(scheme):
    with pytest.raises(InvalidArgumentException, match="cannot be a scheme"):
        register_scheme(scheme, has_bucket=False)


@pytest.mark.parametrize(("scheme", "has_bucket"), [("s3", False), ("mem", True), (FASTDFS, False), (FASTDFS, True)])
def test_a_scheme_keeps_its_shape(scheme, has_bucket):
    before = known_schemes()
    with pytest.raises(InvalidArgumentException, match="is taken"):
        register_scheme(scheme, has_bucket=has_bucket)
    assert known_schemes() == before


def test_ids_are_values():
    assert len({FileId.parse("mem:a"), FileId("mem", None, "a")}) == 1
    with pytest.raises(AttributeError):
        FileId("mem", None, "a").key = "b"
