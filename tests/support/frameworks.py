"""One and the same application in Starlette and in Litestar: what `tests/integration/frameworks` asks of both."""

import litestar
from litestar import Litestar
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import async_storages.integrations.litestar as for_litestar
import async_storages.integrations.starlette as for_starlette
from async_storages import FileTypeConfig, FileValidator, LocalStorage, StorageManager, StorageUnavailableException
from async_storages.direct_uploads import DirectUploads
from tests.support.direct import CLOCK, RULES, SECRET

ONLY_PICTURES = FileValidator(FileTypeConfig(type_whitelist=["image/*"]), max_file_size=1 << 20)


def uploads_of(storage):
    return DirectUploads(storage, SECRET, folder="photos", validator=RULES, clock=CLOCK)


def told(form):
    """A form as the routes answer it."""
    files = [[name, attach.fusion_id] for name, attach in form.files.multi_items()]
    return {"files": files, "fields": form.fields.multi_items()}


def broken():
    raise StorageUnavailableException("10.0.0.7:9000 refused the connection", file_id="s3:secret-bucket/a.txt")


def in_starlette(storage, options):
    """The application; `options` are those of its responses."""
    manager, uploads = StorageManager.from_storages(storage), uploads_of(storage)

    async def user(request: Request):
        return request.headers.get("x-user")

    async def upload(request: Request):
        manager = await for_starlette.get_manager(request)
        form = await for_starlette.stream_upload(request, manager, folder="films", max_files=3)
        return JSONResponse(told(form))

    async def picture(request: Request):
        return JSONResponse(told(await for_starlette.stream_upload(request, manager, validator=ONLY_PICTURES)))

    async def read(request: Request):
        response = for_starlette.StoredFileResponse(storage.file(request.path_params["key"]), **options)
        response.set_cookie("seen", "yes")
        return response

    async def nothing(request: Request):
        return for_starlette.StoredFileResponse(None)

    async def fail(request: Request):
        broken()

    async def attach(request: Request):
        file = await uploads.attach((await request.json())["key"], owner=await user(request))
        return JSONResponse({"file_id": file.file_id})

    routes = [
        Route("/upload", upload, methods=["POST"]),
        Route("/pictures", picture, methods=["POST"]),
        Route("/files/{key:path}", read, methods=["GET", "HEAD"]),
        Route("/nothing", nothing),
        Route("/broken", fail),
        Route("/attach", attach, methods=["POST"]),
        *for_starlette.direct_routes(uploads, owner=user),
    ]
    if isinstance(storage, LocalStorage):
        routes += for_starlette.signed_downloads(storage, prefix="/stored")
        routes += for_starlette.signed_uploads(storage, prefix="/stored")
    app = Starlette(routes=routes, lifespan=for_starlette.storage_lifespan(manager))
    for_starlette.register_exception_handlers(app)
    return app


def in_litestar(storage, options):
    """The application; `options` are those of its responses."""
    manager, uploads = StorageManager.from_storages(storage), uploads_of(storage)

    async def user(request: litestar.Request) -> str | None:
        return request.headers.get("x-user")

    @litestar.post("/upload", status_code=200, request_max_body_size=None)
    async def upload(request: litestar.Request) -> dict:
        manager = await for_litestar.get_manager(request)
        return told(await for_litestar.stream_upload(request, manager, folder="films", max_files=3))

    @litestar.post("/pictures", status_code=200, request_max_body_size=None)
    async def picture(request: litestar.Request) -> dict:
        return told(await for_litestar.stream_upload(request, manager, validator=ONLY_PICTURES))

    @litestar.route("/files/{key:path}", http_method=["GET", "HEAD"])
    async def read(request: litestar.Request) -> for_litestar.StoredFileResponse:
        key = str(request.path_params["key"]).removeprefix("/")
        response = for_litestar.StoredFileResponse(storage.file(key), **options)
        response.set_cookie("seen", "yes")
        return response

    @litestar.get("/nothing")
    async def nothing() -> for_litestar.StoredFileResponse:
        return for_litestar.StoredFileResponse(None)

    @litestar.get("/broken")
    async def fail() -> None:
        broken()

    @litestar.post("/attach", status_code=200)
    async def attach(request: litestar.Request) -> dict[str, str]:
        file = await uploads.attach((await request.json())["key"], owner=await user(request))
        return {"file_id": file.file_id}

    handlers = [upload, picture, read, nothing, fail, attach, for_litestar.direct_router(uploads, owner=user)]
    if isinstance(storage, LocalStorage):
        handlers.append(for_litestar.signed_files(storage, path="/stored"))
    return Litestar(
        handlers,
        lifespan=[for_litestar.storage_lifespan(manager)],
        exception_handlers=for_litestar.exception_handlers,
        logging_config=None,  # it starts a thread that stays
    )


FRAMEWORKS = {"starlette": in_starlette, "litestar": in_litestar}
