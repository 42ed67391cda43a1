"""The same image in several widths, as HTML wants it; values only."""

from dataclasses import dataclass
from html import escape

__all__ = ["SrcSet"]


@dataclass(frozen=True, slots=True)
class SrcSet:
    """An image in several widths, among which a browser chooses; templates write it as an ``<img>``.

    Attributes:
        src: The URL of the image for those that choose not.
        srcset: The URLs with their widths, such as ``https://…/400.webp 400w, https://…/800.webp 800w``.
        sizes: The width in which the page shows it, by CSS's words.
        width: Pixels across of `src`; None if they are not known.
        height: Pixels down, alike.
        alt: The text in the place of the image; empty for an ornament.

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
        """The ``<img>``, with everything escaped: Jinja and Django put it into a page as it is."""
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
