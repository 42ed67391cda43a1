"""Moves between storages of all kinds, with everything that goes with a file."""

from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import GCSStorage, LocalStorage, S3Storage, StorageManager, UploadOptions, registry
from async_storages.integrations.sqlalchemy import Migration, enable_file_tracking
from async_storages.variants.making import close_shared_pool
from tests.support.fastdfs import fastdfs_storage
from tests.support.images import encode
from tests.support.moving import Base, Paper, Picture
from tests.support.photos import RECIPES, photo
from tests.support.s3 import s3_storage


@pytest.fixture
async def engine(tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}")
    yield engine
    await engine.dispose()


@pytest.fixture
async def s3(s3_server, s3_bucket):
    async with s3_storage(s3_server, s3_bucket) as storage:
        yield storage


@pytest.fixture
def other_bucket(s3_server):
    s3_server.create_bucket(name := f"new-{uuid4().hex}")
    return name


@pytest.fixture
async def fastdfs(fastdfs_server):
    async with fastdfs_storage(fastdfs_server) as storage:
        yield storage


async def prepared(engine, source, target, **options):
    migration = Migration(engine, Base.metadata, source=source, target=target, **options)
    tables = [each for each in Base.metadata.sorted_tables if "stored_files" not in each.name]
    async with engine.begin() as connection:
        await connection.run_sync(lambda found: Base.metadata.create_all(found, tables=tables))
    return migration


async def moved(engine, source, target, *files, router=None, **options):
    """Rows for some files, moved; the migration, and the files as rows name them then."""
    with registry.override("papers", router or StorageManager.from_storages(target, source)):
        migration = await prepared(engine, source, target, **options)
        sessions = enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False))
        async with sessions.begin() as session:
            session.add_all(Paper(id=number, file=file) for number, file in enumerate(files, 1))
        await migration.plan()
        result = await migration.run()
        assert [each async for each in migration.failures()] == []
        assert result.moved == len(files)
        async with sessions() as session:
            found = [(await session.get(Paper, number)).file for number in range(1, len(files) + 1)]
        infos = [await file.get_info() for file in found]
        contents = [await file.read() for file in found]
        return SimpleNamespace(migration=migration, files=found, infos=infos, contents=contents)


PNG = encode("PNG", (8, 8))


async def test_from_fastdfs_to_s3(engine, fastdfs, s3):
    named = await fastdfs.save(b"%PDF-1.4", "Vertrag März.pdf", metadata={"author": "Ada"})
    nameless = fastdfs.file(await fastdfs.upload(PNG, "x"))
    there = await moved(engine, fastdfs, s3, named, nameless, folder="archive")
    assert [file.name.rpartition("/")[0] for file in there.files] == ["archive", "archive"]
    assert (there.files[0].filename, there.infos[0].metadata) == ("Vertrag März.pdf", {"author": "Ada"})
    assert [info.content_type for info in there.infos] == ["application/pdf", "image/png"]
    assert there.contents == [b"%PDF-1.4", PNG]
    assert (await there.migration.finish()).deleted == 2
    assert not await fastdfs.exists(named.file_id)


async def test_from_a_folder_to_s3_with_headers(engine, tmp_path, s3):
    folder = LocalStorage(tmp_path / "files")
    options = UploadOptions(cache_control="max-age=60", content_language="de")
    file = await folder.save(b"x" * 6_000_000, "a.bin", folder="big", content_type="text/x-own", options=options)
    there = await moved(engine, folder, s3, file)
    info = there.infos[0]
    assert (info.content_type, info.cache_control, info.content_language) == ("text/x-own", "max-age=60", "de")
    assert there.files[0].name.startswith("big/")
    assert there.contents == [b"x" * 6_000_000]


async def test_from_bucket_to_bucket(engine, s3, s3_server, other_bucket):
    async with s3_storage(s3_server, other_bucket) as target:
        file = await s3.save(b"content", "a.txt", folder="reports")
        there = await moved(engine, s3, target, file)
        assert there.files[0].bucket == other_bucket
        assert there.contents == [b"content"]
        assert (await there.migration.verify(content=True)).is_right


async def test_within_a_bucket_the_server_copies(engine, s3):
    file = await s3.save(b"content", "a.txt", metadata={"author": "Ada"})
    sent = []
    write = S3Storage.write
    target = s3.within("new")

    async def noted(self, content, *args, **options):
        sent.append(content)
        return await write(self, content, *args, **options)

    target.write = noted.__get__(target)
    there = await moved(engine, s3, target, file, router=s3)
    assert there.files[0].name.startswith("new/")
    assert (there.contents, there.infos[0].metadata, sent) == ([b"content"], {"author": "Ada"}, [])


async def test_bare_keys_of_old_rows_move(engine, tmp_path):
    storage = LocalStorage(tmp_path / "files")
    await storage.upload(b"content", "old/a.txt")
    with registry.override("papers", storage):
        migration = await prepared(engine, storage.within("old"), storage.within("new"))
        async with engine.begin() as connection:
            await connection.exec_driver_sql("INSERT INTO papers (id, file) VALUES (1, 'old/a.txt')")
        await migration.plan()
        assert (await migration.run()).moved == 1
        async with engine.connect() as connection:
            name = (await connection.exec_driver_sql("SELECT file FROM papers")).scalar_one()
        assert name.startswith("file:new/")
        assert await storage.read(name) == b"content"
        await migration.finish()
        assert [info.file_name async for info in storage.list()] == ["a.txt"]


@pytest.mark.parametrize("kind", ["fastdfs", "folder"])
async def test_variants_move_with_their_original(engine, tmp_path, s3, fastdfs, kind):
    source = fastdfs if kind == "fastdfs" else LocalStorage(tmp_path / "files")
    with registry.override("papers", StorageManager.from_storages(source, s3)):
        migration = await prepared(engine, source, s3)
        sessions = enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False))
        async with sessions.begin() as session:
            session.add(picture := Picture(id=1, image=photo()))
        before = picture.image
        old = {name: await before.variant(name).read() for name in RECIPES}
        await migration.plan()
        assert (await migration.run()).moved == 1
        async with sessions() as session:
            picture = await session.get(Picture, 1)
        assert (picture.image.scheme, picture.width) == ("s3", 64)
        assert {name: await picture.image.variant(name).read() for name in RECIPES} == old
        await migration.finish()
        assert not await before.exists()
        assert not await before.variant("thumb").exists()
        await close_shared_pool()


@pytest.fixture
def gcs_bucket(gcs_server):
    gcs_server.create_bucket(name := f"new-{uuid4().hex}")
    return name


@pytest.fixture
async def bucket(request, s3, gcs_server, gcs_bucket):
    if request.param == "S3":
        yield s3
        return
    async with GCSStorage(gcs_bucket, endpoint_url=gcs_server.endpoint_url, anonymous=True) as storage:
        yield storage


@pytest.mark.parametrize("bucket", ["S3", "Google Cloud Storage"], indirect=True)
@pytest.mark.parametrize("size", [0, 100, 6_000_000, 8 << 20, 20_000_000])
async def test_a_copy_in_a_bucket_is_checked_by_its_etag(engine, tmp_path, bucket, size):
    """Also one that was sent in parts. Large files are not read again, and small ones need one request."""
    folder = LocalStorage(tmp_path / "files")
    called = []
    stream, stat = bucket.stream, bucket.stat

    def streamed(name, *args, **options):
        called.append("stream")
        return stream(name, *args, **options)

    def asked(name, *args, **options):
        called.append("stat")
        return stat(name, *args, **options)

    content = bytes(size)
    file = await folder.save(content, "a.bin")
    bucket.stream, bucket.stat = streamed, asked
    there = await moved(engine, folder, bucket, file)
    assert (there.contents, called) == ([content], ["stat", "stream"]), "called by this test alone"


@pytest.mark.parametrize(
    ("answered", "asked"),
    [(None, ["stat", "stream"]), ("0" * 32, ["stream", "stream"])],
    ids=["none", "of other bytes"],
)
async def test_an_answer_that_does_not_confirm_the_bytes_is_not_believed(engine, tmp_path, s3, answered, asked):
    """Without an ETag the copy is looked at. With another one, as SSE-KMS gives it, the copy is read."""
    called = []
    write, stream, stat = s3.write, s3.stream, s3.stat

    async def written(content, *args, **options):
        file_id = await write(content, *args, **options)
        content.etag = answered
        return file_id

    def streamed(name, *args, **options):
        called.append("stream")
        return stream(name, *args, **options)

    def looked(name, *args, **options):
        called.append("stat")
        return stat(name, *args, **options)

    folder = LocalStorage(tmp_path / "files")
    file = await folder.save(b"content", "a.bin")
    s3.write, s3.stream, s3.stat = written, streamed, looked
    there = await moved(engine, folder, s3, file)
    assert there.contents == [b"content"]
    assert [*called[:1], called[-1]] == asked, "the last ones are called by this test"
