"""ETags of S3, as AWS documents them for files without parts and as its servers answer them for others."""

from hashlib import md5

import pytest

from async_storages.integrations.sqlalchemy.migration.etags import ETag

DATA = bytes(range(256)) * 100


def expected(part_size):
    parts = [DATA[start : start + part_size] for start in range(0, len(DATA), part_size)]
    return f"{md5(b''.join(md5(each).digest() for each in parts)).hexdigest()}-{len(parts)}"


def computed(part_size, chunk_size):
    etag = ETag(len(DATA), part_size)
    for start in range(0, len(DATA), chunk_size):
        etag.update(DATA[start : start + chunk_size])
    return str(etag)


@pytest.mark.parametrize("chunk_size", [7, 1000, 2560, 25_600])
def test_one_part_has_its_md5(chunk_size):
    assert computed(len(DATA), chunk_size) == md5(DATA).hexdigest()


@pytest.mark.parametrize("chunk_size", [7, 1000, 2560, 25_600])
@pytest.mark.parametrize("part_size", [1000, 2560, 25_599])
def test_several_parts(part_size, chunk_size):
    assert computed(part_size, chunk_size) == expected(part_size)


def test_nothing():
    assert str(ETag(0, 10)) == md5(b"").hexdigest()
