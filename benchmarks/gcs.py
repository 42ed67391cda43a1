"""`GCSStorage` on fake-gcs-server against other clients, interleaved: CPU time of the client, speed, memory, URLs."""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from async_storages import GCSStorage
from async_storages.testing.gcs import fake_gcs_server
from benchmarks import Figure, engines
from benchmarks.child import child, serve
from benchmarks.engines import CHUNK, Engine, Server
from benchmarks.s3 import LARGE, LARGE_ROUNDS, large_figures, medians, rotated
from benchmarks.worker import OPERATIONS, Costs, large, small

ROUNDS = 5
COUNTS = {1: 100, 32: 320}
"""Files per round by how many are in flight."""
URLS = 200


class Ours(engines.Ours):
    async def begin(self, stack: AsyncExitStack) -> None:
        storage: Any = GCSStorage(self.server.bucket, endpoint_url=self.server.endpoint_url, anonymous=True)
        self.storage = await stack.enter_async_context(storage)


class GcloudAio(Engine):
    async def begin(self, stack: AsyncExitStack) -> None:
        from gcloud.aio.storage import Storage

        self.client: Any = await stack.enter_async_context(Storage(api_root=self.server.endpoint_url))

    async def put(self, key: str, content: bytes) -> None:
        await self.client.upload(self.server.bucket, key, content)

    async def get(self, key: str) -> int:
        return len(await self.client.download(self.server.bucket, key))

    async def head(self, key: str) -> int:
        return int((await self.client.download_metadata(self.server.bucket, key))["size"])

    async def delete(self, key: str) -> None:
        await self.client.delete(self.server.bucket, key)

    async def upload(self, key: str, file: BinaryIO) -> None:
        await self.client.upload(self.server.bucket, key, file)

    async def download(self, key: str) -> int:
        size, stream = 0, await self.client.download_stream(self.server.bucket, key)
        while chunk := await stream.read(CHUNK):
            size += len(chunk)
        return size


class Google(Engine):
    """Google's own client, in threads."""

    async def begin(self, stack: AsyncExitStack) -> None:
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.storage import Client

        options = {"api_endpoint": self.server.endpoint_url}
        client: Any = Client(project="none", credentials=AnonymousCredentials(), client_options=options)
        self.bucket: Any = client.bucket(self.server.bucket)

    async def put(self, key: str, content: bytes) -> None:
        await asyncio.to_thread(self.bucket.blob(key).upload_from_string, content)

    async def get(self, key: str) -> int:
        return len(await asyncio.to_thread(self.bucket.blob(key).download_as_bytes))

    async def head(self, key: str) -> int:
        return int((await asyncio.to_thread(self.bucket.get_blob, key)).size)

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self.bucket.blob(key).delete)

    async def upload(self, key: str, file: BinaryIO) -> None:
        await asyncio.to_thread(self.bucket.blob(key).upload_from_file, file)

    async def download(self, key: str) -> int:
        target = BytesIO()  # it streams into files only
        await asyncio.to_thread(self.bucket.blob(key).download_to_file, target)
        return target.tell()


ENGINES: dict[str, type[Engine]] = {"ours": Ours, "gcloud-aio-storage": GcloudAio, "google-cloud-storage": Google}


def measure() -> Iterator[Figure]:
    with fake_gcs_server() as server, tempfile.TemporaryDirectory() as folder:
        place = (server.endpoint_url, server.bucket)
        yield from small_files(place)
        yield from large_file(place, Path(folder, "large.bin"))
    yield from urls()


def small_files(place: tuple[str, str]) -> Iterator[Figure]:
    runs: dict[tuple[str, int], list[Costs]] = {}
    for turn in range(ROUNDS):
        for name in rotated(list(ENGINES), turn):
            with child(__name__, name, *place) as process:
                for concurrency, count in COUNTS.items():
                    process.ask("small", concurrency, 2 * concurrency)  # makes its connections
                    runs.setdefault((name, concurrency), []).append(process.ask("small", concurrency, count))
    found = {key: medians(rounds) for key, rounds in runs.items()}
    for concurrency in COUNTS:
        for operation in OPERATIONS:
            costs = {name: found[name, concurrency][operation] for name in ENGINES}
            cpu = {name: 1000 * cost["cpu"] for name, cost in costs.items()}
            speeds = {name: 1 / cost["wall"] for name, cost in costs.items()}
            what = f"GCS, {operation} 10 KiB, {concurrency} at once"
            yield Figure(f"{what}: CPU", "ms of CPU", cpu.pop("ours"), cpu)
            yield Figure(f"{what}: speed", "files per second", speeds.pop("ours"), speeds, is_more_better=True)


def large_file(place: tuple[str, str], path: Path) -> Iterator[Figure]:
    path.write_bytes(bytes(range(256)) * (LARGE >> 8))
    runs: dict[str, list[Costs]] = {name: [] for name in ENGINES}
    for turn in range(LARGE_ROUNDS):
        for name in rotated(list(ENGINES), turn):
            with child(__name__, name, *place) as process:  # a new one: memory once used makes a peak invisible
                runs[name].append(process.ask("large", str(path), LARGE))
    found = {name: medians(rounds) for name, rounds in runs.items()}
    for direction in ("up", "down"):
        costs = {name: found[name][direction] for name in ENGINES}
        yield from large_figures(f"GCS, 256 MiB {direction}", costs, LARGE)


def urls() -> Iterator[Figure]:
    """Each signature takes RSA 0.5 to 1 ms; the rest is what differs."""
    pem = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "client_email": "app@project.iam.gserviceaccount.com",
        "private_key": pem,
        "private_key_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    presigning = {"ours": ours_presigning(account), "google-cloud-storage": googles_presigning(account)}
    runs = [{name: taken(presign) for name, presign in presigning.items()} for _ in range(ROUNDS)]
    cpu = {name: statistics.median(run[name] for run in runs) / URLS * 1000 for name in presigning}
    yield Figure("GCS, presigned GET URL: CPU", "ms of CPU", cpu.pop("ours"), cpu)


def ours_presigning(account: dict[str, str]) -> Callable[[str], str]:
    storage = GCSStorage("photos", service_account_info=account)
    asyncio.run(storage.prepare())
    return storage.presign


def googles_presigning(account: dict[str, str]) -> Callable[[str], str]:
    from google.cloud.storage import Client
    from google.oauth2.service_account import Credentials

    credentials: Any = Credentials.from_service_account_info(account)
    bucket: Any = Client(project="none", credentials=credentials).bucket("photos")
    return lambda key: bucket.blob(key).generate_signed_url(version="v4", expiration=timedelta(hours=1))


def taken(presign: Callable[[str], str]) -> float:
    started = time.process_time()
    for number in range(URLS):
        presign(f"photos/2026/{number:08x}_holiday.jpg")
    return time.process_time() - started


async def main(name: str, endpoint_url: str, bucket: str) -> None:
    async with AsyncExitStack() as stack:
        engine = ENGINES[name](Server(endpoint_url, bucket, "", "", None))
        await engine.begin(stack)
        await small(engine, 2, 8)  # imports what is imported late
        await serve({"small": partial(small, engine), "large": partial(large, engine)})


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
