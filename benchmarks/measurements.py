"""All measurements and reports, by name."""

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks import (
    Figure,
    dimensions,
    drain,
    fastdfs,
    gcs,
    imaging,
    import_time,
    listing,
    load,
    memory,
    moving,
    orm_load,
    presigning,
    s3,
    slow_readers,
    tracking,
    variants,
    zipping,
)
from benchmarks.reliability.report import report as reliability

__all__ = ["MEASUREMENTS", "REPORTS"]

MEASUREMENTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "import_time": import_time.measure,
    "orm_load": orm_load.measure,
    "drain": drain.measure,
    "dimensions": dimensions.measure,
    "imaging": imaging.measure,
    "variants": variants.measure,
    "memory": memory.measure,
    "presigning": presigning.measure,
    "listing": listing.measure,
    "s3": s3.measure,
    "fastdfs": fastdfs.measure,
    "gcs": gcs.measure,
    "zipping": zipping.measure,
    "moving": moving.measure,
    "slow_readers": slow_readers.measure,
    "tracking": tracking.measure,
    "load": load.measure,
}
REPORTS: dict[str, Callable[[], Iterator[str]]] = {
    "reliability": reliability,
    "reliability_postgresql": partial(reliability, "postgresql"),
}
