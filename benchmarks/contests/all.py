"""All contests, by name."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from benchmarks.contests import apart, here
from benchmarks.contests.contest import Contest

__all__ = ["CONTESTS"]

CONTESTS: dict[str, Callable[[], AbstractContextManager[Contest]]] = {
    "imports": here.imports,
    "loads": here.loads,
    "commits": here.commits,
    "dimensions": here.dimensions,
    "variants": here.variants,
    "presigned_urls": here.presigned_urls,
    "archives": here.archives,
    "s3": apart.s3_files,
    "cloud_storage": apart.cloud_storage,
    "fastdfs": apart.fastdfs_files,
}
