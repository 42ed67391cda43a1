"""Pictures of the built site, to look at it: `make docs`, then ``python -m tools.site_screenshots``.

They go into /tmp/site-shots: pages at 1400 and 390 pixels, light and dark. Chinese pages need a font, such as Debian's
``fonts-wqy-microhei``.
"""

import shutil
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

from playwright.sync_api import sync_playwright

from tools.package import ROOT

PAGES = {
    "home": "",
    "tutorial": "tutorial/1-columns/",
    "how-to": "how-to/delete/",
    "class": "reference/S3Storage/",
    "chinese-home": "zh/",
}
SIZES = {1400: 900, 390: 844}  # heights by widths
SCHEMES: tuple[Any, ...] = ("light", "dark")


class Quiet(SimpleHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder; yields its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def main() -> None:
    """Take all of them."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=ROOT / "site", help="the built site")
    parser.add_argument("--to", type=Path, default=Path("/tmp/site-shots"), help="the folder of the pictures")  # noqa: S108
    parser.add_argument("--whole", action="store_true", help="whole pages, not only the first screen")
    chosen = parser.parse_args()
    chosen.to.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver, serving(chosen.site) as url:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for (width, height), scheme in product(SIZES.items(), SCHEMES):
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            for name, path in PAGES.items():
                page.goto(f"{url}/{path}")
                picture = chosen.to / f"{name}-{width}-{scheme}.png"
                page.screenshot(path=picture, full_page=chosen.whole)
                print(picture)
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
