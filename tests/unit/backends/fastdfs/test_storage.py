"""A FastDFSStorage: its options, what becomes of names, types and metadata, its links."""

import time
from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest
from aiofdfs import FastDfsConf

from async_storages.backends.fastdfs.pool import FastDFSOptions
from async_storages.backends.fastdfs.storage import FastDFSStorage
from async_storages.backends.fastdfs.token import anti_leech_token
from async_storages.config import FastdfsConfig, S3Config
from async_storages.errors import (
    FileExistsException,
    FileNotFoundException,
    InvalidArgumentException,
    OperationNotSupportedException,
    StorageOperationException,
)
from async_storages.fastdfs_ids import FastDFSDetails, FileKind
from async_storages.manager.raw_clients import FastDFSClient
from async_storages.storage.capabilities import SupportsMetadata, SupportsPresign
from async_storages.testing import FastDFSServer
from async_storages.testing.fastdfs_server import Fault
from tests.support.fastdfs import fastdfs_storage, leaving, place_of

PATH = "M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"
FILE_ID = f"group1/{PATH}"
SECRET = "hidden-from-all"
NOW = 1_800_000_000
UPLOAD, DELETE, SET_METADATA, GET_METADATA, INFO, SLAVE, QUERY_STORE, QUERY_UPDATE = 11, 12, 13, 15, 22, 21, 101, 103
QUERIES = {101, 102, 103}
ENDLESS = Fault(cut=1 << 40)
"""Lets everything pass, and is counted."""


@pytest.fixture
async def server():
    async with FastDFSServer() as server:
        yield server


@pytest.fixture
def place(request):
    return place_of(request)


@pytest.fixture
async def storage(place):
    async with fastdfs_storage(place) as storage:
        yield storage


@pytest.fixture
def asked(server):
    """The commands that have come, in ascending order, each as often as it came."""
    counters = {
        command: server.inject(ENDLESS, command, times=None)
        for command in (UPLOAD, DELETE, SET_METADATA, GET_METADATA, SLAVE, INFO, 14, QUERY_STORE, QUERY_UPDATE)
    }
    return lambda: [command for command, counter in sorted(counters.items()) for _ in range(counter.fired)]


# ---- options


def unopened(**options):
    return FastDFSStorage(**{"tracker_servers": ["10.0.0.1"], "url_base": "https://files.example", **options})


def test_what_is_given_beside_the_config_goes_first():
    config = FastdfsConfig(tracker_servers=["a"], group="group1", network_timeout=7, secret_key=SECRET, token_ttl=900)
    found = FastDFSStorage(config, tracker_servers=["b", "c:1"], network_timeout=8, token_ttl=60)._config
    assert found.tracker_servers == ["b", "c:1"]
    assert (found.group, found.network_timeout, found.token_ttl) == ("group1", 8, 60)
    assert found.secret_key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("config", "options", "timeouts"),
    [
        ({}, None, (2, 30)),
        ({}, FastDFSOptions(connect_timeout=5, network_timeout=6), (5, 6)),
        ({"connect_timeout": 3}, FastDFSOptions(connect_timeout=5, network_timeout=6), (3, 6)),
        ({"connect_timeout": 2}, FastDFSOptions(connect_timeout=5), (2, 30)),
    ],
    ids=["defaults", "options", "one of each", "said, if only the default"],
)
def test_time_outs_that_were_said_go_before_the_options(config, options, timeouts):
    found = FastDFSStorage(FastdfsConfig(tracker_servers=["a"], **config), options=options).cluster.options
    assert (found.connect_timeout, found.network_timeout) == timeouts


WRONG = {
    "tracker_servers": [[], ["a:0"], "10.0.0.1:22122", None],
    "group": ["a b", "g" * 17],
    "store_path_index": [255, -2],
    "connect_timeout": [0],
    "network_timeout": [-1],
    "token_ttl": [0],
    "secret_key": [""],
    "url_base": ["files.example", "ftp://files.example", "http://", "http://a?b", "http://a#b"],
}


@pytest.mark.parametrize(("option", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_what_cannot_be_is_refused_at_once(option, value):
    with pytest.raises(InvalidArgumentException):
        unopened(**{option: value})


@pytest.mark.parametrize("trackers", [["a:1", "b"], ("a:1", "b")], ids=["list", "tuple"])
@pytest.mark.parametrize("make", [FastDFSStorage, lambda trackers: FastDFSClient(trackers).storage], ids=["", "client"])
def test_a_list_of_trackers_will_do_for_a_config(make, trackers):
    assert make(trackers).location == "a:1,b:22122"


def test_options_go_beside_a_list_of_trackers():
    storage = FastDFSStorage(["a"], group="group1", network_timeout=8)
    assert (storage._config.group, storage._config.network_timeout) == ("group1", 8)


NO_TRACKERS = {
    "str": ("10.0.0.1:22122", r"FastdfsConfig.*\['10.0.0.1:22122'\].*not a str"),
    "bytes": (b"10.0.0.1:22122", "not a bytes"),
    "int": (22122, "not a int"),
    "dict": ({"tracker_servers": ["a"]}, "not a dict"),
    "another config": (S3Config(default_bucket="b"), "not a S3Config"),
    "empty": ([], "at least 1"),
    "int within": ([1], "tracker_servers.0: Input should be a valid string"),
    "None within": ([None], "tracker_servers.0"),
    "port alone": ([":22122"], "no address"),
    "URL": (["http://a:22122"], "no address"),
}


@pytest.mark.parametrize(("wrong", "said"), NO_TRACKERS.values(), ids=NO_TRACKERS)
def test_what_is_neither_a_config_nor_trackers_is_refused(wrong, said):
    with pytest.raises(InvalidArgumentException, match=said):
        FastDFSStorage(wrong)


def test_without_trackers_it_is_said_how_they_are_given():
    with pytest.raises(InvalidArgumentException, match="tracker_servers: Field required"):
        FastDFSStorage()


def test_trackers_are_given_once():
    with pytest.raises(InvalidArgumentException, match="given twice"):
        FastDFSStorage(["a"], tracker_servers=["b"])


@pytest.mark.parametrize("trackers", [["b:1", "a"], ["a:22122", "b:1"]])
def test_the_place_of_a_cluster_is_its_trackers(trackers):
    storage = unopened(tracker_servers=trackers, secret_key=SECRET)
    assert storage.location == "a:22122,b:1"
    assert repr(storage) == "FastDFSStorage('a:22122,b:1')"


@pytest.mark.parametrize("servers", ["10.0.0.1:22122,10.0.0.2:22122", ["10.0.0.1:22122", "10.0.0.2:22122"]])
def test_the_configuration_of_aiofdfs(servers):
    conf = FastDfsConf(servers, connect_timeout=3, network_timeout=4)
    storage = FastDFSStorage.from_conf(conf, url_base="https://files.example", network_timeout=9)
    assert storage.location == "10.0.0.1:22122,10.0.0.2:22122"
    assert storage._config.url_base == "https://files.example"
    assert (storage.cluster.options.connect_timeout, storage.cluster.options.network_timeout) == (3, 9)


@pytest.mark.parametrize(("said", "index"), [(-1, -1), (0, 0), (2, 2), (255, -1)])
def test_the_disk_that_aiofdfs_was_told(said, index):
    """There 255 is, as in the protocol, any of them."""
    conf = FastDfsConf("10.0.0.1:22122", store_path_index=said)
    assert FastDFSStorage.from_conf(conf)._config.store_path_index == index


@pytest.mark.parametrize("protocol", [SupportsPresign, SupportsMetadata])
def test_its_powers(protocol):
    assert isinstance(unopened(), protocol)


async def test_where_files_go():
    async with (
        FastDFSServer(groups=("a", "b"), store_paths=3) as server,
        fastdfs_storage(server, group="b", store_path_index=2) as storage,
    ):
        ids = [await storage.upload(b"x", "a.txt") for _ in range(3)]
    assert {file_id[:6] for file_id in ids} == {"b/M02/"}


# ---- names and types

NAMES = {
    "a.txt": "txt",
    "a.tar.gz": "gz",
    "A.JPEG": "JPEG",
    ".hidden": "",
    "no ext": "",
    "a.sixsix": "sixsix",
    "a.sevenxx": "",
    "文件.txt": "txt",
    "a.文": "",
    "a.b c": "",
    "a.x_-": "x_-",
}


@pytest.mark.parametrize(("name", "extension"), NAMES.items(), ids=NAMES)
async def test_extensions_that_fastdfs_keeps(storage, name, extension):
    stored = await storage.save(b"content", name)
    assert str(stored.file_id)[-7:].lstrip("0123456789") == (f".{extension}" if extension else "")
    assert FastDFSDetails.parse(str(stored.file_id)).kind is FileKind.NORMAL
    assert (await storage.stat(stored)).file_name == name.lstrip(".")
    assert await stored.read() == b"content"


PNG = b"\x89PNG\r\n\x1a\n" + bytes(30)


@pytest.mark.parametrize(
    ("content", "name", "content_type", "is_kept"),
    [
        (b"text", "a.txt", None, False),
        (PNG, "a.png", None, False),
        (PNG, "picture", None, True),
        (b"text", "a.txt", "text/x-special", True),
        (b"\0\1", "a", None, False),
    ],
    ids=["text", "image", "without extension", "given", "unknown"],
)
async def test_types_are_kept_where_the_extension_does_not_tell(storage, content, name, content_type, is_kept):
    stored = await storage.save(content, name, content_type=content_type, store_name=False)
    assert ("ContentType" in await storage.cluster.get_metadata(stored.file_id)) is is_kept
    expected = content_type or {b"text": "text/plain", PNG: "image/png"}.get(content, "application/octet-stream")
    info = await storage.stat(stored)
    assert (info.content_type, info.metadata) == (expected, {})


@pytest.mark.parametrize(
    ("options", "commands"),
    [
        ({"store_name": False}, [UPLOAD, QUERY_STORE]),
        ({}, [UPLOAD, SET_METADATA, QUERY_STORE]),
        ({"store_name": False, "metadata": {"a": "1"}}, [UPLOAD, SET_METADATA, QUERY_STORE]),
        ({"metadata": {"a": "1"}}, [UPLOAD, SET_METADATA, QUERY_STORE]),
    ],
    ids=["neither", "name", "metadata", "both"],
)
async def test_the_name_costs_a_round_trip(storage, asked, options, commands):
    stored = await storage.save(b"content", "report.txt", **options)
    assert asked() == commands
    info = await storage.stat(stored)
    segment = str(stored.file_id).rpartition("/")[2]
    assert info.file_name == (segment if "store_name" in options else "report.txt")
    assert info.metadata == options.get("metadata", {})


async def test_what_was_saved_knows_its_size_without_asking(storage, asked):
    stored = await storage.save(b"content", "a.txt", folder="of no effect", store_name=False)
    assert stored.known_size == 7
    assert asked() == [UPLOAD, QUERY_STORE]


async def test_a_file_that_cannot_be_described_is_removed_again(server, storage):
    server.inject(Fault(status=28), SET_METADATA)
    with pytest.raises(StorageOperationException, match="no space is left"):
        await storage.save(b"content", "a.txt")
    assert await server.files() == []


async def test_a_file_whose_description_was_not_answered_is_described_again(server, storage):
    cut = server.inject(Fault(cut=0), SET_METADATA)
    stored = await storage.save(b"content", "a.txt")
    assert (await storage.stat(stored)).file_name == "a.txt"
    assert cut.fired == 1
    assert len(await server.files()) == 1


# ---- metadata

LONGEST = {"k" * 64: "文" * 85 + "v"}


async def test_metadata_up_to_the_limits_in_any_script(storage):
    metadata = {**LONGEST, "author": "Лев Толстой", "標題".encode().hex(): "標題 🌸"}
    stored = await storage.save(b"content", "文件 1.txt", metadata=metadata)
    info = await storage.stat(stored)
    assert (info.file_name, info.metadata, info.content_type) == ("文件 1.txt", metadata, "text/plain")


TOO_MUCH = {
    "value": {"a": "v" * 257},
    "value in UTF-8": {"a": "文" * 86},
    "key": {"k" * 65: ""},
    "in all": {f"key-{number:04}": "v" * 256 for number in range(1000)},
}


@pytest.mark.parametrize("metadata", TOO_MUCH.values(), ids=TOO_MUCH)
async def test_metadata_over_the_limits_is_refused_before_anything_is_sent(server, storage, asked, metadata):
    with pytest.raises(InvalidArgumentException):
        await storage.save(b"content", "a.txt", metadata=metadata)
    assert asked() == []
    assert list(server.connections.values()) == [0, 0]


@pytest.mark.parametrize("metadata", [{}, {"b": "2"}])
async def test_new_metadata_leaves_name_and_type(storage, metadata):
    stored = await storage.save(b"text", "report.txt", content_type="text/x-special", metadata={"a": "1"})
    await storage.set_metadata(stored, metadata)
    info = await storage.stat(stored)
    assert (info.file_name, info.content_type, info.metadata) == ("report.txt", "text/x-special", metadata)


async def test_new_metadata_of_what_is_not_there(storage):
    with pytest.raises(FileNotFoundException):
        await storage.set_metadata(FILE_ID, {"a": "1"})


@pytest.mark.parametrize(
    "file_id", ["a.txt", "group1", "", "group1/../../etc/passwd", f"{FILE_ID}-m", "group1/M00/00/1E/"]
)
async def test_malformed_ids_are_refused_before_anything_is_sent(server, storage, file_id):
    for use in (storage.stat, storage.exists, storage.get_size, storage.read, storage.delete, storage.url):
        with pytest.raises(InvalidArgumentException):
            await use(file_id)
    assert list(server.connections.values()) == [0, 0]


# ---- slaves


@pytest.mark.parametrize(
    ("filename", "ending"), [(None, "_small.jpg"), ("thumb.png", "_small.png"), ("thumb", "_small")]
)
async def test_a_slave_is_beside_its_master(storage, filename, ending):
    master = await storage.save(b"content", "a.jpg")
    slave = await storage.save_slave(b"smaller", master, "_small", filename, metadata={"a": "1"})
    assert str(slave.file_id) == str(master.file_id).removesuffix(".jpg") + ending
    assert (await slave.read(), await master.read()) == (b"smaller", b"content")
    assert (await storage.stat(slave)).metadata == {"a": "1"}
    await storage.delete(master)
    assert await storage.exists(slave)


async def test_a_slave_exists_once(storage):
    master = await storage.save(b"content", "a.jpg")
    slave = await storage.save_slave(b"smaller", master, "_small")
    with pytest.raises(FileExistsException):
        await storage.save_slave(b"other", master, "_small")
    assert await slave.read() == b"smaller"


async def test_a_slave_needs_a_master(place, storage):
    async with leaving(place):
        with pytest.raises(FileNotFoundException):
            await storage.save_slave(b"smaller", FILE_ID, "_small")


@pytest.mark.parametrize("prefix", ["", "p" * 17, "a/b", "ü"])
async def test_prefixes_that_cannot_be(place, storage, prefix):
    async with leaving(place, 1):
        master = await storage.save(b"content", "a.sixsix", store_name=False)
        with pytest.raises(InvalidArgumentException):
            await storage.save_slave(b"smaller", master, prefix)


@pytest.mark.parametrize(
    ("master", "prefix", "filename"),
    [
        ("a.txt", ".abc", "x"),
        ("a.txt", ".", "x.ab"),
        ("a.sixsix", "12345.a", "x"),
        ("a.sixsix", ".ab", "x.abc"),
        ("a.txt", "-m", "x"),
    ],
)
async def test_a_slave_never_looks_like_a_file_of_its_own(place, storage, master, prefix, filename):
    """Its id would promise the size and checksum of its master, or be that of the master's metadata."""
    async with leaving(place, 1):
        stored = await storage.save(b"content", master, store_name=False)
        with pytest.raises(InvalidArgumentException, match="would look like another kind of file"):
            await storage.save_slave(b"smaller", stored, prefix, filename)


# ---- reading past the end


@pytest.mark.parametrize("offset", [7, 8, 1 << 63, 1 << 70])
async def test_from_the_end_on_there_is_nothing(storage, offset):
    stored = await storage.save(b"content", "a.txt")
    assert [chunk async for chunk in storage.stream(stored, offset)] == []
    assert [chunk async for chunk in storage.stream(stored, 0, offset)] == [b"content"]


# ---- links


@pytest.fixture
def now(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW + 0.5)


@pytest.mark.parametrize("base", ["https://files.example", "https://files.example/", "http://10.0.0.1:8888/fdfs"])
async def test_a_url(base):
    assert await unopened(url_base=base).url(FILE_ID) == f"{base.rstrip('/')}/{FILE_ID}"


def query_of(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def test_a_url_with_a_token_is_of_now(now):
    url = await unopened(secret_key=SECRET).url(FILE_ID)
    assert query_of(url) == {"token": anti_leech_token(PATH, SECRET, NOW), "ts": str(NOW)}
    assert SECRET not in url


@pytest.mark.parametrize("token_ttl", [1, 900, 10_000_000])
@pytest.mark.parametrize("expires_in", [1, 60, 604_800])
def test_a_link_ends_when_it_was_said_to(now, token_ttl, expires_in):
    """The server honours it for its `token_ttl` from the time in it."""
    url = unopened(secret_key=SECRET, token_ttl=token_ttl).presign(FILE_ID, expires_in)
    made_at = NOW + expires_in - token_ttl
    assert query_of(url) == {"token": anti_leech_token(PATH, SECRET, made_at), "ts": str(made_at)}


def test_many_links_are_those_of_each(now):
    storage = unopened(secret_key=SECRET, token_ttl=900)
    ids = [FILE_ID, FILE_ID.replace("M00", "M01")]
    assert storage.presign_many(ids, 60) == [storage.presign(file_id, 60) for file_id in ids]
    assert storage.presign_many([]) == []


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"filename": "my report.txt"}, "my report.txt"),
        ({"filename": "../文 & 件?.txt"}, "文 & 件_.txt"),
        ({"filename": "a.txt", "disposition": "attachment"}, "a.txt"),
        ({"disposition": "attachment"}, PATH.rpartition("/")[2]),
        ({"disposition": "inline"}, None),
        ({}, None),
    ],
)
def test_a_link_may_name_an_attachment(now, options, shown):
    storage = unopened(secret_key=SECRET, token_ttl=900)
    assert query_of(storage.presign(FILE_ID, 900, **options)).get("filename") == shown


@pytest.mark.parametrize("name", ["照" * 45 + ".jpg", "a" * 240 + ".pdf", "é" * 120, "a.txt"])
@pytest.mark.parametrize("base", ["https://files.example.com", "https://files.example.com/" + "deep/" * 40])
def test_a_link_is_as_short_as_nginx_takes_it(now, name, base):
    """Its module refuses 512 bytes of path and query; the end of a name says what it is."""
    link = unopened(secret_key=SECRET, token_ttl=900, url_base=base).presign(FILE_ID, 900, filename=name)
    parts = urlsplit(link)
    assert len(f"{parts.path}?{parts.query}") < 512
    shown = query_of(link)["filename"]
    stem, dot, extension = name.rpartition(".")
    assert shown.endswith(dot + extension if stem else "é")
    assert name.startswith(shown.removesuffix(dot + extension if stem else ""))


def test_a_name_for_which_there_is_no_room_is_left_out(now):
    base = "https://files.example.com/" + "deep/" * 78
    link = unopened(secret_key=SECRET, token_ttl=900, url_base=base).presign(FILE_ID, 900, filename="照片.jpg")
    assert query_of(link).keys() == {"token", "ts"}


def test_a_link_may_name_an_attachment_as_nginx_recipes_read_it(now):
    storage = unopened(secret_key=SECRET, token_ttl=900, link_filename="attname")
    assert query_of(storage.presign(FILE_ID, 900, filename="my report.txt"))["attname"] == "my report.txt"


GOOD = {"secret_key": SECRET, "token_ttl": 900}
REFUSED = {
    "PUT": (GOOD, {"method": "PUT"}, OperationNotSupportedException),
    "HEAD": (GOOD, {"method": "HEAD"}, OperationNotSupportedException),
    "DELETE": (GOOD, {"method": "DELETE"}, OperationNotSupportedException),
    "another method": (GOOD, {"method": "BREW"}, InvalidArgumentException),
    "a type": (GOOD, {"content_type": "text/plain"}, OperationNotSupportedException),
    "a size": (GOOD, {"content_length": 0}, OperationNotSupportedException),
    "a name inline": (GOOD, {"filename": "a", "disposition": "inline"}, OperationNotSupportedException),
    "another disposition": (GOOD, {"disposition": "outline"}, InvalidArgumentException),
    "no secret": ({"token_ttl": 900}, {}, OperationNotSupportedException),
    "no token_ttl": ({"secret_key": SECRET}, {}, OperationNotSupportedException),
    "no url_base": (GOOD | {"url_base": None}, {}, OperationNotSupportedException),
    "a link that would never end": (GOOD | {"token_ttl": NOW + 3600}, {}, InvalidArgumentException),
    "no time": (GOOD, {"expires_in": 0}, InvalidArgumentException),
    "more than a week": (GOOD, {"expires_in": 604_801}, InvalidArgumentException),
    "a secret too long": (GOOD | {"secret_key": SECRET * 20}, {}, InvalidArgumentException),
}


@pytest.mark.parametrize(("config", "options", "kind"), REFUSED.values(), ids=REFUSED)
def test_links_that_cannot_be(now, config, options, kind):
    with pytest.raises(kind) as caught:
        unopened(**config).presign(FILE_ID, **options)
    assert (caught.value.operation, caught.value.file_id) == ("presign", FILE_ID)
    assert SECRET not in str(caught.value)


async def test_without_a_url_base_there_is_no_url():
    with pytest.raises(OperationNotSupportedException, match="no url_base"):
        await unopened(url_base=None).url(FILE_ID)


# ---- what others left


async def test_what_aiofdfs_keeps_for_itself_is_no_metadata_of_the_user(storage):
    file_id = await storage.cluster.upload(b"content", "txt")
    own = {"OriginFileName": "a.txt", "OriginFileExtName": "txt", "OriginFileSize": "7"}
    await storage.cluster.set_metadata(file_id, own | {"author": "Ada"})
    info = await storage.stat(file_id)
    assert (info.file_name, info.metadata) == ("a.txt", {"author": "Ada"})
    await storage.set_metadata(file_id, {"author": "Eve"})
    assert await storage.cluster.get_metadata(file_id) == own | {"author": "Eve"}


@pytest.mark.parametrize("version", ["5.11", "6.16.1"])
async def test_a_slave_never_has_the_etag_of_its_master(version):
    """Old servers tell its master's checksum."""
    server = FastDFSServer(version=version, clock=count(1_700_000_000).__next__)
    async with server, fastdfs_storage(server) as storage:
        master = await storage.save(b"large", "a.jpg")
        etags = set()
        for content in (b"small", b"other"):
            slave = await storage.save_slave(content, master, "_small")
            etags.add((await slave.get_info()).etag)
            await slave.delete()
        assert len(etags | {(await master.get_info()).etag}) == 3


async def test_a_cluster_behind_other_addresses():
    async with FastDFSServer() as server:
        storage = server.storages[0].address
        server.advertise({storage: "10.1.2.3:23000"})
        for named, mapped in (("10.1.2.3:23000", storage), ("10.1.2.3", storage)):
            async with fastdfs_storage(server, address_map={named: mapped, "10.1.2.4": "elsewhere"}) as client:
                assert await client.read(await client.upload(b"content", "a.txt")) == b"content"


@pytest.mark.parametrize("address_map", [{"10.0.0.1": "a b"}, {"": "10.0.0.1"}, {"10.0.0.1:0": "10.0.0.1"}])
def test_an_address_that_is_none(address_map):
    with pytest.raises(InvalidArgumentException, match="no address of a server"):
        unopened(address_map=address_map)
