"""The endpoints that the guide to cloud storage (seed 000) writes with google-cloud-storage, as they are here."""

import httpx
import pytest
from fastapi import FastAPI, HTTPException, UploadFile

from async_storages.integrations.fastapi import register_exception_handlers
from tests.support.gcs import gcs_storage
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import asking


def application(storage):
    app = FastAPI()
    register_exception_handlers(app)

    @app.post("/gcs/upload")
    async def upload_to_gcs(file: UploadFile) -> dict[str, str]:
        stored = await storage.save(file)
        return {"filename": stored.filename, "blob": stored.name, "url": await stored.get_path()}

    @app.get("/gcs/download-url/{blob_name}")
    async def get_gcs_signed_url(blob_name: str) -> dict[str, str]:
        blob = storage.file(blob_name)
        if not await blob.exists():
            raise HTTPException(404)
        return {"download_url": await blob.get_presigned_url(3600)}

    return app


@pytest.fixture
async def client(gate, gcs_bucket):
    async with gcs_storage(gate, gcs_bucket) as storage, asking(application(storage)) as client:
        yield client


@pytest.mark.parametrize("name", ["report.pdf", "照片 1.jpg", "a+b%41.txt"])
async def test_a_file_goes_up_and_comes_back(client, name):
    content = name.encode() * 10_000
    made = (await client.post("/gcs/upload", files={"file": (name, content)})).json()
    assert made["filename"] == name
    assert httpx.URL(made["url"]).path.endswith(f"/{made['blob']}")

    url = (await client.get(f"/gcs/download-url/{made['blob'].replace('%', '%25')}")).json()["download_url"]

    async with httpx.AsyncClient(timeout=TIME_OUT) as browser:
        assert (await browser.get(url)).content == content
        assert (await browser.get(made["url"])).status_code in {401, 403}  # the bucket is private


@pytest.mark.parametrize("name", ["none.txt", "%2e%2e%2fsecret", "gs:elsewhere%2Ffile"])
async def test_what_is_not_there_has_no_url(client, name):
    assert (await client.get(f"/gcs/download-url/{name}")).status_code in {400, 403, 404}
