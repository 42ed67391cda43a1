"""Multi-tenant SaaS: no tenant reaches another's files, by id, key, name, token, listing, archive or direct upload."""

import io
import zipfile
from contextlib import asynccontextmanager, suppress
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Header

from async_storages import (
    AccessDeniedException,
    FastDFSStorage,
    FileDownload,
    FileTooLargeException,
    FileValidator,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    OperationNotSupportedException,
    RouteNotSupportedException,
    StorageException,
    StorageManager,
)
from async_storages.integrations.fastapi import (
    DirectUploads,
    FileTokens,
    files_router,
    register_exception_handlers,
    signed_downloads,
)
from tests.support.managers import fastdfs_config
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

SECRET = "a secret of the tenants"
TOKENS = FileTokens(SECRET)


@pytest.fixture
def on_disk(tmp_path):
    return LocalStorage(tmp_path / "files", base_url="/signed", secret_key=SECRET)


@pytest.fixture
def in_memory():
    return MemoryStorage()


@pytest.fixture(params=["in_memory", "on_disk", "on_s3"])
def place(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
async def storage(place):
    async with place as storage:
        yield storage


@pytest.fixture
def manager(storage):
    return StorageManager.from_storages(storage)


@pytest.fixture
def acme(manager):
    return manager.within("tenants", "acme")


@pytest.fixture
def evil(manager):
    return manager.within("tenants", "evil")


@pytest.fixture
async def secret(acme):
    """A file of acme."""
    stored = await acme.upload_service.upload_bytes("secret.txt", b"secret of acme")
    return acme.file(stored.file_id)


# ---- a tenant has all of a storage, in its folder


async def test_a_tenant_works_with_its_files_as_with_any(manager, acme, secret):
    assert secret.name.startswith("tenants/acme/")
    assert await acme.download_service.download_bytes(secret.file_id) == b"secret of acme"
    assert await manager.file(secret.file_id).read() == b"secret of acme"  # who runs the service sees all
    await acme.delete_service.delete_file(secret.file_id)
    assert not await secret.exists()


async def test_what_is_let_in_is_the_same_for_tenants(storage):
    rules = FileValidator(max_file_size=5)
    mine = StorageManager.from_storages(storage, validator=rules).within("tenants", "acme")
    with pytest.raises(FileTooLargeException):
        await mine.upload_service.upload_bytes("a.txt", b"123456")


# ---- and nothing else

BY_ID = {
    "read": lambda manager, file: manager.download_service.download_bytes(file),
    "info": lambda manager, file: manager.info_service.get_file_info(file),
    "delete": lambda manager, file: manager.delete_service.delete_file(file),
    "delete several": lambda manager, file: manager.delete_service.delete_files([file]),
    "archive": lambda manager, file: manager.download_service.download_files_as_zip(
        [FileDownload(file_id=file)], io.BytesIO()
    ),
    "replace": lambda manager, file: manager.default_storage.upload(b"mine", file),
    "copy from": lambda manager, file: manager.default_storage.copy(file, "mine.txt"),
    "copy to": lambda manager, file: copied_over(manager.default_storage, file),
    "metadata": lambda manager, file: manager.default_storage.set_metadata(file, {"owner": "evil"}),
    "file object": lambda manager, file: manager.file(file).read(),
    "file object of a storage": lambda manager, file: manager.default_storage.file(file).read(),
}


async def copied_over(storage, file):
    await storage.upload(b"mine", "mine.txt")
    await storage.copy("mine.txt", file)


@pytest.mark.parametrize("operation", BY_ID.values(), ids=BY_ID)
async def test_an_id_of_another_tenant_is_refused(evil, secret, operation):
    with pytest.raises(RouteNotSupportedException):
        await operation(evil, secret.file_id)
    assert await secret.read() == b"secret of acme"


WAYS_OUT = {
    "the whole key": "tenants/acme/secret.txt",
    "up": "../acme/secret.txt",
    "up twice": "a/../../acme/secret.txt",
    "dot": "./../acme/secret.txt",
    "backslash": "..\\acme\\secret.txt",
    "from the root": "/tenants/acme/secret.txt",
    "encoded": "%2e%2e/acme/secret.txt",
    "fullwidth": "\uff0e\uff0e/acme/secret.txt",
    "NUL": "..\0/acme/secret.txt",
    "empty segments": "//tenants/acme/secret.txt",
}


@pytest.mark.parametrize("key", WAYS_OUT.values(), ids=WAYS_OUT)
async def test_no_key_leads_out(storage, key):
    await storage.upload(b"secret", "tenants/acme/secret.txt")
    mine = storage.within("tenants", "evil")
    for attempt in (mine.read, mine.delete, lambda name: mine.upload(b"mine", name)):
        with suppress(StorageException):
            assert await attempt(key) != b"secret"
    await mine.save(b"mine", key, folder=key.replace("secret.txt", ""))
    assert await storage.read("tenants/acme/secret.txt") == b"secret"
    names = [info.file_id.partition("tenants/")[2] async for info in storage.list()]
    assert [name for name in names if not name.startswith("evil/")] == ["acme/secret.txt"]


@pytest.mark.parametrize("prefix", ["", "secret", "../acme/", "tenants/acme/", "..", "/"])
async def test_a_listing_is_of_the_tenant_alone(storage, prefix):
    for name in ("acme", "evil2", "evi"):
        await storage.upload(b"secret", f"tenants/{name}/secret.txt")
    assert [info.file_id async for info in storage.within("tenants", "evil").list(prefix)] == []


NO_TENANTS = ["", "a/b", "..", ".", "/", "acme/", "\\", "a\\b", "a\0", " acme", "a:b", "\uff0e\uff0e", "\uff45vil"]


@pytest.mark.parametrize("name", NO_TENANTS, ids=ascii)
async def test_a_name_that_is_no_folder_of_its_own_is_no_tenant(manager, name):
    with pytest.raises(InvalidArgumentException):
        manager.within("tenants", name)
    with pytest.raises(InvalidArgumentException):
        manager.within(name)


def test_no_folder_is_not_the_whole_storage(manager):
    with pytest.raises(InvalidArgumentException):
        manager.within()


async def test_a_folder_within_a_folder_leads_further_down_only(evil, secret):
    with pytest.raises(RouteNotSupportedException):
        evil.within("acme").file(secret.file_id)


async def test_raw_clients_reach_everything_and_are_refused(on_s3):
    async with StorageManager.from_storages(on_s3) as manager:
        assert manager.s3
        with pytest.raises(RouteNotSupportedException, match="keeps to tenants/evil has no S3Storage"):
            _ = manager.within("tenants", "evil").s3


def test_files_that_are_in_no_folder_are_nobodys():
    fastdfs = FastDFSStorage(fastdfs_config())
    mine = StorageManager.from_storages(MemoryStorage(), fastdfs).within("tenants", "evil")
    with pytest.raises(RouteNotSupportedException):
        mine.file("group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin")
    with pytest.raises(OperationNotSupportedException):
        StorageManager.from_storages(fastdfs).within("tenants", "evil")


# ---- over HTTP


@asynccontextmanager
async def client_of(manager):
    async def tenant(x_tenant: str = Header()) -> str:
        return x_tenant

    async def files_of(tenant: Annotated[str, Depends(tenant)]) -> StorageManager:
        return manager.within("tenants", tenant)

    app = FastAPI()
    register_exception_handlers(app)
    app.include_router(files_router(files_of, SECRET, owner=tenant))
    if isinstance(manager.default_storage, LocalStorage):
        app.include_router(signed_downloads(manager.default_storage), prefix="/signed")
    async with (
        served(app) as url,
        httpx.AsyncClient(base_url=f"{url}/files", follow_redirects=True, timeout=TIME_OUT) as client,
    ):
        yield client


REQUESTS = {
    "download": lambda client, token, **options: client.get(f"/{token}/download", **options),
    "info": lambda client, token, **options: client.get(f"/{token}/info", **options),
    "zip": lambda client, token, **options: client.post("/download-zip", json=[{"file_id": token}], **options),
    "delete": lambda client, token, **options: client.delete(f"/{token}", **options),
}
ACME, EVIL = {"headers": {"X-Tenant": "acme"}}, {"headers": {"X-Tenant": "evil"}}


async def test_a_tenant_gets_what_it_uploaded(manager):
    async with client_of(manager) as client:
        token = (await client.post("/upload", files={"file": ("a.txt", b"content")}, **ACME)).json()["file_id"]
        assert manager.file(TOKENS.file_id(token, owner="acme")).name.startswith("tenants/acme/")
        assert (await REQUESTS["download"](client, token, **ACME)).content == b"content"
        assert (await REQUESTS["info"](client, token, **ACME)).json()["file_name"] == "a.txt"
        archive = zipfile.ZipFile(io.BytesIO((await REQUESTS["zip"](client, token, **ACME)).content))
        assert archive.read("a.txt") == b"content"
        assert (await REQUESTS["delete"](client, token, **ACME)).status_code == 200


@pytest.mark.parametrize("place", ["in_memory"], indirect=True)
@pytest.mark.parametrize("owner", ["acme", "evil", None])
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_no_token_of_whatever_owner_opens_another_tenants_file(manager, secret, request_, owner):
    """Not even one that the application made for the wrong one."""
    token = TOKENS.sign(secret, "manage", owner=owner)
    async with client_of(manager) as client:
        answer = await request_(client, token, **EVIL)
    assert answer.status_code == 403
    assert b"secret" not in answer.content
    assert await secret.read() == b"secret of acme"


@pytest.mark.parametrize("place", ["in_memory"], indirect=True)
@pytest.mark.parametrize("name", ["", "..", "acme/..", "evil/../acme", "acme%2f", "."])
async def test_a_tenant_cannot_name_itself_into_anothers_folder(manager, secret, name):
    token = TOKENS.sign(secret, "manage")
    async with client_of(manager) as client:
        answer = await REQUESTS["download"](client, token, headers={"X-Tenant": name})
    assert answer.status_code in {400, 403}


@pytest.mark.parametrize("place", ["on_disk", "on_s3"], indirect=True)
async def test_an_upload_of_one_tenant_is_attached_by_no_other(storage):
    theirs, mine = (DirectUploads(storage.within("tenants", name), SECRET) for name in ("acme", "evil"))
    begun = await theirs.start("secret.txt", 6)
    await storage.upload(b"secret", begun.key)
    with pytest.raises(AccessDeniedException):
        await mine.attach(begun.key)
    attached = await theirs.attach(begun.key)
    assert attached.name.startswith("tenants/acme/")
    assert await attached.read() == b"secret"
