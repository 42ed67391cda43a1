"""The files that keep figures and show them."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PLACES", "Places"]

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Places:
    """Where records are, and where the page is.

    Attributes:
        records: The figures of all rows, as JSON.
        reports: The folder of the last output of each report, as Markdown.
        template: The prose of the page, with slots for rows and reports.
        page: The page, which is made of the others.
    """

    records: Path = HERE / "records.json"
    reports: Path = HERE / "reports"
    template: Path = HERE / "page.md"
    page: Path = HERE.parent / "docs" / "explanation" / "benchmarks.md"

    def report(self, name: str) -> Path:
        return self.reports / f"{name}.md"


PLACES = Places()
