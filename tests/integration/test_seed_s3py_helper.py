"""The documented usage of s3py-helper, with nothing changed but import paths, addresses, keys and ids."""

import asyncio
import io
import zipfile
from contextlib import asynccontextmanager

import aiohttp
import pytest
from fastapi import FastAPI, File, UploadFile
from fastapi.responses import JSONResponse
from starlette.responses import Response, StreamingResponse

from async_storages.compat.s3py_helper import (
    DeleteNotSupportedException,
    FastdfsConfig,
    FileDownload,
    FileNotFoundException,
    FileTypeConfig,
    FileValidatorImpl,
    InvalidArgumentException,
    InvalidFileTypeException,
    RouteNotSupportedException,
    S3Client,
    S3Config,
    S3RawDeleteServiceImpl,
    S3RawDownloadServiceImpl,
    S3RawInfoServiceImpl,
    S3RawUploadServiceImpl,
    StorageException,
    StorageManager,
    StorageMode,
    StorageModeConfig,
)
from tests.support.patience import HANGS
from tests.support.uvicorn_server import served

content = bytes(range(256)) * 400


@pytest.fixture
def s3_config(s3_server, s3_bucket):
    return S3Config(
        endpoint=s3_server.endpoint_url,
        access_key_id=s3_server.access_key_id,
        secret_access_key=s3_server.secret_access_key,
        default_bucket=s3_bucket,
        region="us-east-1",
    )


@pytest.fixture
def fastdfs_config(fastdfs_server):
    return FastdfsConfig(tracker_servers=[fastdfs_server.tracker], connect_timeout=2, network_timeout=30)


@pytest.fixture
async def manager(s3_config, fastdfs_config):
    async with StorageManager(
        mode_config=StorageModeConfig(mode=StorageMode.HYBRID),
        s3_config=s3_config,
        fastdfs_config=fastdfs_config,
    ) as manager:
        yield manager


@pytest.fixture
async def contract(fastdfs_config):
    """The id of a file that was in FastDFS before."""
    async with StorageManager(
        mode_config=StorageModeConfig(mode=StorageMode.FASTDFS),
        fastdfs_config=fastdfs_config,
    ) as manager:
        attach = await manager.upload_service.upload_bytes("contract.pdf", b"contract")
        yield attach.file_id
        await manager.delete_service.delete_file(attach.file_id)


def upload_file(name="photo.jpg"):
    return UploadFile(io.BytesIO(content), filename=name)


def unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


# ---- integration and configuration


def test_file_validation_configuration():
    file_type_config = FileTypeConfig(
        whitelist=["pdf", "jpg", "png", "zip"],
        blacklist=["exe", "bat"],
    )
    validator = FileValidatorImpl(file_type_config=file_type_config, max_file_size=100 * 1024 * 1024)

    assert validator.check_name("report.PDF") == "report.PDF"
    with pytest.raises(InvalidFileTypeException):
        validator.check_name("setup.exe")


# ---- fusion


@pytest.mark.parametrize(
    ("mode", "served_by"), [("s3", "s3"), ("hybrid", "s3"), ("fastdfs", "fastdfs")], ids=["s3", "hybrid", "fastdfs"]
)
async def test_service_initialization(mode, served_by, s3_config, fastdfs_config):
    configs = {"s3_config": s3_config, "fastdfs_config": fastdfs_config}
    needed = configs if mode == "hybrid" else {f"{mode}_config": configs[f"{mode}_config"]}

    async with StorageManager(mode_config=StorageModeConfig(mode=StorageMode(mode)), **needed) as manager:
        # Access services via properties
        fusion_upload = manager.upload_service
        fusion_download = manager.download_service
        fusion_delete = manager.delete_service
        fusion_info = manager.info_service

        attach = await fusion_upload.upload_bytes("report.pdf", content)
        data = await fusion_download.download_bytes(attach.file_id)
        info = await fusion_info.get_file_info(attach.file_id)
        await fusion_delete.delete_file(attach.file_id)

        assert attach.file_name == info.file_name == "report.pdf"
        assert attach.file_id.startswith({"s3": f"s3:{s3_config.default_bucket}/", "fastdfs": "group1/"}[served_by])
        assert data == content
        with pytest.raises(FileNotFoundException):
            await fusion_info.get_file_info(attach.file_id)


async def test_the_other_backend_is_not_served(s3_config, fastdfs_config):
    async with StorageManager(
        mode_config=StorageModeConfig(mode=StorageMode.S3),
        s3_config=s3_config,
    ) as manager:
        with pytest.raises(RouteNotSupportedException):
            await manager.delete_service.delete_file("group1/M00/00/00/some_file.pdf")
    async with StorageManager(
        mode_config=StorageModeConfig(mode=StorageMode.FASTDFS),
        fastdfs_config=fastdfs_config,
    ) as manager:
        with pytest.raises(RouteNotSupportedException):
            await manager.download_service.download_bytes("s3:my-bucket/reports/uuid_report.pdf")


async def test_file_upload(manager, s3_bucket):
    fusion_upload = manager.upload_service

    # Upload byte data
    by_bytes = await fusion_upload.upload_bytes("report.pdf", content, folder="reports")

    # Upload FastAPI UploadFile (streaming)
    by_file = await fusion_upload.upload_file(upload_file(), folder="uploads")

    # Upload custom stream
    stream = io.BytesIO(content)
    by_stream = await fusion_upload.upload_stream("data.csv", stream, len(content), folder="data")

    # Upload with custom metadata
    attach = await fusion_upload.upload_bytes(
        "report.pdf",
        content,
        folder="reports",
        metadata={"author": "john", "category": "finance"},
    )

    batch = await fusion_upload.upload_files([upload_file("a.jpg"), upload_file("b.jpg")], folder="batch")

    stored = [by_bytes, by_file, by_stream, attach, *batch]
    assert [each.file_id.partition(f"s3:{s3_bucket}/")[2].partition("/")[0] for each in stored] == [
        *("reports", "uploads", "data", "reports", "batch", "batch")
    ]
    assert [await manager.download_service.download_bytes(each.file_id) for each in stored] == [content] * 6
    assert (await manager.info_service.get_file_info(attach.file_id)).metadata == {
        "author": "john",
        "category": "finance",
    }


async def test_file_download(manager, tmp_path, contract):
    fusion_download = manager.download_service
    attach = await manager.upload_service.upload_bytes("report.pdf", content, folder="reports")

    # Download as byte data
    data = await fusion_download.download_bytes(attach.file_id)

    # Download to output stream
    with open(tmp_path / "output.pdf", "wb") as f:  # noqa: ASYNC230, PTH123 - as documented
        await fusion_download.download_to_stream(attach.file_id, f)

    # Streaming download (async iterator)
    chunks = []
    async for chunk in fusion_download.download_to_generator(contract):
        chunks.append(chunk)  # noqa: PERF401 - as documented

    assert data == content == (tmp_path / "output.pdf").read_bytes()
    assert b"".join(chunks) == b"contract"


async def test_mixed_source_batch_download_as_zip(manager, contract):
    fusion_download = manager.download_service
    attach = await manager.upload_service.upload_bytes("report.pdf", content, folder="reports")

    files = [
        FileDownload(file_id=attach.file_id, file_name="report.pdf"),
        FileDownload(file_id=contract, file_name="contract.pdf"),
    ]
    buf = io.BytesIO()
    await fusion_download.download_files_as_zip(files, buf)

    async def download_zip(request):
        files = [FileDownload(file_id=attach.file_id), FileDownload(file_id=contract, file_name="report.pdf")]
        return StreamingResponse(
            fusion_download.stream_zip(files),
            media_type="application/zip",
            headers={"Content-Disposition": "attachment; filename=files.zip"},
        )

    response = await download_zip(None)

    assert unzipped(buf.getvalue()) == {"report.pdf": content, "contract.pdf": b"contract"}
    assert unzipped(b"".join([chunk async for chunk in response.body_iterator])) == {
        "report.pdf": content,
        "report_2.pdf": b"contract",
    }


async def test_deletion_and_metadata_query(manager, contract):
    fusion_info, fusion_delete = manager.info_service, manager.delete_service
    attach = await manager.upload_service.upload_bytes("report.pdf", content, folder="reports", metadata={"a": "b"})

    info = await fusion_info.get_file_info(attach.file_id)
    in_fastdfs = await fusion_info.get_file_info(contract)

    # Delete S3 file
    await fusion_delete.delete_file(attach.file_id)
    await fusion_delete.delete_file(attach.file_id)

    # Delete FastDFS file (hybrid/fastdfs mode only)
    await fusion_delete.delete_file(contract)

    assert (info.file_id, info.file_name, info.file_size) == (attach.file_id, "report.pdf", len(content))
    assert info.last_modify_time is not None
    assert info.storage_class in {None, "STANDARD"}  # SeaweedFS says nothing of it
    assert info.metadata == {"a": "b"}
    assert (in_fastdfs.file_id, in_fastdfs.file_name, in_fastdfs.file_size) == (contract, "contract.pdf", 8)
    for file_id in (attach.file_id, contract):
        with pytest.raises(FileNotFoundException):
            await fusion_info.get_file_info(file_id)


# ---- pure S3


@pytest.fixture
def other(s3_server, s3_bucket):
    name = f"{s3_bucket}-other"
    s3_server.create_bucket(name)
    yield name
    s3_server.drop_bucket(name)


async def test_raw_s3_services(s3_config, s3_bucket, other, tmp_path):
    async with S3Client(s3_config) as s3:
        upload_svc = S3RawUploadServiceImpl(s3, s3_config)
        download_svc = S3RawDownloadServiceImpl(s3)
        delete_svc = S3RawDeleteServiceImpl(s3)
        info_svc = S3RawInfoServiceImpl(s3)

        # Byte upload
        attach = await upload_svc.upload_bytes("report.pdf", content, folder="reports")
        # Stream upload
        data = await upload_svc.upload_stream("data.bin", io.BytesIO(content), len(content))
        # UploadFile upload (streaming, does not load entire file into memory)
        elsewhere = await upload_svc.upload_file(upload_file(), bucket=other)

        downloaded = await download_svc.download_bytes(attach.file_id)
        with open(tmp_path / "output.pdf", "wb") as f:  # noqa: ASYNC230, PTH123 - as documented
            await download_svc.download_to_stream(data.file_id, f)
        streamed = [chunk async for chunk in download_svc.download_to_generator(elsewhere.file_id)]
        info = await info_svc.get_file_info(attach.file_id)

        files = [
            FileDownload(file_id=attach.file_id, file_name="Document A.pdf"),
            FileDownload(file_id=elsewhere.file_id, file_name="Document B.pdf"),
        ]
        buf = io.BytesIO()
        await download_svc.download_files_as_zip(files, buf)
        response = StreamingResponse(
            download_svc.stream_zip(files),
            media_type="application/zip",
        )
        sent = b"".join([chunk async for chunk in response.body_iterator])

        await delete_svc.delete_file(attach.file_id)
        await delete_svc.delete_file(attach.file_id)
        with pytest.raises(FileNotFoundException):
            await info_svc.get_file_info(attach.file_id)

    bucket, folder, key = attach.file_id.split("/")
    assert (bucket, folder, key[16:]) == (s3_bucket, "reports", "_report.pdf")
    assert elsewhere.file_id.startswith(f"{other}/")
    assert downloaded == content == (tmp_path / "output.pdf").read_bytes() == b"".join(streamed)
    assert (info.file_id, info.file_name, info.file_size) == (attach.file_id, "report.pdf", len(content))
    assert unzipped(buf.getvalue()) == unzipped(sent) == {"Document A.pdf": content, "Document B.pdf": content}


async def test_multipart_upload(s3_config, s3_bucket, tmp_path):
    path = tmp_path / "large-file.bin"
    path.write_bytes(content * 100)

    def read_chunks(path, size):
        with open(path, "rb") as f:  # noqa: PTH123 - as documented
            yield from iter(lambda: f.read(size), b"")

    async with S3Client(s3_config) as s3:
        # Initiate multipart upload
        result = await s3.create_multipart_upload(s3_bucket, "large-file.bin")
        upload_id = result["UploadId"]

        # Upload parts
        parts = []
        for part_num, chunk in enumerate(read_chunks(path, 8 * 1024 * 1024), start=1):
            result = await s3.upload_part(s3_bucket, "large-file.bin", upload_id, part_num, chunk)
            parts.append({"PartNumber": part_num, "ETag": result["ETag"]})

        # Complete assembly
        await s3.complete_multipart_upload(s3_bucket, "large-file.bin", upload_id, parts)

        given_up = await s3.create_multipart_upload(s3_bucket, "given-up.bin")
        await s3.abort_multipart_upload(s3_bucket, "given-up.bin", given_up["UploadId"])

        assert await s3.download_bytes(f"{s3_bucket}/large-file.bin") == content * 100
        with pytest.raises(FileNotFoundException):
            await s3.get_file_info(f"{s3_bucket}/given-up.bin")


# ---- FastAPI


def application(s3_config, fastdfs_config):
    """As documented; types are limited, for something to be refused."""
    # ---- StorageManager Lifecycle ----

    _manager: StorageManager | None = None

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        """Create StorageManager on application startup, release on shutdown."""
        nonlocal _manager
        _manager = StorageManager(
            mode_config=StorageModeConfig(mode=StorageMode.HYBRID),
            s3_config=s3_config,
            fastdfs_config=fastdfs_config,
            file_type_config=FileTypeConfig(blacklist=["exe"]),
        )
        async with _manager:
            yield

    app = FastAPI(lifespan=lifespan)

    # ---- Access Services ----

    def get_manager() -> StorageManager:
        return _manager

    @app.post("/files/upload")
    async def upload_file(file: UploadFile = File(...)):  # noqa: B008 - as documented
        attach = await get_manager().upload_service.upload_file(file, folder="uploads")
        return {"file_id": attach.file_id, "file_name": attach.file_name}

    @app.post("/files/batch-upload")
    async def batch_upload(files: list[UploadFile] = File(...)):  # noqa: B008 - as documented
        results = await get_manager().upload_service.upload_files(files, folder="batch")
        return [{"file_id": r.file_id, "file_name": r.file_name} for r in results]

    @app.get("/files/{file_id:path}/download")
    async def download_file(file_id: str):
        data = await get_manager().download_service.download_bytes(file_id)
        return Response(content=data, media_type="application/octet-stream")

    @app.post("/files/download-zip")
    async def download_zip(body: list[FileDownload]):
        return StreamingResponse(
            get_manager().download_service.stream_zip(body),
            media_type="application/zip",
            headers={"Content-Disposition": "attachment; filename=files.zip"},
        )

    @app.delete("/files/{file_id:path}")
    async def delete_file(file_id: str):
        await get_manager().delete_service.delete_file(file_id)
        return {"detail": "deleted"}

    @app.get("/files/{file_id:path}/info")
    async def get_file_info(file_id: str):
        info = await get_manager().info_service.get_file_info(file_id)
        return {
            "file_id": info.file_id,
            "file_name": info.file_name,
            "file_size": info.file_size,
            "last_modify_time": info.last_modify_time.isoformat() if info.last_modify_time else None,
        }

    add_exception_handlers(app)
    return app


def add_exception_handlers(app):
    @app.exception_handler(FileNotFoundException)
    async def not_found_handler(request, exc):
        return JSONResponse(status_code=404, content={"detail": str(exc)})

    @app.exception_handler(InvalidArgumentException)
    @app.exception_handler(InvalidFileTypeException)
    async def bad_request_handler(request, exc):
        return JSONResponse(status_code=400, content={"detail": str(exc)})

    @app.exception_handler(DeleteNotSupportedException)
    @app.exception_handler(RouteNotSupportedException)
    async def forbidden_handler(request, exc):
        return JSONResponse(status_code=403, content={"detail": str(exc)})

    @app.exception_handler(StorageException)
    async def storage_error_handler(request, exc):
        return JSONResponse(status_code=500, content={"detail": str(exc)})


@pytest.fixture
async def client(s3_config, fastdfs_config):
    async with served(application(s3_config, fastdfs_config)) as url, aiohttp.ClientSession(url) as client:
        yield client


def form(field, *names):
    fields = aiohttp.FormData(quote_fields=False)  # names as browsers send them
    for name in names:
        fields.add_field(field, content, filename=name)
    return fields


async def test_fastapi_application(client, contract):
    async with client.post("/files/upload", data=form("file", "报告.pdf")) as answer:
        uploaded = await answer.json()
    async with client.post("/files/batch-upload", data=form("files", "a.txt", "b.txt")) as answer:
        batch = await answer.json()
    file_id = uploaded["file_id"]
    async with client.get(f"/files/{file_id}/download") as answer:
        downloaded = await answer.read()
    async with client.get(f"/files/{file_id}/info") as answer:
        info = await answer.json()
    wanted = [{"file_id": file_id, "file_name": "报告.pdf"}, {"file_id": contract, "file_name": "contract.pdf"}]
    async with client.post("/files/download-zip", json=wanted) as answer:
        headers, archive = answer.headers, await answer.read()
    async with client.delete(f"/files/{file_id}") as answer:
        deleted = await answer.json()
    async with client.get(f"/files/{file_id}/download") as answer:
        missing = answer.status

    assert uploaded["file_name"] == info["file_name"] == "报告.pdf"
    assert [each["file_name"] for each in batch] == ["a.txt", "b.txt"]
    assert downloaded == content
    assert (info["file_id"], info["file_size"]) == (file_id, len(content))
    assert headers["Content-Type"] == "application/zip"
    assert unzipped(archive) == {"报告.pdf": content, "contract.pdf": b"contract"}
    assert (deleted, missing) == ({"detail": "deleted"}, 404)


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        pytest.param("POST", "/files/upload", "setup.exe", 400, id="type"),
        pytest.param("GET", "/files/no-such-id/info", None, 400, id="id"),
        pytest.param("GET", "/files/s3:someone-elses/key/download", None, 403, id="bucket"),
        pytest.param("DELETE", "/files/gs:bucket/key", None, 403, id="system"),
        pytest.param("GET", "/files/group1/M00/00/00/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin/info", None, 404, id="file"),
    ],
)
async def test_exception_handling(client, method, path, sent, status):
    async with client.request(method, path, data=form("file", sent) if sent else None) as answer:
        assert (answer.status, [*await answer.json()]) == (status, ["detail"])


async def test_a_storage_that_is_down_is_an_error_of_the_server(s3_config, unused_tcp_port):
    config = s3_config.model_copy(update={"endpoint": f"http://127.0.0.1:{unused_tcp_port}"})
    fastdfs = FastdfsConfig(tracker_servers=[f"127.0.0.1:{unused_tcp_port}"])
    async with served(application(config, fastdfs)) as url, aiohttp.ClientSession(url) as client:
        for file_id in (f"s3:{config.default_bucket}/key", "group1/M00/00/00/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"):
            async with asyncio.timeout(HANGS), client.get(f"/files/{file_id}/info") as answer:
                assert answer.status == 500
