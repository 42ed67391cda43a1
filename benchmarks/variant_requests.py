"""The first request for a variant, which makes it, beside other applications that do so."""

import http.client
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from PIL import Image

from benchmarks import Figure
from benchmarks.environments import python_with
from benchmarks.variant_apps import APPS, SIZE, photograph

REQUESTS = 40
"""Photographs of which each application makes a variant."""

THUMBOR = "7.8.0"
EASY_THUMBNAILS = "2.10.1"


def first_requests(photo: Path, folder: Path) -> Iterator[Figure]:
    """The time of first requests, one after the other, each application in its turn."""
    pillow = {"pillow": version("pillow")}
    django = {"django": "6.1.3", "easy-thumbnails": EASY_THUMBNAILS, "uvicorn": version("uvicorn"), **pillow}
    pythons = {
        "easy-thumbnails": python_with("variant-apps", django),
        "thumbor": python_with("thumbor", {"thumbor": THUMBOR, "pillow": "12.3.0"}),  # it takes none that is newer
    }
    shown = {"easy-thumbnails": f"easy-thumbnails {EASY_THUMBNAILS} on Django", "thumbor": f"thumbor {THUMBOR}"}
    spent = dict[str, list[float]]()
    with ExitStack() as opened:
        asking = {}
        for name in APPS:
            if (python := pythons.get(name, sys.executable)) is None:
                yield Figure(f"first requests, {shown[name]}", note="left out, as pip could not install it")
                continue
            here = folder / name
            here.mkdir()
            for number in range(REQUESTS + 1):
                os.link(photo, here / photograph(number))
            asking[name] = opened.enter_context(application(name, python, here))
        for number in range(REQUESTS + 1):
            for name, (connection, paths) in asking.items():
                spent.setdefault(name, []).append(asked(connection, paths[number]))
    medians = {name: statistics.median(times[1:]) for name, times in spent.items()}  # the first one warms it
    slowest = {name: max(times[1:]) for name, times in spent.items()}
    for kind, found in (("median", medians), ("slowest", slowest)):
        times = {shown.get(name, name): 1000 * seconds for name, seconds in found.items()}
        what = f"first request for a variant, 12 megapixels to jpeg of {SIZE[0]} × {SIZE[1]}: {kind}"
        yield Figure(what, "ms", times.pop("ours"), times)


@contextmanager
def application(name: str, python: str, folder: Path) -> Iterator[tuple[http.client.HTTPConnection, list[str]]]:
    """Run an application; gives a connection to it and the paths of its variants."""
    command = [python, "-m", "benchmarks.variant_apps", name, str(folder), str(REQUESTS + 1)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port, paths = json.loads(process.stdout.readline())
            yield http.client.HTTPConnection("127.0.0.1", port), paths
        finally:
            process.terminate()


def asked(connection: http.client.HTTPConnection, path: str) -> float:
    """Seconds until the whole variant is here, over a new connection."""
    begun = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    content = answer.read()
    took = time.perf_counter() - begun
    connection.close()
    assert answer.status == http.client.OK, (path, answer.status, content)
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == ("JPEG", SIZE), path
    return took
