"""The lifespan: what is open when, and what the dependencies hand out."""

from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI, Request

from async_storages import (
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    StorageClosedException,
    StorageManager,
    registry,
)
from async_storages.integrations.fastapi import (
    DeleteServiceDep,
    DownloadServiceDep,
    InfoServiceDep,
    ManagerDep,
    UploadServiceDep,
    get_manager,
    register_exception_handlers,
    storage_lifespan,
)
from tests.support.uvicorn_server import asking


class Recorded(MemoryStorage):
    """Says when it is opened and closed."""

    def __init__(self, told):
        super().__init__()
        self.told = told

    async def __aenter__(self):
        self.told.append("storage opens")
        return await super().__aenter__()

    async def aclose(self):
        self.told.append("storage closes")
        await super().aclose()


class Worker:
    def __init__(self, name, told):
        self.name, self.told = name, told

    @asynccontextmanager
    async def running(self):
        self.told.append(f"{self.name} starts")
        yield
        self.told.append(f"{self.name} ends")


@pytest.fixture
def told():
    return []


@pytest.fixture
def manager(told):
    return StorageManager.from_storages(Recorded(told))


async def test_storages_are_open_around_the_application_and_that_around_the_workers(manager, told):
    @asynccontextmanager
    async def own(app):
        told.append("application starts")
        yield {"cache": "warm"}
        told.append("application ends")

    workers = {"ledger": Worker("ledger", told), "uploads": Worker("removal", told)}
    app = FastAPI(lifespan=storage_lifespan(manager, **workers, lifespan=own))

    @app.get("/")
    async def read(request: Request):
        return request.state.cache

    async with asking(app) as client:
        assert (await client.get("/")).json() == "warm"
        begun = list(told)
    assert begun == ["storage opens", "application starts", "ledger starts", "removal starts"]
    assert told[4:] == ["removal ends", "ledger ends", "application ends", "storage closes"]


async def test_it_works_within_a_lifespan_of_the_users_own(manager, told):
    @asynccontextmanager
    async def own(app):
        async with storage_lifespan(manager)(app):
            yield {"cache": "warm"}

    app = FastAPI(lifespan=own)

    @app.get("/")
    async def read(request: Request, found: ManagerDep):
        return [request.state.cache, found is manager]

    async with asking(app) as client:
        assert (await client.get("/")).json() == ["warm", True]
    assert told == ["storage opens", "storage closes"]


async def test_storages_are_closed_when_the_application_does_not_start(manager, told):
    @asynccontextmanager
    async def broken(app):
        raise RuntimeError("no database")
        yield

    app = FastAPI()
    with pytest.raises(RuntimeError, match="no database"):
        async with storage_lifespan(manager, ledger=Worker("ledger", told), lifespan=broken)(app):
            pass
    assert told[-1] == "storage closes"
    with pytest.raises(StorageClosedException):
        await manager.upload_service.upload_bytes("a.txt", b"")


async def test_dependencies(manager):
    app = FastAPI(lifespan=storage_lifespan(manager))
    router = APIRouter()

    @router.post("/")
    async def store(uploads: UploadServiceDep, infos: InfoServiceDep):
        attach = await uploads.upload_bytes("a.txt", b"content")
        return (await infos.get_file_info(attach.file_id)).file_id

    @router.get("/")
    async def read(file_id: str, downloads: DownloadServiceDep):
        return (await downloads.download_bytes(file_id)).decode()

    @router.delete("/")
    async def delete(file_id: str, deletes: DeleteServiceDep, found: ManagerDep):
        await deletes.delete_file(file_id)
        return await found.file(file_id).exists()

    app.include_router(router, prefix="/files")
    async with asking(app) as client:
        file_id = (await client.post("/files/")).json()
        assert (await client.get("/files/", params={"file_id": file_id})).json() == "content"
        assert (await client.delete("/files/", params={"file_id": file_id})).json() is False


async def test_tests_put_another_manager_in_its_place(manager):
    app = FastAPI(lifespan=storage_lifespan(manager))
    other = StorageManager.from_storages(MemoryStorage())
    app.dependency_overrides[get_manager] = lambda: other

    @app.get("/")
    async def read(uploads: UploadServiceDep):
        return uploads is other.upload_service

    async with asking(app) as client:
        assert (await client.get("/")).json() is True


async def test_an_application_without_a_manager_fails_clearly(caplog):
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/")
    async def read(found: ManagerDep):
        return None

    async with asking(app) as client:
        assert (await client.get("/")).status_code == 500
    assert "lifespan=storage_lifespan(manager)" in caplog.text


def make_app(folder):
    """An application, as a factory makes it for each test."""
    files = LocalStorage(folder, name="files")
    return FastAPI(lifespan=storage_lifespan(StorageManager.from_storages(files, name="documents")))


@pytest.fixture
def _empty_registry():
    with registry.isolated():
        yield


@pytest.mark.usefixtures("_empty_registry")
async def test_an_application_factory_can_be_called_again(tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        app = make_app(folder)
        async with app.router.lifespan_context(app):
            assert registry.names() == ("documents", "files")
            assert registry.get("documents") is app.state.storage_manager
        assert registry.names() == ()


@pytest.mark.usefixtures("_empty_registry")
async def test_an_application_that_starts_again_has_its_names_again(tmp_path):
    app = make_app(tmp_path)
    for _ in range(2):
        async with app.router.lifespan_context(app):
            assert registry.names() == ("documents", "files")
    make_app(tmp_path)
    with pytest.raises(InvalidArgumentException, match="'documents' is taken"):
        async with app.router.lifespan_context(app):
            pytest.fail("it has started")
