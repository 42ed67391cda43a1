"""A client in its own process: ``python -m benchmarks.contests.client KIND NAME SERVER``; see `benchmarks.child`."""

import asyncio
import gc
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from benchmarks import engines, fastdfs, gcs, worker
from benchmarks.child import serve
from benchmarks.engines import Server
from benchmarks.worker import Costs

__all__ = ["AT_ONCE", "OF_CLOUD_STORAGE", "OF_FASTDFS", "OF_S3"]

AT_ONCE = 8
OF_S3, OF_FASTDFS, OF_CLOUD_STORAGE = "s3", "fastdfs", "cloud_storage"


def s3_engine(name: str, server: str) -> engines.Engine:
    return engines.ENGINES[name](Server(**json.loads(server)))


def fastdfs_engine(name: str, tracker: str) -> fastdfs.Engine:
    logging.getLogger("aiofdfs").addHandler(logging.NullHandler())  # it warns of every wait for its pool of ten
    return fastdfs.ENGINES[name](tracker)


def gcs_engine(name: str, server: str) -> engines.Engine:
    return gcs.ENGINES[name](Server(**json.loads(server)))


type Small = Callable[[Any, int, int], Awaitable[Costs]]

CLIENTS: Mapping[str, tuple[Callable[[str, str], Any], Small]] = {
    OF_S3: (s3_engine, worker.small),
    OF_FASTDFS: (fastdfs_engine, fastdfs.small),
    OF_CLOUD_STORAGE: (gcs_engine, worker.small),
}


async def main(kind: str, name: str, server: str) -> None:
    make, small = CLIENTS[kind]
    async with AsyncExitStack() as stack:
        engine = make(name, server)
        await engine.begin(stack)
        await small(engine, AT_ONCE, 2 * AT_ONCE)  # imports what is imported late, and connects
        gc.freeze()  # else each turn looks through everything that was imported
        await serve({"small": partial(small, engine)})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
