import email.message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.content_disposition import content_disposition
from async_storages.errors import InvalidArgumentException
from async_storages.naming import clean_filename
from tests.support.corpus import HOSTILE_NAMES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a b.pdf", 'attachment; filename="a b.pdf"'),
        ("a;b,'c'=d.pdf", "attachment; filename=\"a;b,'c'=d.pdf\""),
        ("Söhne.pdf", "attachment; filename=\"Sohne.pdf\"; filename*=UTF-8''S%C3%B6hne.pdf"),
        ("照片.jpg", "attachment; filename=\"__.jpg\"; filename*=UTF-8''%E7%85%A7%E7%89%87.jpg"),
        ("a%41.png", "attachment; filename=\"a_41.png\"; filename*=UTF-8''a%2541.png"),
        ("＂a≮.png", "attachment; filename=\"_a_.png\"; filename*=UTF-8''%EF%BC%82a%E2%89%AE.png"),
        ('a"\r\nSet-Cookie: b=c', 'attachment; filename="a_Set-Cookie_ b=c"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("", 'attachment; filename="file"'),
    ],
)
def test_content_disposition(name, value):
    assert content_disposition(name) == value


def test_content_disposition_inline():
    assert content_disposition("a.png", "inline") == 'inline; filename="a.png"'


@pytest.mark.parametrize("disposition", ["", "Inline", "attachment\r\nX: y", "form-data", None, ["inline"]])
def test_another_disposition_is_refused(disposition):
    with pytest.raises(InvalidArgumentException, match="inline") as refusal:
        content_disposition("a.png", disposition)
    assert "\n" not in str(refusal.value)


@given(st.sampled_from(sorted(HOSTILE_NAMES.values())) | st.text())
def test_a_browser_reads_the_name_out_of_the_header(name):
    value = content_disposition(name)
    assert value.isascii()
    assert value.isprintable()
    message = email.message.Message()
    message["Content-Disposition"] = value
    assert message.get_content_disposition() == "attachment"
    plain, _, extended = value.removeprefix('attachment; filename="').partition("\"; filename*=UTF-8''")
    assert (unquote(extended) or plain.removesuffix('"')) == clean_filename(name)
    assert '"' not in plain.removesuffix('"')
