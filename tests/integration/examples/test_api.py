"""`examples/api` through a real uvicorn; after each test every file has its row, and every row its file."""

import asyncio
import io
import json
import shutil
import subprocess
import zipfile
from types import SimpleNamespace

import httpx
import pytest
from alembic import command
from api.__main__ import alembic_config
from api.app import create_app
from api.dependencies import sessions
from api.models import RULES, Document
from api.settings import Settings
from pydantic import ValidationError
from sqlalchemy import select, text

from async_storages import S3Config, registry
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER as MARKS
from tests.integration.examples.conftest import EXAMPLES, running
from tests.support.corpus import HOSTILE_NAMES, image
from tests.support.ledgers import pass_time
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

PNG = image("PNG")
HTML = b"<!DOCTYPE html><script>alert(1)</script>"
JSON = {"Content-Type": "application/json"}
ANNA, EVE = {"X-User": "anna"}, {"X-User": "eve"}


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    path = tmp_path_factory.mktemp("migrated") / "database.sqlite"
    command.upgrade(alembic_config(f"sqlite+aiosqlite:///{path}"), "head")
    return path


@pytest.fixture
def database_url(tmp_path, migrated):
    return f"sqlite+aiosqlite:///{shutil.copy(migrated, tmp_path)}"


@pytest.fixture(params=["local", "s3"])
def app(request, tmp_path, database_url):
    common = {"secret_key": "a secret of the tests", "database_url": database_url, "folder": tmp_path / "files"}
    if request.param == "s3":
        server, bucket = request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket")
        keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
        common["s3"] = S3Config(endpoint=server.endpoint_url, default_bucket=bucket, **keys)
    yield create_app(Settings(**common))
    registry.unregister("documents")


@pytest.fixture
async def client(app):
    """Anna's browser."""
    async with served(app) as url:
        async with httpx.AsyncClient(base_url=url, headers=ANNA, follow_redirects=True, timeout=TIME_OUT) as client:
            yield client
        await drain(app.state.ledger)
        assert await files_of(app) == await rows_of(app)


async def drain(ledger):
    """What the worker does within the hour; it sweeps nothing, as the application leaves nothing to be found."""
    await pass_time(ledger)
    await ledger.drain()


async def files_of(app):
    [storage] = app.state.storage_manager.storages
    found = [info.file_id async for info in storage.list()]
    return {file_id for file_id in found if f"{MARKS}/" not in file_id}


async def rows_of(app):
    async with sessions() as session:
        return {file.file_id for file in await session.scalars(select(Document.file))}


async def upload(client, content=b"content", name="a.txt", title="A text", **options):
    return await client.post("/documents", data={"title": title}, files={"file": (name, content)}, **options)


async def listed(client, **options):
    return (await client.get("/documents", **options)).json()


async def begin(client, content=PNG, **wanted):
    return (await client.post("/uploads", json={"filename": "photo.png", "size": len(content), **wanted})).json()


async def send(client, begun, content=PNG):
    if begun["method"] == "PUT":
        return await client.put(begun["url"], content=content, headers=begun["headers"])
    return await client.post(begun["url"], data=begun["fields"], files={"file": content})


async def attach(client, begun, **options):
    return await client.post("/documents/direct", json={"title": "Direct", "key": begun["key"]}, **options)


async def test_a_document_is_uploaded_listed_and_read(client):
    created = await upload(client, PNG, "../Söhne.png", "Our sons")

    assert created.status_code == 201
    [document] = await listed(client)
    assert document | {"file": ""} == {"id": 1, "title": "Our sons", "file_name": "Söhne.png", "file": ""}
    for url in (document["file"], created.json()["file"], "/documents/1/file"):
        answer = await client.get(url)
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PNG, "image/png")
    part = await client.get("/documents/1/file", headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, PNG[1:4])
    assert (await client.head("/documents/1/file")).headers["content-length"] == str(len(PNG))


async def test_a_replaced_file_is_gone_and_so_is_that_of_a_deleted_document(app, client):
    first = (await upload(client, b"first")).json()["file"]

    replaced = await client.put("/documents/1/file", files={"file": ("b.txt", b"second")})
    await drain(app.state.ledger)
    assert (replaced.status_code, replaced.json()["file_name"]) == (200, "b.txt")
    assert (await client.get("/documents/1/file")).content == b"second"
    assert (await client.get(first)).status_code == 404

    assert (await client.delete("/documents/1")).status_code == 204
    await drain(app.state.ledger)
    assert (await client.get(replaced.json()["file"])).status_code == 404
    assert await listed(client) == []


async def test_whoever_comes_first_nothing_is_lost_or_left(client):
    await upload(client)

    puts = [client.put("/documents/1/file", files={"file": ("b.txt", b"other")}) for _ in range(8)]
    answers = await asyncio.gather(*puts, *(client.delete("/documents/1") for _ in range(8)))

    assert {answer.status_code for answer in answers} <= {200, 204, 404}
    assert await listed(client) == []


async def test_several_documents_are_one_archive(client):
    for content in (b"one", b"two"):
        await upload(client, content)

    answer = await client.post("/documents/zip", json=[2, 1, 2])

    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a.txt": b"one", "a_2.txt": b"two"}


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_file_that_was_sent_to_its_storage_becomes_a_document_once(client, method):
    begun = await begin(client, method=method)
    assert (await send(client, begun)).is_success

    created = await attach(client, begun)

    assert created.status_code == 201
    assert (await client.get(created.json()["file"])).content == PNG
    assert (await attach(client, begun)).status_code == 404


async def test_another_cannot_attach_what_somebody_has_sent(client):
    begun = await begin(client)
    await send(client, begun)

    stolen = await attach(client, begun, headers=EVE)

    assert (stolen.status_code, stolen.json()["code"]) == (403, "access_denied")
    assert (await attach(client, {"key": begun["key"] + "x"})).status_code == 403
    assert (await attach(client, begun)).status_code == 201


async def test_what_was_sent_is_looked_at_before_it_becomes_a_document(client):
    begun = await begin(client, HTML)
    assert (await send(client, begun, HTML)).is_success

    refused = await attach(client, begun)

    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_file_type")


async def test_a_form_for_too_large_a_file_is_not_given(client):
    answer = await client.post("/uploads", json={"filename": "a.png", "size": RULES.max_file_size + 1})
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")


FILES = {
    "too large": (413, "a.txt", b"x" * (RULES.max_file_size + 1)),
    "far too large": (413, "a.txt", b"x" * 12_000_000),
    "html": (400, "a.html", HTML),
    "html that is called a picture": (400, "a.png", HTML),
}


async def test_a_file_that_is_not_let_in_is_refused_and_replaces_none(client):
    await upload(client)
    told = {}
    for what, (_, *file) in FILES.items():
        made = await client.post("/documents", data={"title": "Bad"}, files={"file": tuple(file)})
        replaced = await client.put("/documents/1/file", files={"file": tuple(file)})
        told[what] = {made.status_code, replaced.status_code}

    assert told == {what: {status} for what, (status, *_) in FILES.items()}
    assert [document["file_name"] for document in await listed(client)] == ["a.txt"]
    assert (await client.get("/documents/1/file")).content == b"content"


async def test_a_title_that_no_database_holds_is_refused(client):
    titles = {"none": "", "with NUL": "a\0b", "endless": "a" * 201}
    told = {name: (await upload(client, title=title)).status_code for name, title in titles.items()}
    body = b'{"title": "\\ud800", "key": "x"}'
    surrogate = await client.post("/documents/direct", content=body, headers=JSON)

    assert {*told.values(), surrogate.status_code} == {422}


async def test_a_file_may_be_called_anything(client):
    names = [name for name in HOSTILE_NAMES.values() if name and name == name.encode(errors="ignore").decode()]
    wanted = [json.dumps({"filename": name, "size": 1}) for name in HOSTILE_NAMES.values()]

    uploaded = [await upload(client, PNG, name) for name in names]
    begun = [await client.post("/uploads", content=each, headers=JSON) for each in wanted]

    assert {answer.status_code for answer in uploaded} == {201}
    assert {answer.status_code for answer in begun} == {200}
    for document in await listed(client):
        assert not {"..", "/", "\\"} & {document["file_name"], *document["file_name"]}
        answer = await client.get(document["file"])
        assert (answer.status_code, answer.content) == (200, PNG)
        assert answer.headers["content-type"] not in {"text/html", "image/svg+xml"}


async def test_a_document_that_there_is_not_is_told_so(client):
    expected = {"999": 404, "0": 422, str(2**63): 422, "x": 422, "..%2f1": 404}

    assert {number: await statuses(client, number) for number in expected} == {
        number: {status} for number, status in expected.items()
    }
    for number in ("999", "0", str(2**63)):
        assert (await client.post("/documents/zip", json=[int(number)])).status_code == expected[number]
    assert (await client.get("/documents", params={"after": 2**63})).status_code == 422


async def test_nobody_reaches_the_documents_of_others(client):
    url = (await upload(client)).json()["file"]

    assert await listed(client, headers=EVE) == []
    assert await statuses(client, "1", headers=EVE) == {404}
    assert (await client.post("/documents/zip", json=[1], headers=EVE)).status_code == 404
    assert (await client.get(url.partition("?")[0])).status_code == 403
    assert (await client.get(f"{url[:-3]}xxx")).status_code == 403
    assert (await client.get("/documents/1/file")).content == b"content"


async def statuses(client, number, **options):
    """What the routes of one document answer."""
    path = f"/documents/{number}"
    return {
        (await client.get(f"{path}/file", **options)).status_code,
        (await client.put(f"{path}/file", files={"file": ("a.txt", b"other")}, **options)).status_code,
        (await client.delete(path, **options)).status_code,
    }


@pytest.mark.parametrize("app", ["local"], indirect=True)
async def test_health_counts_files_and_tells_when_the_database_fails(client):
    await upload(client)
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["ledger"]["live"]) == (200, "ok", 1)

    async with sessions.begin() as session:
        await session.execute(text("ALTER TABLE stored_files RENAME TO elsewhere"))
    assert (await client.get("/health")).status_code == 503
    async with sessions.begin() as session:
        await session.execute(text("ALTER TABLE elsewhere RENAME TO stored_files"))


@pytest.mark.parametrize("app", ["s3"], indirect=True)
async def test_health_tells_when_the_storage_cannot_be_reached(client, s3_server):
    await asyncio.to_thread(s3_server.kill)
    try:
        answer = await client.get("/health")
    finally:
        await asyncio.to_thread(s3_server.start)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")


@pytest.mark.parametrize("app", ["local"], indirect=True)
async def test_openapi_says_all_that_a_client_has_to_know(client):
    schema = (await client.get("/openapi.json")).json()
    operations = {
        f"{method} {path}": SimpleNamespace(**operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }

    assert (await client.get("/docs")).status_code == 200
    assert len({operation.operationId for operation in operations.values()}) == len(operations)
    assert "/signed" not in json.dumps(schema["paths"])
    form = schema["components"]["schemas"]["Body_upload_documents_post"]
    assert {"title", "file"} == set(form["required"])
    binary = {"schema": {"type": "string", "format": "binary"}}
    assert operations["post /documents/zip"].responses["200"]["content"] == {"application/zip": binary}
    assert operations["get /documents/{number}/file"].responses["200"]["content"] == {"*/*": binary}
    described = {name for name, each in operations.items() if hasattr(each, "description")}
    assert {name for name in operations if "/uploads" not in name} <= described


def test_settings_come_from_the_environment(monkeypatch):
    with pytest.raises(ValidationError, match="secret_key"):
        create_app()
    wanted = {"secret_key": "s", "database_url": "sqlite+aiosqlite:///x", "s3": {"default_bucket": "b"}}
    monkeypatch.setenv("API_SETTINGS", json.dumps(wanted))
    assert Settings.from_environment() == Settings(**wanted)


def test_migrations_make_what_the_models_say(database_url):
    config = alembic_config(database_url)
    command.check(config)
    command.downgrade(config, "base")
    command.upgrade(config, "head")


@pytest.mark.parametrize(("arguments", "stays"), [((), 1), (("--s3",), 0)], ids=["local", "s3"])
def test_the_program_starts_stops_on_ctrl_c_and_starts_again(tmp_path, port, arguments, stays):
    with (
        running("api", tmp_path, port, *arguments) as (url, said),
        httpx.Client(base_url=url, timeout=TIME_OUT) as client,
    ):
        assert f"Try it out: {url}/docs\n" in said
        assert client.get("/docs").status_code == 200
        created = client.post("/documents", data={"title": "A"}, files={"file": ("a.txt", b"content")})
        file = httpx.get(created.json()["file"], headers={"Origin": url}, timeout=TIME_OUT)
        assert file.content == b"content"
        assert not arguments or file.headers["access-control-allow-origin"] == url  # the page of /docs shows it
    whole = "".join(said)
    assert "Application shutdown complete" in whole
    assert not [word for word in ("Traceback", "Warning", "WARN", "ERROR") if word in whole], whole

    with running("api", tmp_path, port, *arguments) as (url, _):
        assert len(httpx.get(f"{url}/documents", timeout=TIME_OUT).json()) == stays


def test_make_api_runs_that_program():
    command_line = ["make", "--dry-run", "api", "PORT=8123", "ARGS=--s3"]
    done = subprocess.run(command_line, cwd=EXAMPLES.parent, capture_output=True, check=True, text=True)
    assert "-m api --port 8123 --s3\n" in done.stdout
