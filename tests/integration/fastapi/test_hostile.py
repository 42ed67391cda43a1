"""What no good client sends, to every ready route: a clear refusal or a safe result, and nothing left behind."""

import json
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import quote_from_bytes

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings

from async_storages import LocalStorage, StorageManager
from async_storages.integrations.fastapi import (
    DirectUploads,
    FileTokens,
    StoredFileResponse,
    direct_router,
    files_router,
    register_exception_handlers,
    signed_downloads,
    signed_uploads,
)
from tests.support.corpus import GOOD_NAMES, HOSTILE_NAMES
from tests.support.forms import CONTENT_TYPE, file, form
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

SECRET = "a secret of the hostile"
TOKENS = FileTokens(SECRET)
NAMES = HOSTILE_NAMES | {f"good-{name}": name for name in GOOD_NAMES}
JSON = {"Content-Type": "application/json"}


def application(folder):
    """All the routes that there are, on a folder."""
    storage = LocalStorage(folder, base_url="/stored", secret_key=SECRET)
    manager = StorageManager.from_storages(storage)
    app = FastAPI()
    register_exception_handlers(app)

    async def authorize(request, action, file):
        return True

    app.include_router(files_router(manager, SECRET, folder="uploads", mode="proxy"))
    app.include_router(files_router(manager, authorize=authorize, prefix="/raw", folder="uploads", mode="proxy"))
    app.include_router(direct_router(DirectUploads(storage, SECRET)))
    app.include_router(signed_downloads(storage), prefix="/stored")
    app.include_router(signed_uploads(storage), prefix="/stored")

    @app.get("/documents/{name:path}")
    async def document(name: str) -> StoredFileResponse:
        return StoredFileResponse(storage.file(name), mode="proxy")

    return SimpleNamespace(app=app, storage=storage)


@asynccontextmanager
async def client_of(folder):
    """A client of the served application, and its storage; errors are answers, not exceptions."""
    made = application(folder)
    async with made.storage, served(made.app) as url, httpx.AsyncClient(base_url=url, timeout=TIME_OUT) as client:
        yield client, made.storage


def outside(folder):
    """Files that are not below the storage's own folder."""
    below = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in below if path.parts[0] != "files"]


async def kept_by(storage):
    """Its files, but for uploads in parts that have begun."""
    return [info.file_id async for info in storage.list() if not info.file_id.endswith("/0")]


def wrong(answers, *allowed):
    """Those that were answered otherwise."""
    return {label: answer.status_code for label, answer in answers.items() if answer.status_code not in allowed}


# ---- names


async def by_form(client, name):
    sent = name.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    escaped = sent.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    body = form(file(b"content", escaped))
    return await client.post("/files/upload", content=body, headers={"Content-Type": CONTENT_TYPE})


async def test_an_uploaded_file_stays_in_its_place_whatever_its_name(tmp_path):
    async with client_of(tmp_path / "files") as (client, storage):
        answers = {label: await by_form(client, name) for label, name in NAMES.items()}
        assert wrong(answers, 200, 400) == {}
        assert [label for label in answers if label.startswith("good-") and answers[label].status_code != 200] == []

        stored = {TOKENS.file_id(a.json()["file_id"]): a.json() for a in answers.values() if a.status_code == 200}
        assert {info.file_id async for info in storage.list()} == stored.keys()
        assert {file_id.rpartition("/")[0] for file_id in stored} == {"file:uploads"}
        for attach in stored.values():
            download = await client.get(f"/files/{attach['file_id']}/download")
            assert (download.status_code, download.content) == (200, b"content")
            assert download.headers["content-disposition"].startswith("attachment; filename=")
            assert "set-cookie" not in download.headers
            assert (await client.delete(f"/files/{attach['file_id']}")).status_code == 200
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"lock"}


NAMED = {
    "form": lambda client, name: client.post("/uploads", content=as_json(name), headers=JSON),
    "parts": lambda client, name: client.post("/uploads/s3/multipart", content=as_json(name), headers=JSON),
    "uppy": lambda client, name: client.get(f"/uploads/s3/params?filename={percent(name)}"),
}


@pytest.mark.parametrize("ask", NAMED.values(), ids=NAMED)
async def test_a_direct_upload_begins_in_its_place_whatever_its_name(tmp_path, ask):
    async with client_of(tmp_path / "files") as (client, storage):
        answers = {label: await ask(client, name) for label, name in NAMES.items()}
        assert wrong(answers, 200, 400, 422) == {}
        begun = [answer.json() for answer in answers.values() if answer.status_code == 200]
        keys = [each.get("key") or each["fields"]["key"] for each in begun]
        assert len(keys) >= len(GOOD_NAMES)
        assert {key.partition("/")[0] for key in keys} == {"pending"}
        assert [key for key in keys if ".." in key.split("/")] == []
        assert await kept_by(storage) == []
    assert outside(tmp_path) == []


def as_json(name):
    return json.dumps({"filename": name})


def percent(name):
    return quote_from_bytes(name.encode("utf-8", "surrogatepass"), safe="")


# ---- ids, keys and tokens


IDS = HOSTILE_NAMES | {
    "long": "a" * 20_000,
    "token-like": "a.b.c",
    "another-storage": "s3:bucket/a.txt",
    "no-utf-8": "\udcff",
    "percent": "%",
    "outside": "file:../secret.txt",
    "absolute-outside": "file:/etc/passwd",
    "stored-part": "file:pending/parts/x/1",
}
READ = {
    "signed": ("GET", "/files/{}/download"),
    "signed-info": ("GET", "/files/{}/info"),
    "signed-delete": ("DELETE", "/files/{}"),
    "raw": ("GET", "/raw/{}/download"),
    "raw-info": ("GET", "/raw/{}/info"),
    "column": ("GET", "/documents/{}"),
    "presigned": ("GET", "/stored/{}?token=x"),
    "presigned-put": ("PUT", "/stored/{}?token=x"),
    "part": ("GET", "/uploads/s3/multipart/x/1?key={}"),
    "parts": ("GET", "/uploads/s3/multipart/{}?key=x"),
    "abort": ("DELETE", "/uploads/s3/multipart/x?key={}"),
}


@pytest.mark.parametrize(("method", "path"), READ.values(), ids=READ)
async def test_an_id_that_was_never_given_opens_nothing(tmp_path, method, path):
    (tmp_path / "secret.txt").write_text("of somebody else")
    async with client_of(tmp_path / "files") as (client, _):
        answers = {label: await client.request(method, path.format(percent(id_))) for label, id_ in IDS.items()}
    assert wrong(answers, 307, 400, 403, 404, 405, 422) == {}  # 307: FastAPI drops a slash at the end
    assert [label for label, answer in answers.items() if "somebody" in answer.text] == []
    assert outside(tmp_path) == ["secret.txt"]


# ---- bodies


BODIES = {
    "nothing": b"",
    "not-json": b"{",
    "null": b"null",
    "array": b"[]",
    "nested": b"[" * 100_000,
    "nested-value": b'{"filename": ' + b"[" * 100_000 + b"}",
    "lone-surrogate": b'{"filename": "\\ud800"}',
    "nul": b'{"filename": "\\u0000"}',
    "huge-number": b'{"filename": "a", "size": ' + b"9" * 10_000 + b"}",
    "larger-than-any-file": b'{"filename": "a", "size": 1' + b"0" * 30 + b"}",
    "name-of-a-megabyte": b'{"filename": "' + b"a" * (1 << 20) + b'"}',
    "ids-of-a-megabyte": b'[{"file_id": "' + b"a" * (1 << 20) + b'"}]',
    "same-id-often": b"[" + b",".join([b'{"file_id": "x"}'] * 100) + b"]",
    "infinite": b'{"filename": "a", "size": 1e999, "file_id": 1e999}',
    "no-number": b'{"filename": "a", "size": NaN}',
    "not-utf-8": b'{"filename": "\xff"}',
    "utf-16": '{"filename": "a"}'.encode("utf-16"),
    "infinite-part": b'{"parts": [{"PartNumber": 1e400, "ETag": "x"}]}',
    "part-with-any-etag": b'{"parts": [{"PartNumber": 1, "ETag": "\\u0000\\r\\n"}]}',
}
ROUTES = ["/files/upload", "/files/batch-upload", "/files/download-zip", "/raw/download-zip", "/uploads"]
ROUTES += ["/uploads/s3/multipart", "/uploads/s3/multipart/x/complete?key=x", "/stored"]
TYPES = ["application/json", "multipart/form-data", "multipart/form-data; boundary=", CONTENT_TYPE, ""]


@pytest.mark.parametrize("path", ROUTES)
async def test_a_body_that_makes_no_sense_is_refused(tmp_path, path):
    async with client_of(tmp_path / "files") as (client, storage):
        answers = {
            f"{label} as {kind!r}": await client.post(path, content=body, headers={"Content-Type": kind})
            for label, body in BODIES.items()
            for kind in TYPES
        }
        assert wrong(answers, 200, 400, 403, 404, 413, 422) == {}
        assert await kept_by(storage) == []
    assert outside(tmp_path) == []


# ---- whatever the schema allows, and what it does not


async def known_to(client):
    """Ids, keys and tokens that are good, so that requests get further than being refused."""
    uploaded = (await client.post("/files/upload", files={"file": ("a.txt", b"content")})).json()["file_id"]
    parts = (await client.post("/uploads/s3/multipart", json={"filename": "a.txt"})).json()
    return {
        "/files": {"file_id": uploaded},
        "/raw": {"file_id": TOKENS.file_id(uploaded)},
        "/uploads": {"upload_id": parts["uploadId"], "key": parts["key"]},
    }


def filled(case, known):
    """The same request for something that there is."""
    good = next((values for prefix, values in known.items() if case.path.startswith(prefix)), {})
    for parameters in (case.path_parameters, case.query):
        parameters.update({name: value for name, value in good.items() if name in parameters})
    return case


def generated(operation):
    """Ten requests of an operation, the same each time."""
    cases = []

    def keep(case):
        cases.append(case)

    quick = settings(max_examples=10, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    quiet = settings(quick, suppress_health_check=list(HealthCheck))
    given(case=operation.as_strategy())(quiet(keep))()
    return cases


def written(case, url):
    """A request just as it was generated."""
    import requests

    options = case.as_transport_kwargs(base_url=url)
    names = ("method", "url", "headers", "params", "json", "data", "files", "cookies")
    ready = requests.Request(**{name: options[name] for name in names if name in options}).prepare()
    body = ready.body.encode() if isinstance(ready.body, str) else ready.body
    return httpx.Request(ready.method, ready.url, headers=dict(ready.headers), content=body)


async def test_no_request_that_the_schema_leads_to_is_an_error_of_the_server(tmp_path, monkeypatch):
    schemathesis = pytest.importorskip("schemathesis")
    monkeypatch.chdir(tmp_path)  # where it keeps a cache
    answered = {}
    async with client_of(tmp_path / "files") as (client, _):
        url, known = str(client.base_url), await known_to(client)
        schema = schemathesis.openapi.from_dict((await client.get("/openapi.json")).json())
        for operation in schema.get_all_operations():
            for case in generated(operation.ok()):
                for request in (written(case, url), written(filled(case, known), url)):
                    answer = await client.send(request)
                    answered.setdefault(answer.status_code, []).append(f"{request.method} {request.url}")
    assert [request for status, requests in answered.items() if status >= 500 for request in requests] == []
    assert {200, 307, 400, 403, 404, 422} >= answered.keys() >= {200, 400, 403, 404}
    assert outside(tmp_path) == []
