"""`examples/profiles` through a real uvicorn, on three databases with the sessions that people use there.

After each test every file has its row, and every row its file.
"""

import asyncio
import os
import subprocess
import sys
from types import SimpleNamespace

import httpx
import pytest
from alembic import command
from alembic.config import Config
from profiles import app, plain_app
from profiles.models import DOCUMENTS, PICTURES, Document, Profile
from sqlalchemy import create_engine, inspect, select

from async_storages import LocalStorage
from async_storages.cli import alembic_templates
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER as MARKS
from tests.integration.examples.conftest import EXAMPLES
from tests.support.images import encode
from tests.support.ledgers import pass_time
from tests.support.patience import HANGS, TIME_OUT
from tests.support.plain_sessions import plain_url
from tests.support.uvicorn_server import served

PNG, JPEG = encode("PNG", (40, 30)), encode("JPEG", (20, 50))
HTML = b"<!DOCTYPE html><script>alert(1)</script>"
KINDS = {
    "postgresql": SimpleNamespace(create_app=app.create_app, template="async"),
    "mariadb": SimpleNamespace(create_app=app.create_app, template="async"),
    "sqlite": SimpleNamespace(create_app=plain_app.create_app, template="generic"),
}


@pytest.fixture(params=KINDS)
def database(request):
    return request.param


@pytest.fixture
def database_url(request, database, tmp_path):
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'profiles.sqlite'}"
    return request.getfixturevalue({"postgresql": "postgres_database", "mariadb": "mariadb_database"}[database])


@pytest.fixture(scope="module")
def projects():
    """The folders with migrations, by database."""
    return {}


@pytest.fixture
def alembic_config(database, database_url, projects, tmp_path_factory):
    """Of an empty database, and migrations that were made once for each kind, as docs/how-to/alembic.md says."""
    if database not in projects:
        projects[database] = tmp_path_factory.mktemp(database)
        begin_migrations(projects[database], KINDS[database].template, database_url)
    return config_of(projects[database], database_url)


def begin_migrations(folder, template, database_url):
    config = Config(folder / "alembic.ini")
    command.init(config, str(folder / "migrations"), template=str(alembic_templates.folders()[template]))
    env = folder / "migrations" / "env.py"
    text = env.read_text()
    assert "\ntarget_metadata = None\n" in text
    models = "\nfrom profiles.models import Base\n\ntarget_metadata = Base.metadata\n"
    env.write_text(text.replace("\ntarget_metadata = None\n", models))
    command.revision(config_of(folder, database_url), "profiles", autogenerate=True)


def config_of(folder, database_url):
    config = Config(folder / "alembic.ini")
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


@pytest.fixture
def application(database, database_url, alembic_config, tmp_path):
    command.upgrade(alembic_config, "head")
    storage = LocalStorage(tmp_path / "files", base_url="/signed", secret_key="a secret of the tests")
    return KINDS[database].create_app(database_url, storage)


@pytest.fixture
async def client(application, database_url):
    """Somebody's browser."""
    async with served(application) as url:
        async with httpx.AsyncClient(base_url=url, follow_redirects=True, timeout=TIME_OUT) as client:
            yield client
        await drain(application)
        rows, files = await asyncio.to_thread(files_of_rows, database_url), await stored_files(application)
        assert files == rows


async def drain(application):
    """What the worker does within the hour; it sweeps nothing, as the application leaves nothing to be found."""
    await pass_time(application.state.ledger)
    await application.state.ledger.drain()


async def stored_files(application):
    [storage] = application.state.storage_manager.storages
    found = [info.file_id async for info in storage.list()]
    return sorted(file_id for file_id in found if f"{MARKS}/" not in file_id)


def files_of_rows(database_url):
    engine = create_engine(plain_url(database_url) if "+" in database_url else database_url)
    with engine.connect() as connection:
        named = [*connection.scalars(select(Profile.picture)), *connection.scalars(select(Document.file))]
    engine.dispose()
    return sorted(str(file) for file in named if file is not None)


async def add_profile(client, name="Ada", picture=None):
    files = {} if picture is None else {"picture": picture}
    return await client.post("/profiles", data={"name": name}, files=files)


async def put(client, path, **file):
    return await client.put(path, files=file)


# ---- profiles


async def test_a_picture_is_uploaded_served_replaced_and_cleared(client, application):
    created = (await add_profile(client, picture=("../Söhne.png", PNG))).json()
    assert (created["width"], created["height"]) == (40, 30)
    for url in (created["picture"], "/profiles/1/picture"):
        answer = await client.get(url)
        assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (200, PNG, "image/png")

    replaced = (await put(client, "/profiles/1/picture", picture=("ada.jpg", JPEG))).json()
    assert (replaced["width"], replaced["height"]) == (20, 50)
    assert (await client.get("/profiles/1/picture")).content == JPEG
    await drain(application)
    assert (await client.get(created["picture"])).status_code == 404

    assert (await client.delete("/profiles/1/picture")).status_code == 204
    await drain(application)
    assert (await client.get("/profiles/1/picture")).status_code == 404
    cleared = {"picture": None, "width": None, "height": None}
    assert (await client.get("/profiles/1")).json() == {"id": 1, "name": "Ada", "documents": [], **cleared}
    assert await stored_files(application) == []


async def test_ranges_and_conditions(client):
    await add_profile(client, picture=("ada.png", PNG))

    part = await client.get("/profiles/1/picture", headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, PNG[1:4], f"bytes 1-3/{len(PNG)}")
    beyond = await client.get("/profiles/1/picture", headers={"Range": f"bytes={len(PNG)}-"})
    assert beyond.status_code == 416
    whole = await client.get("/profiles/1/picture")
    known = {"If-None-Match": whole.headers["ETag"]}
    assert (await client.get("/profiles/1/picture", headers=known)).status_code == 304


async def test_documents_come_change_and_go_with_their_profile(client, application):
    await add_profile(client, picture=("ada.png", PNG))
    for name in ("cv.txt", "letter.txt", "note.txt"):
        added = await client.post("/profiles/1/documents", files={"file": (name, name.encode())})
        assert added.status_code == 201
    assert (await put(client, "/documents/1", file=("cv.pdf", b"%PDF-1.7 x"))).status_code == 200
    assert (await client.delete("/documents/2")).status_code == 204
    await drain(application)

    shown = (await client.get("/profiles/1")).json()["documents"]
    assert [(await client.get(each["file"])).content for each in shown] == [b"%PDF-1.7 x", b"note.txt"]
    assert (await client.get("/documents/2")).status_code == 404
    assert len(await stored_files(application)) == 3

    assert (await client.delete("/profiles/1")).status_code == 204
    await drain(application)
    assert await stored_files(application) == []


REFUSED = {
    "a page": ("a.png", HTML, 400),
    "too small": ("a.png", encode("PNG", (8, 8)), 400),
    "damaged": ("a.png", PNG[:-40], 400),
    "too large": ("a.png", PNG + b"\0" * PICTURES.max_file_size, 413),
}


async def test_a_picture_that_is_none_is_refused_and_replaces_none(client):
    await add_profile(client, picture=("ada.png", PNG))
    told = {}
    for what, (name, content, _) in REFUSED.items():
        made = await add_profile(client, "Eve", (name, content))
        told[what] = {made.status_code, (await put(client, "/profiles/1/picture", picture=(name, content))).status_code}

    assert told == {what: {status} for what, (*_, status) in REFUSED.items()}
    assert (await client.get("/profiles/1/picture")).content == PNG
    assert (await client.get("/profiles/2")).status_code == 404


async def test_a_document_of_another_type_is_refused_and_replaces_none(client):
    await add_profile(client)
    await client.post("/profiles/1/documents", files={"file": ("a.txt", b"text")})
    for content, status in ((HTML, 400), (PNG, 400), (b"x" * (DOCUMENTS.max_file_size + 1), 413)):
        sent = {"file": ("a.txt", content)}
        assert (await client.post("/profiles/1/documents", files=sent)).status_code == status
        assert (await put(client, "/documents/1", **sent)).status_code == status

    [document] = (await client.get("/profiles/1")).json()["documents"]
    assert (await client.get(document["file"])).content == b"text"


async def test_a_row_that_the_database_refuses_leaves_no_file(client, application):
    await add_profile(client, picture=("ada.png", PNG))

    again = await add_profile(client, picture=("other.png", PNG))

    assert (again.status_code, again.json()) == (409, {"detail": "This name is taken."})
    await drain(application)
    assert len(await stored_files(application)) == 1


async def test_many_at_once(client, application):
    created = await asyncio.gather(*(add_profile(client, f"{each}", ("a.png", PNG)) for each in range(6)))
    paths = [f"/profiles/{answer.json()['id']}/picture" for answer in created]
    await asyncio.gather(*(put(client, path, picture=("b.jpg", JPEG)) for path in paths))

    assert {(await client.get(path)).content for path in paths} == {JPEG}
    await drain(application)
    assert len(await stored_files(application)) == 6


# ---- the admin panel


async def save(client, path, files, **data):
    """What a browser sends for the button "Save"."""
    return await client.post(f"/admin/{path}", data={"save": "Save", **data}, files=files)


async def test_the_panel_creates_edits_and_deletes(client, application, database, no_blocking_calls):
    if database == "sqlite":
        no_blocking_calls.deactivate()  # SQLAdmin itself reads the profiles to choose from on the event loop
    created = await save(client, "profile/create", {"picture": ("ada.png", PNG)}, name="Ada")
    assert (created.url.path, created.text.count("<img")) == ("/admin/profile/list", 1)

    no_file = {"picture": ("", b"")}
    assert (await save(client, "profile/edit/1", no_file, name="Ada L.")).url.path == "/admin/profile/list"
    profile = (await client.get("/profiles/1")).json()
    assert (profile["name"], profile["width"]) == ("Ada L.", 40)
    assert (await client.get(profile["picture"])).content == PNG

    refused = await save(client, "profile/edit/1", {"picture": ("page.png", HTML)}, name="Ada")
    assert (refused.status_code, "page.png: " in refused.text) == (400, True)
    await save(client, "profile/edit/1", {"picture": ("ada.jpg", JPEG)}, name="Ada")
    assert (await client.get("/profiles/1/picture")).content == JPEG

    added = await save(client, "document/create", {"file": ("cv.txt", b"text")}, profile="1")
    assert added.url.path == "/admin/document/list"
    kept = await save(client, "document/edit/1", {"file": ("", b"")}, profile="1")
    assert kept.url.path == "/admin/document/list"
    assert (await client.get("/documents/1")).content == b"text"

    await save(client, "profile/edit/1", no_file, name="Ada", **{"picture-clear": "on"})
    assert (await client.get("/profiles/1")).json()["picture"] is None

    assert (await client.delete("/admin/profile/delete", params={"pks": "1"})).status_code == 200
    assert (await client.get("/profiles/1")).status_code == 404
    await drain(application)
    assert await stored_files(application) == []


# ---- migrations and the application's own tests


def test_migrations_make_what_the_models_say(database, alembic_config, database_url):
    command.upgrade(alembic_config, "head")
    command.check(alembic_config)
    assert "stored_files" in tables_of(database_url)
    if database != "mariadb":  # where Alembic writes that the index of a foreign key goes before it, which is refused
        command.downgrade(alembic_config, "base")
        assert tables_of(database_url) == {"alembic_version"}
        command.upgrade(alembic_config, "head")


def tables_of(database_url):
    engine = create_engine(plain_url(database_url) if "+" in database_url else database_url)
    found = {*inspect(engine).get_table_names()}
    engine.dispose()
    return found


def test_its_own_tests_pass():
    tests = ["-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(EXAMPLES), "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    command_line = [sys.executable, *tests, str(EXAMPLES / "profiles")]
    done = subprocess.run(
        command_line, capture_output=True, check=False, encoding="utf-8", env=environment, timeout=HANGS
    )
    assert done.returncode == 0, done.stdout + done.stderr
