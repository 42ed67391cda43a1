"""Run the server as a program. It prints its tracker's address and folder, and serves until stdin ends or SIGTERM."""

import asyncio
import os
import signal
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from threading import Thread

from async_storages.testing.fastdfs_server import VERSIONS, FastDFSServer
from async_storages.testing.fastdfs_server._versions import NEWEST


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m async_storages.testing.fastdfs_server", description=__doc__)
    parser.add_argument("--groups", default="group1", help="names, with commas between")
    parser.add_argument("--storages-per-group", type=int, default=1)
    parser.add_argument("--version", choices=tuple(VERSIONS), default=NEWEST)
    parser.add_argument("--copy-delay", type=float, help="seconds; gives each storage server a folder of its own")
    parser.add_argument("--address-size", type=int, choices=(15, 45))
    parser.add_argument("--folder", help="where to keep the files; by default they go with the server")
    return parser.parse_args()


async def _serve(options: Namespace) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    Thread(target=_await_end_of_input, args=(loop, ended), daemon=True).start()
    async with FastDFSServer(
        groups=options.groups.split(","),
        storages_per_group=options.storages_per_group,
        version=options.version,
        copy_delay=options.copy_delay,
        address_size=options.address_size,
        folder=options.folder,
        threads=False,
    ) as server:
        print(server.tracker, server.folder, sep="\n", flush=True)  # noqa: T201 - the program's output
        await ended.wait()


def _await_end_of_input(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    """Read and discard the input, without a lock that could keep the interpreter from ending."""
    while os.read(0, 4096):
        continue
    with suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(ended.set)


if __name__ == "__main__":
    asyncio.run(_serve(_options()))
