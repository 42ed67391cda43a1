"""The ready routes through a real uvicorn: what a client gets with its tokens, and what nobody gets without."""

import io
import time
import zipfile
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI, Header

from async_storages import FileValidator, InvalidArgumentException, LocalStorage, MemoryStorage, StorageManager
from async_storages.integrations.fastapi import FileTokens, files_router, register_exception_handlers, signed_downloads
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

SECRET = "a secret of the routes"
TOKENS = FileTokens(SECRET)


@pytest.fixture
async def manager(storage):
    async with StorageManager.from_storages(storage, MemoryStorage()) as manager:
        yield manager


@asynccontextmanager
async def client_of(manager, secret_key=SECRET, **options):
    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(files_router(manager, secret_key, **options))
    if isinstance(manager.default_storage, LocalStorage):
        app.include_router(signed_downloads(manager.default_storage), prefix="/stored")
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=f"{url}/files", follow_redirects=True, timeout=TIME_OUT) as client,
    ):
        yield client


async def upload(client, content=b"content", name="a.txt", **options):
    answer = await client.post("/upload", files={"file": (name, content)}, **options)
    assert answer.status_code == 200
    return answer.json()["file_id"]


async def test_a_file_is_uploaded_read_and_deleted_by_its_token(manager):
    async with client_of(manager, folder="uploads") as client:
        answer = await client.post("/upload", files={"file": ("../Söhne.txt", b"content")})
        token = answer.json()["file_id"]
        assert answer.json() == {"file_id": token, "file_name": "Söhne.txt"}
        assert manager.file(TOKENS.file_id(token)).name.startswith("uploads/")

        info = (await client.get(f"/{token}/info")).json()
        assert info.pop("last_modify_time")
        assert info == {"file_id": token, "file_name": "Söhne.txt", "file_size": 7, "content_type": "text/plain"}

        download = await client.get(f"/{token}/download")
        assert download.content == b"content"
        assert download.headers["content-disposition"].startswith('attachment; filename="Sohne.txt"')
        assert (await client.head(f"/{token}/download")).headers["content-length"] == "7"

        assert (await client.delete(f"/{token}")).json() == {"detail": "deleted"}
        assert (await client.get(f"/{token}/info")).status_code == 404


async def test_many_files_come_and_go_at_once(manager):
    contents = {"a.txt": b"a" * 100_000, "b.txt": b"", "照片.txt": b"c"}
    async with client_of(manager) as client:
        forms = [("files", (name, content)) for name, content in contents.items()]
        uploaded = (await client.post("/batch-upload", files=forms)).json()
        elsewhere = await manager.storage_for("mem:x").save(b"from memory", "a.txt")  # another storage

        wanted = [*uploaded, {"file_id": TOKENS.sign(elsewhere)}]
        answer = await client.post("/download-zip", json=wanted)

    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {**contents, "a_2.txt": b"from memory"}


ROUTES = {
    "download": lambda client, file_id: client.get(f"/{file_id}/download"),
    "info": lambda client, file_id: client.get(f"/{file_id}/info"),
    "zip": lambda client, file_id: client.post("/download-zip", json=[{"file_id": file_id}]),
    "delete": lambda client, file_id: client.delete(f"/{file_id}"),
}


@pytest.mark.parametrize("ask", ROUTES.values(), ids=ROUTES)
async def test_only_tokens_that_fit_open_a_file(manager, ask):
    async with client_of(manager, owner=user) as client:
        token = await upload(client, headers={"X-User": "anna"})
        file_id = TOKENS.file_id(token, owner="anna")
        for wrong in (token, file_id, token[:-2], FileTokens("other").sign(file_id)):
            refused = await ask(client, wrong)
            assert (refused.status_code, refused.json()["code"]) == (403, "access_denied")
        client.headers["X-User"] = "ben"
        assert (await ask(client, token)).status_code == 403
        assert await manager.file(file_id).read() == b"content"
        client.headers["X-User"] = "anna"
        assert (await ask(client, token)).status_code == 200


async def user(x_user: str = Header(default="nobody")) -> str:
    return x_user


async def test_a_token_ends_when_the_router_says(manager, monkeypatch):
    async with client_of(manager, expires_in=60) as client:
        token = await upload(client)
        later = time.time() + 61
        monkeypatch.setattr(time, "time", lambda: later)
        assert (await client.get(f"/{token}/info")).json()["code"] == "access_denied"


async def test_who_may_read_may_not_delete(manager):
    async with client_of(manager) as client:
        file_id = TOKENS.file_id(await upload(client))
        assert (await client.delete(f"/{TOKENS.sign(file_id)}")).status_code == 403
        assert (await client.delete(f"/{TOKENS.sign(file_id, 'manage')}")).status_code == 200


async def test_raw_ids_are_taken_if_the_application_says_so(manager):
    asked = []

    async def authorize(request, action, file):
        asked.append((action, file.file_id))
        return request.headers.get("X-User") == "anna"

    async with client_of(manager, None, authorize=authorize) as client:
        file_id = await upload(client)
        assert manager.file(file_id).file_id == file_id
        for ask in ROUTES.values():
            assert (await ask(client, file_id)).status_code == 403
        client.headers["X-User"] = "anna"
        for ask in ROUTES.values():
            assert (await ask(client, file_id)).status_code == 200
        client.headers["X-User"] = "anna"
        assert (await ROUTES["info"](client, "s3:another-bucket/x.txt")).status_code == 403

    assert asked == [(action, file_id) for action in ("download", "info", "download", "delete")] * 2


REFUSED = {
    "no-file": ("/upload", {"data": {"a": "b"}, "files": {}}, 400),
    "no-form": ("/upload", {"json": {}}, 400),
    "two-files": ("/upload", {"files": [("file", ("a", b"a")), ("file", ("b", b"b"))]}, 400),
    "too-large": ("/upload", {"files": {"file": ("a", bytes(2000))}}, 413),
    "empty-list": ("/download-zip", {"json": []}, 422),
    "long-list": ("/download-zip", {"json": [{"file_id": "x"}] * 4}, 422),
    "missing-file": ("/download-zip", {"json": [{"file_id": TOKENS.sign("mem:gone.txt")}]}, 404),
}


@pytest.mark.parametrize(("path", "body", "status"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_done_is_refused(manager, path, body, status):
    async with client_of(manager, validator=FileValidator(max_file_size=1000), max_files=3) as client:
        assert (await client.post(path, **body)).status_code == status

    assert [info async for info in manager.default_storage.list()] == []


@pytest.mark.parametrize(("mode", "statuses"), [(None, {"200", "307"}), ("proxy", {"200"})])
def test_the_schema_says_where_a_file_may_be(mode, statuses):
    app = FastAPI()
    app.include_router(files_router(StorageManager.from_storages(MemoryStorage()), SECRET, mode=mode))
    responses = app.openapi()["paths"]["/files/{file_id}/download"]["get"]["responses"]
    assert {status for status in responses if status < "400"} == statuses


@pytest.mark.parametrize("options", [{}, {"secret_key": SECRET, "authorize": user}], ids=["neither", "both"])
def test_either_tokens_or_raw_ids(options):
    with pytest.raises(InvalidArgumentException):
        files_router(StorageManager.from_storages(MemoryStorage()), **options)


def test_the_schema_shows_what_to_send_and_what_comes():
    app = FastAPI()
    app.include_router(files_router(StorageManager.from_storages(MemoryStorage()), SECRET))
    app.include_router(files_router(StorageManager.from_storages(MemoryStorage()), SECRET, prefix="/others"))
    paths = app.openapi()["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]

    assert len({operation["operationId"] for operation in operations}) == len(operations) == 12
    assert not [operation for operation in operations if not operation.get("description")]
    assert {path for path in paths if path.startswith("/files/")} == {
        "/files/upload",
        "/files/batch-upload",
        "/files/download-zip",
        "/files/{file_id}/download",
        "/files/{file_id}/info",
        "/files/{file_id}",
    }
    binary = {"type": "string", "format": "binary"}
    form = paths["/files/upload"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"] == {"file": binary}
    for path, kind in {"/files/{file_id}/download": "*/*", "/files/download-zip": "application/zip"}.items():
        [operation] = paths[path].values()
        assert operation["responses"]["200"]["content"] == {kind: {"schema": binary}}
        assert [*operation["responses"]["404"]["content"]] == ["application/problem+json"]
