"""Modes, routes and lifetimes of a manager; no server is asked."""

import asyncio
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Column, create_engine
from sqlalchemy.orm import Session

from async_storages import (
    CustomerKey,
    FastDFSStorage,
    FileDownload,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    RouteNotSupportedException,
    S3Config,
    S3Storage,
    StorageClosedException,
    StorageException,
    StorageManager,
    StorageMode,
    StorageModeConfig,
    StorageUnavailableException,
    StoredFile,
    UploadOptions,
    registry,
)
from async_storages.integrations.sqlalchemy import FileType
from async_storages.validation import FileTypeConfig, FileValidator
from tests.support.documents import row_class
from tests.support.managers import NOWHERE, SECRET, fastdfs_config, offline, s3_config

FASTDFS_ID = "group1/M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"
OLD_ID = "group1/M00/00/00/old_contract.pdf"


def s3_storage(bucket, **options):
    return S3Storage.from_config(s3_config(bucket=bucket), **options)


# ---- settings


def test_the_settings_of_s3_have_the_defaults_that_users_know():
    assert s3_config().region is None
    assert StorageModeConfig().mode is StorageMode.HYBRID
    assert [*map(str, StorageMode)] == ["s3", "fastdfs", "hybrid"]


def test_every_setting_of_s3_reaches_the_storage():
    config = s3_config(
        session_token=SECRET,
        region="eu-west-1",
        use_ssl=False,
        addressing_style="path",
        default_acl="private",
        custom_domain="cdn.example.com",
        querystring_auth=True,
        public_url="https://files.example.com",
        storage_class="STANDARD_IA",
        conditional_writes=False,
        checksums="never",
        upload_options=UploadOptions(encryption="AES256"),
        requester_pays=True,
        profile_name=None,
        proxy="",
        ca_bundle="ca.pem",
        verify=True,
    )
    assert config.model_fields_set == set(S3Config.model_fields)
    storage = S3Storage.from_config(config)

    assert asyncio.run(storage.get_path("a b.txt")) == "http://cdn.example.com/a%20b.txt"
    put = storage.presign("a.txt", method="PUT")
    assert put.startswith("https://files.example.com/photos/a.txt?")
    for part in ("eu-west-1", "X-Amz-Security-Token"):
        assert part in put
    assert storage.presigned_headers() == {
        "x-amz-request-payer": "requester",
        "x-amz-acl": "private",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-server-side-encryption": "AES256",
    }
    options = storage._client.wire.options
    assert (options.proxy, options.ca_bundle, options.verify) == ("", Path("ca.pem"), True)


@pytest.mark.parametrize(
    "wrong",
    [{"default_bucket": None}, {"buckets": "a"}, {"addressing_style": SECRET}, {"secret_access_key": [SECRET]}],
    ids=repr,
)
def test_settings_that_cannot_be_right_are_refused_without_their_values(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))) as caught:
        s3_config(**wrong)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"default_bucket": ""},
        {"endpoint": f"http://me:{SECRET}@host"},
        {"secret_access_key": None},
        {"default_acl": "a b"},
    ],
    ids=repr,
)
def test_settings_that_do_not_go_together_are_refused_by_the_manager(wrong):
    with pytest.raises(InvalidArgumentException) as caught:
        StorageManager(StorageModeConfig(mode="s3"), s3_config(**wrong))
    assert SECRET not in str(caught.value)


def test_no_secret_is_shown():
    config, manager = s3_config(session_token=SECRET), offline()
    shown = (manager, manager.s3, manager.default_storage, config, config.model_dump(), config.model_dump_json())

    assert SECRET not in " ".join(map(repr, shown))
    assert pickle.loads(pickle.dumps(config)) == config

    keyed = s3_config(upload_options=UploadOptions(encryption=CustomerKey(SECRET.ljust(32, "x").encode())))
    assert SECRET not in " ".join(map(repr, (keyed, keyed.model_dump(), keyed.model_dump_json())))


# ---- modes


@pytest.mark.parametrize(
    ("mode", "given", "missing"),
    [
        ("s3", {}, "s3_config"),
        ("s3", {"fastdfs_config": fastdfs_config()}, "s3_config"),
        ("fastdfs", {}, "fastdfs_config"),
        ("fastdfs", {"s3_config": s3_config()}, "fastdfs_config"),
        ("hybrid", {}, "fastdfs_config and s3_config"),
        ("hybrid", {"s3_config": s3_config()}, "fastdfs_config"),
        (None, {"fastdfs_config": fastdfs_config()}, "s3_config"),
    ],
)
def test_a_mode_without_its_settings_is_refused(mode, given, missing):
    config = None if mode is None else StorageModeConfig(mode=mode)

    with pytest.raises(InvalidArgumentException, match=rf"mode {mode or 'hybrid'} needs {missing}$"):
        StorageManager(config, **given)


@pytest.mark.parametrize(("mode", "scheme"), [("s3", "s3"), ("fastdfs", "fastdfs"), ("hybrid", "s3")])
def test_new_files_go_where_the_mode_says(mode, scheme):
    assert offline(mode).default_storage.scheme == scheme


@pytest.mark.parametrize(("mode", "missing"), [("s3", "fastdfs"), ("fastdfs", "s3")])
def test_a_mode_has_no_raw_client_of_the_other_system(mode, missing):
    with pytest.raises(RouteNotSupportedException, match=f"mode {mode} has no "):
        getattr(offline(mode), missing)


@pytest.mark.parametrize(
    "options",
    [
        {"allowed_buckets": "archive"},
        {"allowed_buckets": ["No Bucket"]},
        {"storages": {"gs": MemoryStorage()}},
        {"storages": {"s3": s3_storage("photos")}},
        {"allowed_buckets": ["archive"], "storages": {"s3": s3_storage("archive")}},
        {"max_file_size": 0},
        {"concurrency": 0},
    ],
    ids=str,
)
def test_options_that_cannot_be_right_are_refused_at_once(options):
    with pytest.raises(InvalidArgumentException):
        offline(**options)


# ---- routes

PHOTO, ARCHIVED, LOCAL = "s3:photos/a/b.jpg", "s3:archive/b.jpg", "file:a.txt"
ROUTES = {
    "s3": {PHOTO: "photos", ARCHIVED: "archive", LOCAL: "file", FASTDFS_ID: None, OLD_ID: None},
    "fastdfs": {PHOTO: None, ARCHIVED: None, LOCAL: "file", FASTDFS_ID: "fastdfs", OLD_ID: "fastdfs"},
    "hybrid": {PHOTO: "photos", ARCHIVED: "archive", LOCAL: "file", FASTDFS_ID: "fastdfs", OLD_ID: "fastdfs"},
}
NEVER = ("s3:evil/b.jpg", "s3:PHOTOS/b.jpg", "s3:photos.evil/b.jpg", "gs:photos/b.jpg", "mem:b.jpg")


@pytest.mark.parametrize("mode", ROUTES)
def test_an_id_alone_tells_the_storage(mode, tmp_path):
    manager = offline(mode, allowed_buckets=["archive", "photos"], storages={"file": LocalStorage(tmp_path)})

    for file_id, place in {**ROUTES[mode], **dict.fromkeys(NEVER)}.items():
        if place is None:
            with pytest.raises(RouteNotSupportedException) as caught:
                manager.storage_for(file_id)
            assert (caught.value.file_id, caught.value.http_status) == (file_id, 403)
        else:
            storage = manager.storage_for(file_id)
            assert (storage.bucket or storage.scheme) == place
            assert str(manager.identify(file_id)) == manager.file(file_id).file_id == file_id


@pytest.mark.parametrize(
    ("file_id", "reason"),
    [
        (PHOTO, "mode fastdfs has no storage for s3 ids"),
        ("gs:photos/b.jpg", "mode fastdfs has no storage for gs ids"),
    ],
)
def test_a_refusal_says_why(file_id, reason):
    with pytest.raises(RouteNotSupportedException, match=reason):
        offline("fastdfs").storage_for(file_id)


@pytest.mark.parametrize(
    "text",
    ["", "s3:", "s3:photos", "s3:photos/", "s3:/b", "nope:a/b", "a\0b", "s3:photos/\ud800", None, 7, b"s3:photos/a"],
    ids=repr,
)
def test_what_is_no_id_is_refused(text):
    with pytest.raises(InvalidArgumentException):
        offline().storage_for(text)


@pytest.mark.parametrize("key", ["../photos/b.jpg", "a/../../b.jpg", "a/.."])
def test_no_key_leads_elsewhere(key):
    with pytest.raises(InvalidArgumentException):
        offline().file(f"s3:photos/{key}")


EVIL = "s3:evil/secret.txt"
OPERATIONS = {
    "file": lambda manager: manager.file(EVIL),
    "identify": lambda manager: manager.identify(EVIL),
    "a file object": lambda manager: StoredFile(EVIL, manager).read(),
    "url": lambda manager: StoredFile(EVIL, manager).get_path(),
    "presign": lambda manager: StoredFile(EVIL, manager).get_presigned_url(),
    "presign by the storage": lambda manager: manager.default_storage.presign(EVIL),
    "presign_many": lambda manager: manager.default_storage.presign_many([PHOTO, EVIL]),
    "presign_post": lambda manager: manager.default_storage.presign_post(EVIL),
    "copy from": lambda manager: manager.default_storage.copy(EVIL, PHOTO),
    "copy to": lambda manager: manager.default_storage.copy(PHOTO, EVIL),
    "replace": lambda manager: StoredFile(EVIL, manager).upload(b""),
    "upload": lambda manager: manager.upload_service.upload_bytes("a.txt", b"", bucket="evil"),
    "download": lambda manager: manager.download_service.download_bytes(EVIL),
    "download to": lambda manager: manager.download_service.download_to_stream(EVIL, sys.stdout.buffer),
    "generator": lambda manager: manager.download_service.download_to_generator(EVIL),
    "zip": lambda manager: manager.download_service.stream_zip([FileDownload(file_id=EVIL)]),
    "zip, with errors listed": lambda manager: manager.download_service.stream_zip(
        [FileDownload(file_id=EVIL)], on_error="list"
    ),
    "prepared zip": lambda manager: manager.download_service.prepare_zip([FileDownload(file_id=EVIL)], on_error="list"),
    "delete": lambda manager: manager.delete_service.delete_file(EVIL),
    "delete many": lambda manager: manager.delete_service.delete_files([PHOTO, EVIL]),
    "info": lambda manager: manager.info_service.get_file_info(EVIL),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_a_bucket_that_is_not_allowed_is_refused_whatever_is_asked(operation):
    async with offline(allowed_buckets=["archive"]) as manager:
        with pytest.raises(RouteNotSupportedException, match="evil"):  # not StorageUnavailable: nobody was asked
            await operation(manager)


def test_storages_that_are_made_already():
    default, other = MemoryStorage(), s3_storage("photos")
    manager = StorageManager.from_storages(default, other, default)

    assert manager.storages == (default, other)
    assert manager.storage_for_new("any") is default
    with pytest.raises(RouteNotSupportedException, match="'evil' is not one of those that are allowed"):
        manager.storage_for("s3:evil/a")
    with pytest.raises(RouteNotSupportedException, match="this manager has no storage for fastdfs ids"):
        manager.storage_for(OLD_ID)


def test_a_bare_key_is_told_what_it_lacks():
    with registry.override("photos", StorageManager.from_storages(MemoryStorage())):
        column = FileType("photos")
        with pytest.raises(RouteNotSupportedException, match=r"'cats/x.jpg' has no scheme: .*, such as 'mem:cats/x"):
            column.coerce("cats/x.jpg")


def test_two_storages_for_the_same_ids_are_refused():
    with pytest.raises(InvalidArgumentException, match="two storages serve the same ids"):
        StorageManager.from_storages(MemoryStorage(), MemoryStorage())


async def test_from_storages_validates_what_it_is_told_to():
    validator = FileValidator(FileTypeConfig(whitelist=["txt"]), max_file_size=3)
    async with StorageManager.from_storages(MemoryStorage(), validator=validator) as manager:
        await manager.upload_service.upload_bytes("a.txt", b"123")
        for name, content in [("a.exe", b"1"), ("a.txt", b"1234")]:
            with pytest.raises(StorageException, match=r"allowed|must be one of"):
                await manager.upload_service.upload_bytes(name, content)


def test_the_name_of_a_manager_is_its_own():
    with registry.override("documents", MemoryStorage()), pytest.raises(InvalidArgumentException, match="taken"):
        StorageManager.from_storages(MemoryStorage(), name="documents")


# ---- columns


@pytest.fixture
def documents():
    """A manager of two kinds of storage, under a name."""
    manager = StorageManager.from_storages(MemoryStorage(), s3_storage("photos"), FastDFSStorage(fastdfs_config()))
    with registry.override("documents", manager):
        yield manager


@pytest.mark.parametrize("by_name", [True, False], ids=["by name", "itself"])
def test_a_column_takes_what_the_manager_serves(documents, by_name):
    row = row_class(file=Column(FileType("documents" if by_name else documents)))
    engine = create_engine("sqlite://")
    row.metadata.create_all(engine)
    with Session(engine) as session:
        for file_id in ("mem:a.txt", PHOTO, FASTDFS_ID):
            session.add(row(file=file_id))
        session.commit()
        session.expire_all()
        files = [found.file for found in session.query(row).order_by(row.id)]
        assert [file.storage.scheme for file in files] == ["mem", "s3", "fastdfs"]
        again = pickle.loads(pickle.dumps(files))
        assert [file.storage for file in again] == [file.storage for file in files]
        for refused in (EVIL, "gs:photos/a", "file:a.txt"):
            with pytest.raises(RouteNotSupportedException):
                row(file=refused)
    engine.dispose()


async def test_what_a_service_has_stored_goes_into_a_column(documents):
    attach = await documents.upload_service.upload_bytes("a.txt", b"hello")
    row = row_class(file=Column(FileType("documents")))

    assert await row(file=attach).file.read() == b"hello"


# ---- lifetimes


class Reluctant(MemoryStorage):
    """Fails when told to."""

    scheme = "reluctant"

    def __init__(self, *failing):
        super().__init__()
        self.failing = failing

    def __repr__(self):
        return "Reluctant()"

    def _fail(self, when):
        if when in self.failing:
            raise StorageUnavailableException(f"no {when}")

    async def __aenter__(self):
        self._fail("open")
        return await super().__aenter__()

    async def aclose(self):
        self._fail("aclose")
        await super().aclose()

    async def ping(self):
        self._fail("ping")


async def test_closed_it_refuses_everything_and_opens_again():
    storage = MemoryStorage()
    manager = StorageManager.from_storages(storage)
    attach = await manager.upload_service.upload_bytes("a.txt", b"hello")  # opens by itself
    await manager.aclose()
    await manager.aclose()
    for refused in (manager.upload_service.upload_bytes("a.txt", b""), manager.info_service.get_file_info("mem:a")):
        with pytest.raises(StorageClosedException):
            await refused

    assert await manager.open() is manager
    assert await manager.download_service.download_bytes(attach.file_id) == b"hello"
    await manager.aclose()


async def test_raw_clients_are_closed_with_the_manager():
    manager = offline()
    await manager.aclose()

    for refused in (
        manager.s3.upload_bytes("a.txt", b""),
        manager.s3.upload_bytes("a.txt", b"", bucket="other"),
        manager.s3.create_multipart_upload("photos", "a.txt"),
        manager.fastdfs.upload_bytes("a.txt", b""),
    ):
        with pytest.raises(StorageClosedException):
            await refused


@pytest.mark.parametrize("when", ["open", "aclose"])
async def test_one_that_fails_keeps_no_other_open(when):
    first, last = MemoryStorage(), s3_storage("photos")
    manager = StorageManager.from_storages(first, Reluctant(when), last)

    with pytest.raises(StorageUnavailableException, match=f"no {when}"):
        async with manager:
            pass
    with pytest.raises(StorageClosedException):
        await first.read("a.txt")
    if when == "aclose":
        with pytest.raises(StorageClosedException):
            await last.read("a.txt")


async def test_a_ping_says_which_storage_is_down():
    await StorageManager.from_storages(MemoryStorage(), Reluctant()).ping()
    with pytest.raises(StorageUnavailableException, match=r"ping 'Reluctant\(\)': no ping"):
        await StorageManager.from_storages(MemoryStorage(), Reluctant("ping")).ping()


# ---- extras

WITHOUT_AIOHTTP = f"""
import sys
from pathlib import Path
sys.modules["aiohttp"] = None
from async_storages import FastDFSClient, FastdfsConfig, S3Client, S3Config, StorageManager, StorageModeConfig
s3 = S3Config(endpoint="{NOWHERE}", access_key_id="a", secret_access_key="b", default_bucket="photos")
fastdfs = FastdfsConfig(tracker_servers=["{NOWHERE}"])
print(StorageManager(StorageModeConfig(mode="fastdfs"), fastdfs_config=fastdfs).fastdfs is not None)
for needing in (lambda: StorageManager(StorageModeConfig(mode="s3"), s3), lambda: S3Client(s3)):
    try:
        needing()
    except ImportError as error:
        print(error)
"""


def test_fastdfs_needs_no_aiohttp_and_s3_says_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT_AIOHTTP], check=False, capture_output=True, text=True)

    assert done.stderr == ""
    hint = 'S3 needs aiohttp: run  pip install "sqlalchemy-async-storages[s3]"'
    assert done.stdout.splitlines() == ["True", hint, hint]
