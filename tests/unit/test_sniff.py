import json
import mimetypes
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.sniff import ACTIVE_TYPES, UNKNOWN_TYPE, content_type, guess_by_name, sniff
from tests.support.corpus import disguised, image, samples, zipped

LABELS = sorted(samples())
DISGUISES = sorted(disguised())
TEXTS = {
    "prose": b"Dear reader,\n",
    "utf-8": "Größe 照片\n".encode(),
    "markup-further-down": b"hello <script>alert(1)</script>",
    "less-than": b"<- that way",
    "generic": b"<T, U> is a pair of types",
    "custom-element": b"<b-tree order='4'>",
    "html-in-a-name": b"<htmlish>",
    "rust-attribute": b"#![allow(dead_code)]\nfn main() {}\n",
    "BM-prose": b"BM is the abbreviation of bench mark, and more text so that it is long enough.",
    "MZ-prose": b"MZ built motorcycles in Zschopau.",
    "ID3-prose": b"ID3 tags are read by every player.",
    "II-prose": b"II. The second chapter",
    "PK-prose": b"PK is a primary key",
    "ftyp-prose": b"The ftyp box comes first.",
    "wide-prose": b"Statewide roads",
}


@pytest.mark.parametrize("label", LABELS)
def test_a_real_file_is_recognised(label):
    sample = samples()[label]
    assert sniff(sample.content) == sample.content_type
    assert sniff(sample.content[:4096]) == sample.content_type


@pytest.mark.parametrize("label", LABELS)
def test_an_honest_name_and_a_lying_one_store_what_the_bytes_show(label):
    sample = samples()[label]
    assert content_type(sample.content, f"upload{sample.extension}") == sample.content_type
    lie = "x.html" if sample.content_type != "text/html" else "x.png"
    assert content_type(sample.content, lie) == sample.content_type
    assert content_type(sample.content, None) == sample.content_type


@pytest.mark.parametrize("label", [label for label in LABELS if samples()[label].extension])
def test_the_extension_alone_says_the_same(label):
    sample = samples()[label]
    assert guess_by_name(f"Folder/NAME{sample.extension.upper()}") == sample.content_type


@pytest.mark.parametrize("label", DISGUISES)
def test_content_is_seen_through_its_disguise(label):
    content, expected = disguised()[label]
    assert sniff(content) == expected
    for name in ("cat.png", "notes.txt", "page.pdf", "noext", None):
        assert content_type(content, name) == expected


@pytest.mark.parametrize("head", TEXTS.values(), ids=TEXTS)
def test_prose_is_not_taken_for_anything_else(head):
    assert sniff(head) is None
    assert content_type(head, None) == "text/plain"
    assert content_type(head, "notes.md") == "text/markdown"


@pytest.mark.parametrize("head", [b"", b"\0", b"\xff", b"\x01\x02", b"<", b"\xff\xfb"])
def test_too_little_is_unknown(head):
    assert sniff(head) is None
    assert content_type(head, "cat.png") == UNKNOWN_TYPE


def test_nothing_at_all_is_no_text():
    assert content_type(b"", None) == UNKNOWN_TYPE
    assert content_type(b"", "empty.txt") == "text/plain"


def test_random_bytes_are_rarely_anything():
    source = random.Random(20260101)
    seen = [kind for _ in range(2000) if (kind := sniff(source.randbytes(512)))]
    assert len(seen) < 5, seen


CLAIMS = ["cat.png", "a.jpg", "a.webp", "a.pdf", "a.docx", "a.mp4", "a.zip", "a.xls", "a.svg", "a.woff2", "a.exe"]


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_that_the_bytes_would_have_proved_is_not_believed(name):
    assert content_type(b"\x01\x02 not what the name says", name) == UNKNOWN_TYPE
    assert content_type(b"plain text", name) == UNKNOWN_TYPE


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mp3", "audio/mpeg"),
        ("a.mpg", "video/mpeg"),
        ("a.tar", "application/x-tar"),
        ("a.iso", "application/x-iso9660-image"),
    ],
)
def test_a_claim_that_no_bytes_prove_is_believed(name, expected):
    assert content_type(b"\x01\x02", name) == expected


REFINED = {
    "docx": ("zip", "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "xlsx": ("zip", "a.XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "odt": ("zip", "a.odt", "application/vnd.oasis.opendocument.text"),
    "epub": ("zip", "a.epub", "application/epub+zip"),
    "jar": ("zip", "a.jar", "application/java-archive"),
    "apk": ("zip", "a.apk", "application/vnd.android.package-archive"),
    "doc": ("ole", "a.doc", "application/msword"),
    "xls": ("ole", "a.xls", "application/vnd.ms-excel"),
    "msg": ("ole", "a.msg", "application/vnd.ms-outlook"),
    "encrypted-docx": ("ole", "a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "tar-gz": ("gzip", "a.tar.gz", "application/gzip"),
    "svgz": ("gzip", "a.svgz", "image/svg+xml"),
    "m4a": ("mp4", "a.m4a", "audio/mp4"),
    "mp4-of-a-mac": ("quicktime", "a.mp4", "video/mp4"),
    "opus": ("ogg", "a.opus", "audio/opus"),
    "wma": ("wmv", "a.wma", "audio/x-ms-wma"),
    "mka": ("matroska", "a.mka", "audio/x-matroska"),
    "dng": ("image-tiff", "a.dng", "image/x-adobe-dng"),
    "keynote": ("zip", "a.key", "application/vnd.apple.keynote"),
    "visio": ("zip", "a.vsdx", "application/vnd.ms-visio.drawing"),
    "sony-heif": ("heic", "a.hif", "image/heif"),
    "geopackage": ("sqlite", "a.gpkg", "application/geopackage+sqlite3"),
}


@pytest.mark.parametrize(("label", "name", "expected"), REFINED.values(), ids=REFINED)
def test_an_extension_refines_its_container(label, name, expected):
    assert content_type(samples()[label].content, name) == expected


FOREIGN = {
    "zip-as-doc": ("zip", "a.doc", "application/zip"),
    "ole-as-epub": ("ole", "a.epub", "application/x-ole-storage"),
    "zip-as-png": ("zip", "a.png", "application/zip"),
    "gif-as-png": ("image-gif", "a.png", "image/gif"),
    "jpeg-as-svg": ("image-jpeg", "a.svg", "image/jpeg"),
    "mp4-as-mp3": ("mp4", "a.mp3", "video/mp4"),
    "gzip-as-html": ("gzip", "a.html", "application/gzip"),
}


@pytest.mark.parametrize(("label", "name", "expected"), FOREIGN.values(), ids=FOREIGN)
def test_an_extension_of_another_family_is_ignored(label, name, expected):
    assert content_type(samples()[label].content, name) == expected


XML = b'<?xml version="1.0"?>\n<rss version="2.0"/>'


@pytest.mark.parametrize(
    ("head", "name", "expected"),
    [
        (XML, "feed.rss", "application/rss+xml"),
        (XML, "track.gpx", "application/gpx+xml"),
        (XML, "page.html", "application/xml"),
        (XML, "a.svg", "image/svg+xml"),
        (b"<html>", "page.xhtml", "application/xhtml+xml"),
        (b"<html>", "README.md", "text/html"),
        (b"<svg/>", "a.xml", "image/svg+xml"),
        (b"#!/usr/bin/env python\n", "tool.py", "text/x-python"),
        (b"#!/usr/bin/env python\n", "tool.txt", "text/x-shellscript"),
        (b"<?php", "a.html", "text/x-php"),
        (b"<!-- licence -->\n<project>", "pom.xml", "application/xml"),
        (b"<!-- licence -->\n<project>", "pom", "application/xml"),
        (b"<!-- licence -->\n<table>", "layout.xml", "application/xml"),
        (b"<!-- " + b"x" * 5000, "licence.xml", "application/xml"),
        (b"<!-- " + b"x" * 5000, "licence.svg", "image/svg+xml"),
        (b"<!-- " + b"x" * 5000, "licence.md", "text/markdown"),
        (b"<!-- feed -->\n<rss>", "feed.rss", "application/rss+xml"),
        (b"<!-- page -->\n<x-app>", "page.html", "text/html"),
        (b"<!-- page -->\n<html>", "page.xml", "text/html"),
        (b"<!-- page -->\n<html>", "page.xhtml", "application/xhtml+xml"),
        (b"<h1 align='center'>Library</h1>", "README.md", "text/markdown"),
        (b"<p align='center'><img src='logo.png'>", "README.markdown", "text/markdown"),
        (b"<!-- badges -->\n# Library", "README.md", "text/markdown"),
        (b"<!-- badges -->\n<div>", "README.md", "text/markdown"),
        (b"<!-- badges -->\n<script>", "README.md", "text/html"),
        (b"<!-- badges -->\n<custom-thing>", "README.md", "text/markdown"),
        (b"<iframe src='x'>", "README.md", "text/html"),
        (b"<!doctype html>", "README.md", "text/html"),
        (b"<h1 align='center'>Library</h1>", "README.txt", "text/html"),
        (b"<h1 align='center'>Library</h1>", "README.json", "text/html"),
        (b"<h1 align='center'>Library</h1>", "README", "text/html"),
        (b"export const a: string = 'b'\n", "module.ts", "text/plain"),
        (b"export const a: string = 'b'\n", "module.mts", "text/plain"),
        (b"G" * 1000, "module.ts", "text/plain"),
        (b"-----BEGIN PRIVATE KEY-----\n", "server.key", "text/plain"),
        (b"\x01\x02", "broken.ts", UNKNOWN_TYPE),
        (b"body {}", "a.css", "text/css"),
        (b"<p>fragment", "a.html", "text/html"),
        (b"fragment", "a.html", "text/html"),
        (b'{"a": 1}', "a.json", "application/json"),
        (b"a,b\n", "data.unheard-of", "text/plain"),
        (b"a\0b", "data.unheard-of", UNKNOWN_TYPE),
        ("日".encode() * 1366, None, "text/plain"),
    ],
)
def test_text_and_its_extension(head, name, expected):
    assert content_type(head, name) == expected


def test_an_mp3_needs_a_second_frame():
    frame = b"\xff\xfb\x90\x64" + bytes(413)
    assert sniff(frame) is None
    assert sniff(frame + b"\xff\xfb") == "audio/mpeg"
    padded = b"\xff\xfb\x92\x64" + bytes(414)
    assert sniff(padded + b"\xff\xfb") == "audio/mpeg"


@pytest.mark.parametrize(
    "header", [b"\xff\xf3\x84\xc4", b"\xff\xe3\x18\xc4"], ids=["mpeg-2-64-kbit-24-kHz", "mpeg-2.5-8-kbit-8-kHz"]
)
def test_an_mp3_of_a_low_sampling_rate(header):
    length = {0xF3: 192, 0xE3: 72}[header[1]]
    assert sniff((header + bytes(length - 4)) * 2) == "audio/mpeg"


@pytest.mark.parametrize("header", ["ff eb 90 64", "ff fb f0 64", "ff fb 00 64", "ff fb 9c 64", "ff fd 90 64"])
def test_reserved_values_are_no_mp3(header):
    assert sniff((bytes.fromhex(header) + bytes(413)) * 9) is None


AC3_48_KHZ = b"\x0b\x77\xa1\xb2\x14\x40" + bytes(762)


@pytest.mark.parametrize("name", ["a.ts", "a.mts", "A.M2TS", None])
def test_a_transport_stream_is_one_under_each_name(name):
    assert content_type(samples()["transport-stream"].content, name) == "video/mp2t"


def test_ac3_needs_a_second_frame():
    assert sniff(AC3_48_KHZ) is None
    assert sniff(AC3_48_KHZ + b"\x0b\x77") == "audio/ac3"


@pytest.mark.parametrize("header", ["0b 77 a1 b2 d4 40", "0b 77 a1 b2 26 40", "0b 77 a1 b2 14 48", "0b 77 c0 ff 3f 86"])
def test_reserved_values_are_no_ac3(header):
    assert sniff((bytes.fromhex(header) + bytes(762)) * 5) is None


@pytest.mark.parametrize("packets", [1, 2])
def test_a_transport_stream_needs_three_packets(packets):
    packet = b"\x47\x40\x11\x10" + bytes(184)
    assert sniff(packet * packets) is None
    assert sniff(packet * 3) == "video/mp2t"
    assert sniff(packet * 3 + b"\0" * 188) is None


def test_a_pdf_further_down_than_readers_look_is_none():
    assert sniff(b"\x01" * 1019 + b"%PDF-1.4") == "application/pdf"
    assert sniff(b"\x01" * 1020 + b"%PDF-1.4") is None


def test_the_machine_has_no_say_in_what_an_extension_means():
    mimetypes.add_type("text/evil", ".png")
    try:
        assert guess_by_name("a.png") == "image/png"
    finally:
        mimetypes.init()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("README", UNKNOWN_TYPE),
        (".png", UNKNOWN_TYPE),
        ("a.", UNKNOWN_TYPE),
        ("folder.png/a", UNKNOWN_TYPE),
        ("data:text/html,x", UNKNOWN_TYPE),
        ("backup.tar.bz2", "application/x-bzip2"),
        ("module.ts", UNKNOWN_TYPE),
        ("clip.MTS", UNKNOWN_TYPE),
        ("server.key", UNKNOWN_TYPE),
        ("table.parquet", "application/vnd.apache.parquet"),
        ("照片.JPG", "image/jpeg"),
        ("", UNKNOWN_TYPE),
    ],
)
def test_guessing_by_name(name, expected):
    assert guess_by_name(name) == expected


def test_the_types_browsers_execute():
    assert {"text/html", "image/svg+xml", "application/xhtml+xml", "application/xml", "text/xml"} <= ACTIVE_TYPES
    assert {"text/javascript", "application/rss+xml"} <= ACTIVE_TYPES
    assert not {"image/png", "text/plain", "application/pdf", UNKNOWN_TYPE, "application/zip"} & ACTIVE_TYPES


NAMES = st.none() | st.text(max_size=8) | st.sampled_from(["a.png", "a.svgz", "a.xml", "a.txt", "a.docx", "a.php"])
OPENINGS = st.sampled_from([b"", b"<", b"<?xml ?>", b"<!--", b"\xff\xfe", b"\0\0\0\x18ftyp", b"MZ", b"\xff\xfb", b"#!"])


@given(OPENINGS, st.binary(max_size=64), NAMES)
def test_no_bytes_and_no_name_raise_and_active_content_stays_active(opening, rest, name):
    head = opening + rest
    stored = content_type(head, name)
    assert "/" in stored
    if sniff(head) in ACTIVE_TYPES:
        assert stored in ACTIVE_TYPES


@given(st.sampled_from(DISGUISES), st.binary(), st.sampled_from(["a.svgz", "a.xml", "a.rss", "a.js", "a.xhtml"]))
def test_no_extension_and_no_tail_calm_active_content(label, tail, name):
    content, expected = disguised()[label]
    assert content_type(content + tail, name) in ACTIVE_TYPES or expected not in ACTIVE_TYPES


def test_other_buffers_than_bytes_are_read_too():
    content = image("PNG")
    assert sniff(bytearray(content)) == sniff(memoryview(content)) == "image/png"


def test_what_is_nested_does_not_matter():
    assert content_type(zipped({"evil.html": b"<script>"}), "a.json") == "application/zip"
    assert content_type(json.dumps({"html": "<html>"}).encode(), "a.json") == "application/json"
