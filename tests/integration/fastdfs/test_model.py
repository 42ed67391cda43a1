"""Any sequence of operations on any version gives what a model says; with replicas nothing is lost, or comes back."""

import asyncio
import math
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_storages.errors import (
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    StorageUnavailableException,
)
from async_storages.fastdfs_ids import FastDFSDetails, FileKind
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import VERSIONS
from tests.support.fastdfs import FAST, GIVEN, fastdfs_cluster, leaving, parametrize_versions

OLDEST = "5.11"
SIZES = st.sampled_from([0, 1, 10, 4096, 70_000, 300_000])
METADATA = st.dictionaries(st.sampled_from(["a", "b", "author"]), st.text("xyz äß", max_size=20), max_size=3)
WHICH = st.integers(0, 7)
"""Which of the files so far; it is taken modulo their number."""


async def read(client, *arguments):
    async with aclosing(client.download(*arguments)) as chunks:
        return b"".join([chunk async for chunk in chunks])


def content_of(size, seed=0):
    return Random(f"{size} {seed}").randbytes(size)


# ---- one server


@dataclass
class File:
    """A file as the model knows it."""

    content: bytes
    metadata: dict[str, str]
    exists: bool = True


OPERATION = st.one_of(
    st.tuples(st.just("upload"), SIZES, st.booleans(), METADATA),
    st.tuples(st.just("slave"), WHICH, SIZES, METADATA),
    st.tuples(st.just("append"), WHICH, SIZES),
    st.tuples(st.just("modify"), WHICH, SIZES, SIZES),
    st.tuples(st.just("truncate"), WHICH, SIZES),
    st.tuples(st.just("regenerate"), WHICH),
    st.tuples(st.just("delete"), WHICH),
    st.tuples(st.just("set_metadata"), WHICH, METADATA, st.sampled_from(["replace", "merge"])),
    st.tuples(st.just("read"), WHICH, SIZES, st.none() | st.sampled_from([1, 10, 4096, 1 << 40])),
    st.tuples(st.just("describe"), WHICH),
)


class Model:
    """What is there, and what each operation must give."""

    def __init__(self, client, version):
        self.client = client
        self.version = version
        self.files: dict[str, File] = {}

    def chosen(self, which):
        file_id = list(self.files)[which % len(self.files)]
        return file_id, self.files[file_id], FastDFSDetails.parse(file_id).kind

    @property
    def kept(self):
        return {file_id: file for file_id, file in self.files.items() if file.exists}

    async def check_kept(self):
        for file_id, file in self.kept.items():
            assert await read(self.client, file_id) == file.content
            assert await self.client.get_metadata(file_id) == file.metadata

    async def expect(self, error, work):
        if error is None:
            return await work
        with pytest.raises(error):
            await work
        return None

    async def upload(self, size, appender, metadata):
        file_id = await self.client.upload(content_of(size), "bin", appender=appender, metadata=metadata)
        assert file_id not in self.files
        self.files[file_id] = File(content_of(size), metadata)

    async def slave(self, which, size, metadata):
        master, file, kind = self.chosen(which)
        if kind is not FileKind.NORMAL:
            return
        name = f"{master[:-4]}_small.bin"
        is_there = name in self.files and self.files[name].exists
        error = None if file.exists else FileNotFoundException
        error = FileExistsException if file.exists and is_there else error
        work = self.client.upload_slave(content_of(size, 1), master, "_small", "bin", metadata=metadata)
        if await self.expect(error, work) == name:
            self.files[name] = File(content_of(size, 1), metadata)

    def error_of(self, file, kind, *, beyond=False):
        if not file.exists:
            return FileNotFoundException
        return None if kind is FileKind.APPENDER and not beyond else InvalidArgumentException

    async def append(self, which, size):
        file_id, file, kind = self.chosen(which)
        error = self.error_of(file, kind)
        await self.expect(error, self.client.append(file_id, content_of(size, 2)))
        file.content += b"" if error else content_of(size, 2)

    async def modify(self, which, offset, size):
        file_id, file, kind = self.chosen(which)
        error = self.error_of(file, kind, beyond=offset > len(file.content))
        new = content_of(size, 3)
        await self.expect(error, self.client.modify(file_id, offset, new))
        if error is None:
            file.content = file.content[:offset] + new + file.content[offset + size :]

    async def truncate(self, which, size):
        file_id, file, kind = self.chosen(which)
        error = self.error_of(file, kind)
        await self.expect(error, self.client.truncate(file_id, size))
        if error is None:
            file.content = file.content[:size].ljust(size, b"\0")

    async def regenerate(self, which):
        file_id, file, kind = self.chosen(which)
        error = InvalidArgumentException if self.version == OLDEST else self.error_of(file, kind)
        if (new := await self.expect(error, self.client.regenerate(file_id))) is not None:
            self.files[new] = replace(file)
            file.exists = False

    async def delete(self, which):
        file_id, file, _ = self.chosen(which)
        await self.expect(None if file.exists else FileNotFoundException, self.client.delete(file_id))
        file.exists = False

    async def set_metadata(self, which, metadata, mode):
        file_id, file, _ = self.chosen(which)
        error = None if file.exists else FileNotFoundException
        await self.expect(error, self.client.set_metadata(file_id, metadata, mode=mode))
        if file.exists:
            file.metadata = metadata if mode == "replace" else file.metadata | metadata

    async def read(self, which, offset, length):
        file_id, file, _ = self.chosen(which)
        found = await self.expect(
            None if file.exists else FileNotFoundException, read(self.client, file_id, offset, length)
        )
        assert found is None or found == file.content[offset:][:length]

    async def describe(self, which):
        file_id, file, _ = self.chosen(which)
        found = await self.expect(None if file.exists else FileNotFoundException, self.client.describe(file_id))
        assert found is None or (found[0].size, found[1]) == (len(file.content), file.metadata)


async def run_on_own(version, operations):
    async with FastDFSServer(version=version) as server, fastdfs_cluster(server) as client:
        model = Model(client, version)
        await model.upload(10, False, {})
        for name, *arguments in operations:
            await getattr(model, name)(*arguments)
        assert {file.file_id: file.size for file in await server.files()} == {
            file_id: len(file.content) for file_id, file in model.kept.items()
        }
        await model.check_kept()


async def run_on_given(cluster, operations):
    """Whose files can only be counted; that all are gone in the end."""
    async with leaving(cluster), fastdfs_cluster(cluster) as client:
        model = Model(client, GIVEN)
        await model.upload(10, False, {})
        for name, *arguments in operations:
            await getattr(model, name)(*arguments)
        await model.check_kept()
        for file_id in model.kept:
            await client.delete(file_id)


def pytest_generate_tests(metafunc):
    parametrize_versions(metafunc, VERSIONS)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=st.lists(OPERATION, max_size=15))
def test_one_server(request, version, operations):
    if version == GIVEN:
        asyncio.run(run_on_given(request.getfixturevalue("fastdfs_server"), operations))
    else:
        asyncio.run(run_on_own(version, operations))


# ---- two servers, of which each may be down, and copies that come late


@dataclass
class Group:
    """What was stored, what of it was deleted, and of what nobody said whether it was."""

    contents: dict[str, bytes] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)


STEP = st.one_of(
    st.tuples(st.just("upload"), SIZES),
    st.tuples(st.just("read"), WHICH),
    st.tuples(st.just("delete"), WHICH),
    st.tuples(st.just("copy")),
    st.tuples(st.just("stop"), st.integers(0, 1), st.booleans()),
    st.tuples(st.just("restart"), st.integers(0, 1)),
)
OPTIONS = replace(FAST, retries=replace(FAST.retries, attempts=2, base=0.0))


async def run_on_two(version, steps):
    options = {"version": version, "storages_per_group": 2, "copy_delay": math.inf}
    async with FastDFSServer(**options) as server, fastdfs_cluster(server, options=OPTIONS) as client:
        group = Group()
        down: set[int] = set()
        for step, *arguments in [("upload", 10), *steps]:
            if step == "copy":
                await server.copy()
            elif step == "stop":
                down.add(arguments[0])
                await server.stop(server.storages[arguments[0]].address, noticed=arguments[1])
            elif step == "restart":
                down.discard(arguments[0])
                server.restart(server.storages[arguments[0]].address)
            else:
                try:
                    await STEPS[step](client, group, *arguments)
                except StorageUnavailableException:
                    assert down
        for storage in server.storages:
            server.restart(storage.address)
        await server.copy()
        for file_id, content in group.contents.items():
            if file_id in group.unsure - group.deleted:
                with suppress(FileNotFoundException):
                    assert await read(client, file_id) == content
            elif file_id in group.deleted:
                with pytest.raises(FileNotFoundException):
                    await client.info(file_id)
            else:
                assert await read(client, file_id) == content
        kept = {file.file_id for file in await server.files()}
        assert kept - group.unsure == group.contents.keys() - group.deleted - group.unsure


async def upload(client, group, size):
    content = content_of(size, len(group.contents))
    group.contents[await client.upload(content, "bin")] = content


async def read_one(client, group, which):
    if group.contents:
        file_id = list(group.contents)[which % len(group.contents)]
        try:
            assert await read(client, file_id) == group.contents[file_id]
        except FileNotFoundException:
            assert file_id in group.deleted | group.unsure


async def delete(client, group, which):
    if group.contents:
        file_id = list(group.contents)[which % len(group.contents)]
        try:
            await client.delete(file_id)
        except FileNotFoundException:
            assert file_id in group.deleted | group.unsure
        except StorageUnavailableException:
            group.unsure.add(file_id)
            raise
        group.deleted.add(file_id)


STEPS = {"upload": upload, "read": read_one, "delete": delete}


@pytest.mark.parametrize("with_version", [OLDEST, "6.16.1"])
@settings(max_examples=40)
@given(steps=st.lists(STEP, max_size=25))
def test_two_servers(with_version, steps):
    asyncio.run(run_on_two(with_version, steps))
