"""`SrcSet`: one image in several widths, for HTML."""

from dataclasses import dataclass
from html import escape

__all__ = ["SrcSet"]


@dataclass(frozen=True, slots=True)
class SrcSet:
    """An image in several widths, from which a browser chooses. In a template it becomes an ``<img>``.

    Attributes:
        src: The URL for browsers that do not support ``srcset``.
        srcset: The URLs with their widths, for example ``https://…/400.webp 400w, https://…/800.webp 800w``.
        sizes: The width of the image on the page, in CSS.
        width: The width of `src` in pixels. None if unknown.
        height: The height of `src` in pixels. None if unknown.
        alt: The text that replaces the image. Leave it empty for decoration.

    Example:
        >>> SrcSet("a.webp", "a.webp 800w", "100vw", 800, 600, alt="A cat").__html__()
        '<img src="a.webp" srcset="a.webp 800w" sizes="100vw" width="800" height="600" alt="A cat">'
    """

    src: str
    srcset: str
    sizes: str
    width: int | None = None
    height: int | None = None
    alt: str = ""

    def __html__(self) -> str:
        """Return the ``<img>`` tag with escaped attributes. Jinja and Django insert it unchanged."""
        told = {
            "src": self.src,
            "srcset": self.srcset or None,
            "sizes": self.sizes if self.srcset else None,
            "width": self.width,
            "height": self.height,
            "alt": self.alt,
        }
        pairs = (f'{name}="{escape(str(value))}"' for name, value in told.items() if value is not None)
        return f"<img {' '.join(pairs)}>"
