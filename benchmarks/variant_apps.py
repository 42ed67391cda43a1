"""Applications that make a variant on its first request: ``python -m benchmarks.variant_apps NAME FOLDER COUNT``.

Each is run by a Python that has what it needs. It prints its port and the paths of its variants, one for each
photograph in the folder, then serves until it is ended. What it makes is stored in that folder, too.
"""

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = (600, 800)
QUALITY = 82


def photograph(number: int) -> str:
    """The name of a photograph in the folder."""
    return f"{number:016x}_photo.jpg"


def ours(folder: Path, names: list[str]) -> tuple[Any, list[str]]:
    from starlette.applications import Starlette

    from async_storages import ImagePool, LocalStorage, StoredImage, Variant, VariantLinks, Variants
    from async_storages.integrations.lifespan import storage_lifespan
    from async_storages.integrations.sqlalchemy import ImageType
    from async_storages.integrations.starlette import variant_routes

    storage, links = LocalStorage(folder), VariantLinks("/variants", "a secret of the benchmark")
    recipe = Variant(*SIZE, format="jpeg", quality=QUALITY, when="request")
    column = ImageType(storage, variants=Variants(card=recipe), variant_links=links)
    routes = variant_routes(links, prefix="/variants", pool=ImagePool(workers=2))
    app = Starlette(routes=routes, lifespan=storage_lifespan(storage))
    app.state.column = column  # for as long as it lives, the links know it
    return app, [links.url(StoredImage(f"file:{name}", storage), "card", recipe) for name in names]


def starlette_and_pillow(folder: Path, names: list[str]) -> tuple[Any, list[str]]:
    """A route as one would write it who knows Pillow well, without limits, signatures and colour profiles."""
    from PIL import Image, ImageOps
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import FileResponse
    from starlette.routing import Route

    (folder / "made").mkdir()

    def make(source: Path, target: Path) -> None:
        with Image.open(source, formats=["JPEG"]) as image:
            image.thumbnail(SIZE[::-1], Image.Resampling.LANCZOS)  # they are stored lying
            draft = target.with_suffix(".draft")
            ImageOps.exif_transpose(image).save(draft, "jpeg", quality=QUALITY)
            draft.rename(target)

    async def read(request: Request) -> FileResponse:
        name = request.path_params["name"]
        if not (target := folder / "made" / name).exists():
            await run_in_threadpool(make, folder / name, target)
        return FileResponse(target)

    return Starlette(routes=[Route("/{name}", read)]), [f"/{name}" for name in names]


def easy_thumbnails(folder: Path, names: list[str]) -> tuple[Any, list[str]]:
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.core.management import call_command
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    def read(_request: HttpRequest, name: str) -> HttpResponse:
        from easy_thumbnails.files import get_thumbnailer

        made = get_thumbnailer(name).get_thumbnail({"size": SIZE})
        return HttpResponse(Path(made.path).read_bytes(), content_type="image/jpeg")

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "rows.sqlite"}},
        INSTALLED_APPS=["easy_thumbnails"],
        MEDIA_ROOT=folder,
        ROOT_URLCONF=(path("<name>", read),),
        THUMBNAIL_QUALITY=QUALITY,
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    return get_asgi_application(), [f"/{name}" for name in names]


def thumbor(folder: Path, names: list[str]) -> tuple[None, list[str]]:
    """Thumbor is no application but a server, of which this writes the configuration."""
    told = {
        "ALLOW_UNSAFE_URL": True,
        "LOADER": "thumbor.loaders.file_loader",
        "FILE_LOADER_ROOT_PATH": str(folder),
        "STORAGE": "thumbor.storages.no_storage",
        "RESULT_STORAGE": "thumbor.result_storages.file_storage",
        "RESULT_STORAGE_FILE_STORAGE_ROOT_PATH": str(folder / "made"),
        "RESULT_STORAGE_STORES_UNSAFE": True,
        "RESPECT_ORIENTATION": True,
        "QUALITY": QUALITY,
    }
    (folder / "thumbor.conf").write_text("".join(f"{name} = {value!r}\n" for name, value in told.items()))
    return None, [f"/unsafe/fit-in/{SIZE[0]}x{SIZE[1]}/{name}" for name in names]


APPS: dict[str, Callable[[Path, list[str]], tuple[Any, list[str]]]] = {
    "ours": ours,
    "Starlette and Pillow": starlette_and_pillow,
    "easy-thumbnails": easy_thumbnails,
    "thumbor": thumbor,
}


def main(name: str, place: str, count: str) -> None:
    folder = Path(place)
    app, paths = APPS[name](folder, [photograph(number) for number in range(int(count))])
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:  # else asyncio leaves Nagle on
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who comes before it serves waits
        print(json.dumps([listening.getsockname()[1], paths]), flush=True)
        if app is not None:
            import uvicorn

            uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listening])
            return
        from thumbor.server import main as serve

        listening.setblocking(False)
        serve(["--fd", str(os.dup(listening.fileno())), "-c", str(folder / "thumbor.conf"), "-l", "error"])


if __name__ == "__main__":
    main(*sys.argv[1:])
