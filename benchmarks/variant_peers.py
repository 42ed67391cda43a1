"""CPU time of one variant by libraries that make thumbnails for Django, run by a Python that has them.

`python variant_peers.py PHOTO WIDTH HEIGHT QUALITY TIMES` prints seconds by library as JSON, the least of several.
"""

import io
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from django.conf import settings

settings.configure(
    INSTALLED_APPS=["easy_thumbnails", "imagekit", "sorl.thumbnail"],
    MEDIA_ROOT="/nonexistent",
    THUMBNAIL_KVSTORE="sorl.thumbnail.kvstores.redis_kvstore.KVStore",
    USE_TZ=True,
)


def easy_thumbnails(photo: Path, size: tuple[int, int], quality: int) -> bytes:
    from easy_thumbnails.files import Thumbnailer

    with photo.open("rb") as file:
        return Thumbnailer(file, name=photo.name).generate_thumbnail({"size": size, "quality": quality}).read()


def django_imagekit(photo: Path, size: tuple[int, int], quality: int) -> bytes:
    from imagekit import ImageSpec
    from imagekit.processors import ResizeToFit, Transpose

    class Spec(ImageSpec):
        processors = (Transpose(), ResizeToFit(*size))
        format = "JPEG"
        options = MappingProxyType({"quality": quality})

    with photo.open("rb") as file:
        return Spec(source=file).generate().read()


def sorl_thumbnail(photo: Path, size: tuple[int, int], quality: int) -> bytes:
    from sorl.thumbnail.base import ThumbnailBackend
    from sorl.thumbnail.engines.pil_engine import Engine

    engine, written = Engine(), io.BytesIO()
    options = {**ThumbnailBackend.default_options, "quality": quality, "format": "JPEG"}
    with photo.open("rb") as file:
        made = engine.create(engine.get_image(file), size, options)
        engine.write(made, options, written)
    return written.getvalue()


LIBRARIES: dict[str, Callable[[Path, tuple[int, int], int], bytes]] = {
    "easy-thumbnails": easy_thumbnails,
    "django-imagekit": django_imagekit,
    "sorl-thumbnail": sorl_thumbnail,
}


def main() -> None:
    import django
    from PIL import Image

    django.setup()
    photo, (width, height, quality, times) = Path(sys.argv[1]), map(int, sys.argv[2:])
    told = {}
    for name, make in LIBRARIES.items():
        spent = []
        for _ in range(times):
            begun = time.process_time()
            made = make(photo, (width, height), quality)
            spent.append(time.process_time() - begun)
        with Image.open(io.BytesIO(made)) as image:
            told[f"{name} {version(name)}"] = {"seconds": min(spent), "size": image.size}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
