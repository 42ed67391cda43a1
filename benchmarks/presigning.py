"""Presigned GET URLs per second of CPU time, of the same keys for all."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from async_storages import S3Storage
from benchmarks import Figure, Goal

ROUNDS = 7
GOAL = 20  # times botocore
EXPIRES_IN = 3600
KEYS = [f"photos/2026/{number:08x}_holiday.jpg" for number in range(500)]
ENDPOINT, KEY_ID, SECRET = "http://localhost:9000", "AKIAIOSFODNN7EXAMPLE", "a secret that nobody knows"

type Presign = Callable[[], list[str]]


def ours(kind: type[S3Storage] = S3Storage, keys: list[str] = KEYS) -> tuple[Presign, Presign]:
    storage = kind("photos", endpoint_url=ENDPOINT, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET)
    return (
        lambda: [storage.presign(key, EXPIRES_IN) for key in keys],
        lambda: storage.presign_many(keys, EXPIRES_IN),
    )


def botocore(keys: list[str] = KEYS) -> Presign:
    import botocore.session
    from botocore.config import Config

    client: Any = botocore.session.get_session().create_client(
        "s3",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )

    def presign(key: str) -> str:
        return client.generate_presigned_url("get_object", {"Bucket": "photos", "Key": key}, EXPIRES_IN)

    return lambda: [presign(key) for key in keys]


def obstore() -> tuple[Presign, Presign]:
    from obstore import sign
    from obstore.store import S3Store

    store = S3Store(
        "photos",
        endpoint=ENDPOINT,
        region="us-east-1",
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
        client_options={"allow_http": True},
    )
    expires_in = timedelta(seconds=EXPIRES_IN)
    return (
        lambda: [sign(store, "GET", key, expires_in) for key in KEYS],
        lambda: list(sign(store, "GET", KEYS, expires_in)),
    )


def rate(presign: Presign) -> float:
    gc.collect()
    started = time.process_time()
    urls = presign()
    took = time.process_time() - started
    assert [url.partition("?")[0] for url in urls] == [f"{ENDPOINT}/photos/{key}" for key in KEYS]
    return len(urls) / took


def measure() -> Iterator[Figure]:
    one, many = ours()
    obstore_one, obstore_many = obstore()
    engines = {
        "presign": one,
        "presign_many": many,
        "botocore": botocore(),
        "obstore.sign, one by one": obstore_one,
        "obstore.sign, a list": obstore_many,
    }
    for presign in engines.values():
        presign()
    runs = [{name: rate(presign) for name, presign in engines.items()} for _ in range(ROUNDS)]
    rates = {name: statistics.median(run[name] for run in runs) for name in engines}
    for name, peer in (("presign", "obstore.sign, one by one"), ("presign_many", "obstore.sign, a list")):
        peers = {"botocore": rates["botocore"], "obstore": rates[peer]}
        goals = (Goal(GOAL, "botocore"),)
        yield Figure(f"presigned GET URLs, {name}", "per second of CPU", rates[name], peers, goals, is_more_better=True)
