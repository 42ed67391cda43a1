"""Pictures of the gallery for the documentation, in docs/images: ``python -m tools.screenshots``.

It needs Chromium, and looks as the site does where the font Inter is installed (Debian's ``fonts-inter``).
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from tools.package import ROOT
from tools.scenes import SCENES, paint

IMAGES = ROOT / "docs" / "images"
LARGEST = 250_000  # bytes
DESK = {"viewport": {"width": 1400, "height": 940}, "device_scale_factor": 1.5}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "color_scheme": "dark",
    "has_touch": True,
    "is_mobile": True,
}
SLOWLY = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 250_000}


def main() -> None:
    """Take all of them."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver, running(Path(name)) as url:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        take(browser.new_context(**DESK), url, Path(name))
        take_on_phone(browser.new_context(**PHONE), url)
        browser.close()


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The gallery, empty, in a process of its own; yields its URL."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "examples", ROOT)))}
    command = [sys.executable, "-m", "gallery", "--port", "0"]
    pipes: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes) as process:
        try:
            said = iter(process.stderr or ())
            yield next(found[0] for line in said if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        finally:
            process.terminate()


def take(context: Any, url: str, folder: Path) -> None:
    """The page with an upload under way and one that was refused; then the lightbox."""
    page = context.new_page()
    page.goto(url)
    *scenes, last = [saved(scene.name, paint(scene), folder) for scene in reversed(SCENES)]
    for number, path in enumerate(scenes, 1):  # one by one, for the same order each time
        page.set_input_files("#files", path)
        page.locator(".tile").nth(number - 1).wait_for()
    letter = folder / "Letter to Ada.jpg"
    letter.write_bytes(b"Dear Ada, " * 100)
    page.set_input_files("#files", letter)
    page.locator(".upload.failed").wait_for()

    context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOWLY)
    page.set_input_files("#files", last)
    page.wait_for_function("() => document.querySelectorAll('.upload progress')[1]?.value > .6")
    keep("gallery", page)

    page.get_by_alt_text("Evening on the water").click()
    page.wait_for_function("() => document.querySelector('.stage img').naturalWidth > 1600")
    page.wait_for_timeout(500)  # for the dialog to have appeared
    keep("gallery-lightbox", page)
    page.close()


def take_on_phone(context: Any, url: str) -> None:
    """The page in the hand, in the dark."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # for what has come to be shown
    keep("gallery-phone", page)


def saved(name: str, picture: Image.Image, folder: Path) -> Path:
    """A picture as a file."""
    path = folder / f"{name}.jpg"
    picture.save(path, quality=92)
    return path


def keep(name: str, page: Any) -> None:
    """Write what the page shows, at the best quality that is small enough."""
    picture = Image.open(BytesIO(page.screenshot()))
    for quality in range(90, 40, -5):
        picture.save(IMAGES / f"{name}.webp", quality=quality, method=6)
        size = (IMAGES / f"{name}.webp").stat().st_size
        if size < LARGEST:
            break
    print(f"{name}.webp: {picture.width} by {picture.height}, {size:,} bytes, quality {quality}")


if __name__ == "__main__":
    main()
