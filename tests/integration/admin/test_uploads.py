"""The script that shows the progress of uploads, and the answers that it gets."""

import re

import pytest

from tests.support.images import encode

PNG = ("sea.png", encode("PNG"))
SCRIPTED = {"x-stored-files": "1"}


@pytest.fixture(params=["tracked"])
def kind_of_session(request):
    return request.param


async def create(panel, headers, photo=PNG, **fields):
    data = {"title": "Sea", **fields}
    return await panel.client.post(panel.create_path(), data=data, files=[("photo", photo)], headers=headers)


async def test_forms_load_the_script(panel):
    form = (await panel.client.get(panel.create_path())).text
    [address] = set(re.findall(r'<script type="module" src="([^"]*)"></script>', form))
    answer = await panel.client.get(address)
    assert answer.headers["content-type"].partition(";")[0] == "text/javascript"
    assert answer.text.startswith("// Shows how much of a form with files was sent.")
    assert (await panel.client.get(panel.create_path().replace("create", "list"))).text.count(address) == 0


async def test_the_script_is_told_where_a_redirect_leads(panel):
    ordinary = await create(panel, {})
    told = await create(panel, SCRIPTED)
    assert (told.status_code, told.content, told.headers.get("location")) == (204, b"", None)
    assert told.headers["x-stored-files-location"] == ordinary.headers["location"]
    assert (
        told.headers.get("set-cookie", "").partition("=")[0] == ordinary.headers.get("set-cookie", "").partition("=")[0]
    )


async def test_a_refusal_is_the_page_that_it_was(panel):
    page = ("page.png", b"<html>")
    ordinary, scripted = await create(panel, {}, page), await create(panel, SCRIPTED, page)
    assert scripted.status_code == ordinary.status_code >= 400
    assert "page.png: the content is text/html, which is not allowed" in scripted.text
