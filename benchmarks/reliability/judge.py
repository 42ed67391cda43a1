"""What a scenario left behind: the committed rows against the files in the folder."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

KEPT, LOST, LEAKED, REFUSED = "kept", "lost", "leaked", "refused"


@dataclass(frozen=True)
class Row:
    """A committed row.

    Attributes:
        text: What its file holds, by a column that is written together with it; None if there is to be no file. Of
            several files, their texts with commas.
        names: The files that it names.
    """

    text: str | None
    names: frozenset[str] = field(default_factory=frozenset)


def verdict(rows: Iterable[Row], files: Mapping[str, str], *, raised: bool = False) -> str:
    """In a word, what became of the files.

    Args:
        rows: All rows.
        files: All files in the folder, by name, with their text.
        raised: Whether the library raised where the scenario goes on without an error.
    """
    rows = list(rows)
    lost = any(is_lost(row, files) for row in rows)
    leaked = files.keys() - {name for row in rows for name in row.names}
    wrong = [name for name, found in ((LOST, lost), (LEAKED, leaked)) if found]
    return " + ".join(wrong) or (REFUSED if raised else KEPT)


def is_lost(row: Row, files: Mapping[str, str]) -> bool:
    """Whether a file of the row is missing, or holds something else."""
    expected = set() if row.text is None else {*row.text.split(",")}
    return {files.get(name) for name in row.names} != expected
