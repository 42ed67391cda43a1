"""Why rows miss their goals, for readers of the page."""

import re

__all__ = ["reason"]

REASONS: dict[str, dict[str, str]] = {
    "s3": {
        "CPU": "Ours signs, sends and parses in Python. obstore does this in Rust.",
    },
    "fastdfs": {
        "download 10 KiB, 1 at once": "Four other runs on 2026-12-01 had ratios of 4.1 to 5.4.",
        "upload": "Our upload also finds the content type, the checksum and the dimensions of an image, and checks the "
        "stored file.",
        "": "The ratio differs by up to 15 % from run to run.",
    },
    "zipping": {
        "": "The speed differs by up to 5 % from run to run.",
    },
    "moving": {
        "last tenth": "Tests of the library ran at the same time, more of them during the last tenths. The fastest "
        "tenth is one of the middle.",
        "to S3": "A move does more than a copy: it enters the file in a table, checks the copy, and updates the rows.",
    },
    "orm_load": {
        "": "Each loaded value becomes an object. The ratio differs by up to 5 % from run to run.",
    },
    "drain": {
        "": "A pass looks through the columns of all tables. Other runs on 2026-12-01 took 1.6 and 1.7 ms.",
    },
    "tracking": {
        "with a ledger": "An upload takes two transactions instead of one, as the ledger announces the file.",
    },
}
"""By measurement, and by a pattern that the name of a row contains; the first one counts."""


def reason(name: str, what: str) -> str:
    """Why a row misses its goal; empty if nobody has written it down."""
    return next((why for pattern, why in REASONS.get(name, {}).items() if re.search(pattern, what)), "")
