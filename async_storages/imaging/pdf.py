"""Images of pages of PDF documents, made with pypdfium2. It needs the extra `pdf`."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from async_storages.errors import InvalidArgumentException, InvalidFileTypeException
from async_storages.imaging.limits import ImageLimits

__all__ = ["PdfPreviewer"]


@dataclass(frozen=True, slots=True)
class PdfPreviewer:
    """Makes a PNG of a page of a PDF document. It needs pypdfium2 and Pillow, and runs no scripts of the document.

    Args:
        page: The page, from 0.
        width: The width in pixels, at least 1. The height follows from the page, up to twice the width. An image of a
            taller page is narrower.

    Raises:
        InvalidArgumentException: `page` is below 0, or `width` below 1.

    Example:
        >>> first_page = PdfPreviewer(width=1200)
    """

    page: int = 0
    width: int = 1600

    def __post_init__(self) -> None:
        if self.page < 0 or self.width < 1:
            raise InvalidArgumentException(f"page is from 0 on, and width from 1 on, not {self.page} and {self.width}")

    def preview(self, source: Path, target: Path, limits: ImageLimits) -> None:
        """Make an image of a page: see `Previewer.preview`."""
        pypdfium2 = _library()
        try:
            document = pypdfium2.PdfDocument(source)
        except pypdfium2.PdfiumError as error:
            raise InvalidFileTypeException(f"the document cannot be read: {error}") from error
        with document:
            if self.page >= len(document):
                raise InvalidFileTypeException(f"the document has {len(document)} pages, none {self.page} from 0")
            page = document[self.page]
            across, down = page.get_size()
            if not (across > 0 and down > 0):
                raise InvalidFileTypeException(f"the page has {across} by {down} points")
            scale = min(self.width / across, 2 * self.width / down)
            limits.check_pixels((round(across * scale), round(down * scale)), "the page")
            page.render(scale=scale).to_pil().save(target, "PNG")


def _library() -> Any:
    try:
        import_module("PIL.Image")
        return import_module("pypdfium2")
    except ImportError as error:
        raise ImportError('PdfPreviewer needs pypdfium2: run  pip install "sqlalchemy-async-storages[pdf]"') from error
