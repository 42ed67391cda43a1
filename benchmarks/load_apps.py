"""The same file service on several libraries, each served by uvicorn: ``python -I load_apps.py NAME SERVER``.

Run as a script: one of them is in an environment of its own, as it calls itself `async_storages` too. It prints its
port, then serves until it is ended.
"""

import json
import socket
import sys
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Response, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

CHUNK = 1 << 18


def ours(server: dict[str, str]) -> FastAPI:
    from async_storages import S3Storage, StorageManager
    from async_storages.integrations.fastapi import files_router, register_exception_handlers, storage_lifespan

    storage = S3Storage(
        server["bucket"],
        endpoint_url=server["endpoint_url"],
        aws_access_key_id=server["key_id"],
        aws_secret_access_key=server["secret"],
    )
    manager = StorageManager.from_storages(storage)
    app = FastAPI(lifespan=storage_lifespan(manager))
    register_exception_handlers(app)
    app.include_router(files_router(manager, "a secret of the benchmark", mode="proxy"))
    return app


def boto3_in_threads(server: dict[str, str]) -> FastAPI:
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3",
        config=Config(max_pool_connections=50),
        endpoint_url=server["endpoint_url"],
        region_name="us-east-1",
        aws_access_key_id=server["key_id"],
        aws_secret_access_key=server["secret"],
    )
    app = FastAPI()

    @app.post("/files/upload")
    async def upload(file: UploadFile):
        key = f"{uuid4()}_{file.filename}"
        await run_in_threadpool(client.upload_fileobj, file.file, server["bucket"], key)
        return {"file_id": key}

    @app.get("/files/{key}/download")
    async def download(key: str):
        answer = await run_in_threadpool(client.get_object, Bucket=server["bucket"], Key=key)
        return StreamingResponse(answer["Body"].iter_chunks(CHUNK))  # which reads it in threads

    return app


def fastapi_async_storages(server: dict[str, str]) -> FastAPI:
    from async_storages import S3Storage

    scheme, _, address = server["endpoint_url"].partition("://")
    storage = S3Storage(
        server["bucket"],
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id=server["key_id"],
        aws_secret_access_key=server["secret"],
        use_ssl=scheme == "https",
    )
    app = FastAPI()

    @app.post("/files/upload")
    async def upload(file: UploadFile):
        return {"file_id": await storage.upload(file.file, f"{uuid4()}_{file.filename}")}

    @app.get("/files/{key}/download")
    async def download(key: str):
        return Response((await storage.open(key)).getvalue())  # it can do nothing else

    return app


APPS = {"ours": ours, "boto3": boto3_in_threads, "fastapi-async-storages": fastapi_async_storages}


def main(name: str, server: str) -> None:
    app = APPS[name](json.loads(server))

    @app.get("/ping")
    async def ping():
        return {}

    with socket.socket(proto=socket.IPPROTO_TCP) as listening:  # else asyncio leaves Nagle on
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)  # who comes before it serves waits
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])


if __name__ == "__main__":
    main(*sys.argv[1:])
