"""The parser of forms, however they are cut, and whatever they hold."""

import pytest

from async_storages.errors import InvalidArgumentException
from async_storages.receiving.multipart_parser import PART_END, FormParser, PartHead, part_head
from tests.support.forms import CONTENT_TYPE, field, file, form, part


def parsed(body, step=None):
    """The parts of a form that arrives in pieces of `step` bytes, each as its head and its bytes."""
    parser, parts = FormParser(CONTENT_TYPE), []
    step = step or max(1, len(body))
    for start in range(0, len(body), step):
        for event in parser.feed(body[start : start + step]):
            if isinstance(event, PartHead):
                parts.append([event, b"", False])
            elif event is PART_END:
                parts[-1][2] = True
            else:
                parts[-1][1] += event
    parser.finish()
    return [tuple(found) for found in parts]


NEARLY_ENDS = b"\r\n--test\r\n--tests\r--tests-\n--tests--"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, None])
def test_a_form_is_the_same_however_it_is_cut(step):
    body = form(field("title", "Söhne"), file(NEARLY_ENDS, "写真.jpg"), file(b"", "empty.bin"), file(b"", "", "avatar"))
    assert parsed(body, step) == [
        (PartHead("title", None), "Söhne".encode(), True),
        (PartHead("file", "写真.jpg"), NEARLY_ENDS, True),
        (PartHead("file", "empty.bin"), b"", True),
        (PartHead("avatar", ""), b"", True),
    ]


def test_what_follows_the_form_is_ignored():
    assert parsed(form(file(b"x")) + b"epilogue\r\n--tests\r\n", 5) == [(PartHead("file", "a.txt"), b"x", True)]


HEADS = {
    "bare": (b"form-data; name=file; filename=a.txt", "a.txt"),
    "no-blanks": (b'FORM-DATA;name="file";filename="a.txt"', "a.txt"),
    "semicolon-in-quotes": (b'form-data; name="file"; filename="a;b=c.txt"', "a;b=c.txt"),
    "escaped-quote": (rb'form-data; name="file"; filename="a\"b.txt"', 'a"b.txt'),
    "windows-path": (rb'form-data; name="file"; filename="C:\x\y.txt"', r"C:\x\y.txt"),
    "trailing-semicolon": (b'form-data; name="file"; filename="a.txt";', "a.txt"),
    "further-parameter": (b'form-data; size=3; name="file"; filename="a.txt"', "a.txt"),
}


@pytest.mark.parametrize(("disposition", "filename"), HEADS.values(), ids=HEADS)
def test_a_head_is_read_as_clients_write_it(disposition, filename):
    assert part_head(disposition) == PartHead("file", filename)


REFUSED_HEADS = {
    "nothing": b"",
    "attachment": b'attachment; name="file"',
    "no-name": b'form-data; filename="a.txt"',
    "two-filenames": b'form-data; name="file"; filename="a.txt"; filename="b.php"',
    "filename-and-star": b'form-data; name="file"; filename="a.txt"; filename*=UTF-8\'\'b.php',
    "star-alone": b"form-data; name=\"file\"; filename*=UTF-8''b.php",
    "continuation": b'form-data; name="file"; filename*0="a"; filename*1=".php"',
    "two-names-in-other-case": b'form-data; name="file"; NAME="other"',
    "unclosed-quote": b'form-data; name="file"; filename="a.txt',
    "junk-behind": b'form-data; name="file" junk',
    "not-utf-8": b'form-data; name="file"; filename="\xff.txt"',
    "many-quotes": b'form-data; name="' + b'\\"' * 2000,
}


@pytest.mark.parametrize("disposition", REFUSED_HEADS.values(), ids=REFUSED_HEADS)
def test_an_ambiguous_head_is_refused(disposition):
    with pytest.raises(InvalidArgumentException):
        part_head(disposition)


REFUSED_FORMS = {
    "empty": b"",
    "no-boundary-at-all": b"hello",
    "another-boundary": b"--other\r\n\r\n--other--\r\n",
    "1001-parts": form(*[field("a", "b")] * 1001),
    "cut-before-the-end": form(file(b"x"))[:-6],
    "cut-in-a-head": form(file(b"x"))[:40],
    "no-disposition": form(part(b"x", None)),
    "two-dispositions": form(part(b"x", 'form-data; name="a"', 'Content-Disposition: form-data; name="b"')),
    "base64": form(part(b"eA==", 'form-data; name="a"; filename="a"', "Content-Transfer-Encoding: base64")),
    "long-header": form(part(b"x", 'form-data; name="a"', f"X-Long: {'x' * 5000}")),
    "many-headers": form(part(b"x", 'form-data; name="a"', *[f"X-{number}: x" for number in range(20)])),
    "header-without-colon": form(part(b"x", 'form-data; name="a"', "nonsense\x00")),
}


@pytest.mark.parametrize("body", REFUSED_FORMS.values(), ids=REFUSED_FORMS)
@pytest.mark.parametrize("step", [7, None])
def test_a_malformed_form_is_refused(body, step):
    with pytest.raises(InvalidArgumentException):
        parsed(body, step)


def test_a_thousand_parts_are_allowed():
    assert len(parsed(form(*[field("a", "b")] * 1000))) == 1000


FORM = "multipart/form-data"


@pytest.mark.parametrize(
    "content_type",
    [
        *("", "application/json", "multipart/mixed; boundary=x", FORM, f"{FORM}; boundary="),
        *(f"{FORM}; boundary=x; boundary=y", f"{FORM}; boundary=x, {FORM}", f"{FORM}; boundary*=x"),
    ],
)
def test_what_is_no_form_is_refused(content_type):
    with pytest.raises(InvalidArgumentException):
        FormParser(content_type)


@pytest.mark.parametrize("content_type", ['MULTIPART/Form-Data;charset=utf-8;Boundary="tests"', CONTENT_TYPE + " ;"])
def test_a_form_is_known_however_it_is_called(content_type):
    assert FormParser(content_type).feed(form(field("a", "b")))


def test_a_boundary_that_is_too_long_is_refused():
    with pytest.raises(InvalidArgumentException):
        FormParser(f"multipart/form-data; boundary={'x' * 300}")
