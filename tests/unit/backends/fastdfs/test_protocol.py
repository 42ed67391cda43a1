"""What is sent byte by byte, and what is made of replies: good ones, cut ones, foreign ones."""

import struct
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_storages.backends.fastdfs import protocol
from async_storages.backends.fastdfs.protocol import (
    FileInfo,
    GroupInfo,
    Name,
    ReplyParser,
    Server,
    StorageInfo,
    StoreTarget,
    encode_metadata,
)
from async_storages.backends.fastdfs.statuses import ProtocolError
from async_storages.errors import InvalidArgumentException

G = b"group1".ljust(16, b"\0")
PATH = "M00/00/1E/fwAAAWsCFuqAVke2AAGGoKVy0tA654.bin"
NAME = Name("group1", PATH)
N = PATH.encode()
L = struct.pack(">Q", len(N))
LAST = (1 << 63) - 1
IPV4, IPV6 = "10.0.0.1", "2001:db8:1234:5678:9abc:def0:1234:5678"
ADDRESSES = [
    pytest.param(IPV4, 15, id="IPv4"),
    pytest.param(IPV4, 45, id="IPv4 in 45"),
    pytest.param(IPV6, 45, id="IPv6"),
]


def u64(*numbers):
    return struct.pack(f">{len(numbers)}Q", *numbers)


def place(host=IPV4, size=15, port=23000):
    return host.encode().ljust(size, b"\0") + u64(port)


def reply(body=b"", status=0, command=100):
    return struct.pack(">QBB", len(body), command, status) + body


def parse(request, data):
    """The result of a whole reply."""
    parser = ReplyParser(request.lengths)
    body = parser.feed(data)
    assert parser.is_complete
    if parser.refusal is not None:
        raise parser.refusal
    return request.parse(body)


# ---- requests

REQUESTS = {
    "query store": (protocol.query_store(), 101, b""),
    "query store in a group": (protocol.query_store("group1"), 104, G),
    "query all to store": (protocol.query_store_all(), 106, b""),
    "query all to store in a group": (protocol.query_store_all("group1"), 107, G),
    "query fetch": (protocol.query_fetch(NAME), 102, G + N),
    "query update": (protocol.query_update(NAME), 103, G + N),
    "query all to fetch": (protocol.query_fetch_all(NAME), 105, G + N),
    "list groups": (protocol.list_groups(), 91, b""),
    "list storages": (protocol.list_storages("group1"), 92, G),
    "list one storage": (protocol.list_storages("group1", IPV4), 92, G + IPV4.encode()),
    "active test": (protocol.active_test(), 111, b""),
    "upload": (protocol.upload(5, "txt"), 11, b"\xff" + u64(5) + b"txt\0\0\0"),
    "upload to a disk": (protocol.upload(0, "tar.gz", path_index=2), 11, b"\2" + u64(0) + b"tar.gz"),
    "upload appender": (protocol.upload(5, appender=True), 23, b"\xff" + u64(5) + bytes(6)),
    "upload slave": (
        protocol.upload_slave(NAME, 5, "_150x150", "jpg"),
        21,
        L + u64(5) + b"_150x150".ljust(16, b"\0") + b"jpg\0\0\0" + N,
    ),
    "append": (protocol.append(NAME, 5), 24, L + u64(5) + N),
    "modify": (protocol.modify(NAME, 3, 5), 34, L + u64(3, 5) + N),
    "truncate": (protocol.truncate(NAME, 3), 36, L + u64(3) + N),
    "regenerate": (protocol.regenerate(NAME), 38, N),
    "delete": (protocol.delete(NAME), 12, G + N),
    "download": (protocol.download(NAME), 14, u64(0, 0) + G + N),
    "download a range": (protocol.download(NAME, 3, 5), 14, u64(3, 5) + G + N),
    "download from beyond": (protocol.download(NAME, 1 << 70, 1 << 70), 14, u64(LAST, LAST) + G + N),
    "query file info": (protocol.query_file_info(NAME), 22, G + N),
    "get metadata": (protocol.get_metadata(NAME), 15, G + N),
    "replace metadata": (
        protocol.set_metadata(NAME, {"a": "1", "b": "é"}, mode="replace"),
        13,
        L + u64(8) + b"O" + G + N + b"a\x021\x01b\x02\xc3\xa9",
    ),
    "merge metadata": (protocol.set_metadata(NAME, {"a": ""}, mode="merge"), 13, L + u64(2) + b"M" + G + N + b"a\2"),
    "remove metadata": (protocol.set_metadata(NAME, {}, mode="replace"), 13, L + u64(0) + b"O" + G + N),
}  # fmt: skip


WITH_CONTENT = {"upload", "upload appender", "upload slave", "append", "modify"}
"""Of 5 bytes, which follow."""


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request(name):
    request, command, body = REQUESTS[name]
    content_length = 5 if name in WITH_CONTENT else 0
    assert request.head == u64(len(body) + content_length) + bytes([command, 0]) + body
    assert (request.command, request.content_length) == (command, content_length)


def test_good_bye():
    assert protocol.quit_connection() == u64(0) + b"\x52\0"


# ---- what no request can say


@pytest.mark.parametrize("group", ["", "a" * 17, "a_b", "gröup", "group1\n", "../x", "a\0b"])
@pytest.mark.parametrize("make", [protocol.query_store, protocol.query_store_all, protocol.list_storages])
def test_a_group_has_1_to_16_letters_and_digits(make, group):
    with pytest.raises(InvalidArgumentException, match="16 letters and digits"):
        make(group)


@pytest.mark.parametrize("group", ["a", "Z9" * 8])
def test_shortest_and_longest_group(group):
    assert protocol.query_store(group).head[10:] == group.encode().ljust(16, b"\0")


@pytest.mark.parametrize("extension", ["sevenxx", ".", "tar.gz", "a-_.Z9"])
def test_extensions_of_up_to_6_characters(extension):
    if len(extension) > 6:
        with pytest.raises(InvalidArgumentException, match="no extension that FastDFS keeps"):
            protocol.upload(1, extension)
    else:
        assert protocol.upload(1, extension).head.endswith(extension.encode().ljust(6, b"\0"))


@pytest.mark.parametrize("bad", ["a b", "ü", "a/b", "a\0", "a\n", "*"])
def test_characters_that_names_may_not_have(bad):
    for make in (protocol.upload, lambda size, text: protocol.upload_slave(NAME, size, "_a", text)):
        with pytest.raises(InvalidArgumentException, match="no extension"):
            make(1, bad)
    with pytest.raises(InvalidArgumentException, match="prefix of a slave"):
        protocol.upload_slave(NAME, 1, bad)


@pytest.mark.parametrize("prefix", ["", "p" * 17])
def test_a_prefix_has_1_to_16_characters(prefix):
    with pytest.raises(InvalidArgumentException, match="prefix of a slave"):
        protocol.upload_slave(NAME, 1, prefix)


@pytest.mark.parametrize("server_id", ["1" * 16, "größe"])
def test_a_server_id_has_up_to_15_ascii_characters(server_id):
    with pytest.raises(InvalidArgumentException, match="15 ASCII"):
        protocol.list_storages("group1", server_id)


@pytest.mark.parametrize("number", [-1, 1 << 63])
@pytest.mark.parametrize(
    "make",
    [
        protocol.upload,
        lambda number: protocol.upload_slave(NAME, number, "_a"),
        lambda number: protocol.append(NAME, number),
        lambda number: protocol.modify(NAME, number, 1),
        lambda number: protocol.truncate(NAME, number),
    ],
    ids=["upload", "slave", "append", "modify", "truncate"],
)
def test_numbers_that_do_not_fit(make, number):
    with pytest.raises(InvalidArgumentException, match="sizes and offsets"):
        make(number)


# ---- names

SHORTEST = "M00/00/00/" + "a" * 12


@pytest.mark.parametrize("path", [PATH, SHORTEST, "MFF/FF/FF/" + "a" * 117, PATH.replace(".bin", "_150x150.bin")])
def test_a_name_is_taken_apart_and_put_together(path):
    assert Name.parse(f"group1/{path}") == ("group1", path)
    assert str(Name.parse(f"group1/{path}")) == f"group1/{path}"


@pytest.mark.parametrize(
    "file_id",
    {
        "empty": "",
        "no group": PATH,
        "empty group": f"/{PATH}",
        "long group": f"{'g' * 17}/{PATH}",
        "group with an underscore": f"group_1/{PATH}",
        "no path": "group1",
        "slash in front": f"/group1/{PATH}",
        "short": "group1/" + SHORTEST[:-1],
        "long": "group1/M00/00/00/" + "a" * 118,
        "lower-case hex": f"group1/{PATH.replace('1E', '1e')}",
        "not hex": f"group1/{PATH.replace('1E', '1G')}",
        "another letter": f"group1/{PATH.replace('M00', 'N00')}",
        "one slash more": f"group1/{PATH.replace('.', '/')}",
        "dots": "group1/M00/00/00/../../../../../etc/passwd",
        "NUL": f"group1/{PATH}\0",
        "newline": f"group1/{PATH}\n",
        "blank": f"group1/{PATH.replace('.', ' ')}",
        "unicode": f"group1/{PATH}é",
        "query": f"group1/{PATH}?token=1",
    }.items(),
    ids=lambda item: item[0],
)
def test_what_every_server_would_refuse(file_id):
    with pytest.raises(InvalidArgumentException) as caught:
        Name.parse(file_id[1])
    assert caught.value.file_id == file_id[1]


@given(st.text())
def test_any_text_is_a_name_or_a_clear_error(text):
    try:
        assert str(Name.parse(text)) == text
    except InvalidArgumentException:
        return


# ---- replies


@pytest.mark.parametrize(("host", "size"), ADDRESSES)
def test_where_to_store(host, size):
    expected = StoreTarget("group1", Server(host, 23000), 7)
    assert parse(protocol.query_store(), reply(G + place(host, size) + b"\7")) == expected
    many = reply(G + place(host, size) + place("10.0.0.2", size, 23001) + b"\7")
    assert parse(protocol.query_store_all(), many) == [expected, StoreTarget("group1", Server("10.0.0.2", 23001), 7)]


@pytest.mark.parametrize(("host", "size"), ADDRESSES)
@pytest.mark.parametrize("query", [protocol.query_fetch, protocol.query_update])
def test_where_a_file_is(query, host, size):
    assert parse(query(NAME), reply(G + place(host, size))) == Server(host, 23000)


@pytest.mark.parametrize(("host", "size"), ADDRESSES)
@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_everywhere_a_file_is(host, size, count):
    """Of FastDFS 6.16, which gives all ports, and of earlier ones, which give one."""
    hosts = [host, *(f"10.0.0.{number}" for number in range(2, count + 1))]
    pairs = b"".join(place(each, size, 23000 + number) for number, each in enumerate(hosts))
    assert parse(protocol.query_fetch_all(NAME), reply(G + pairs)) == [
        Server(each, 23000 + number) for number, each in enumerate(hosts)
    ]
    one_port = place(host, size) + b"".join(each.encode().ljust(size, b"\0") for each in hosts[1:])
    assert parse(protocol.query_fetch_all(NAME), reply(G + one_port)) == [Server(each, 23000) for each in hosts]


@pytest.mark.parametrize(("host", "size"), [(IPV4, 16), (IPV6, 46)])
@pytest.mark.parametrize("crc32", [0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_file_info(host, size, crc32):
    """The checksum comes with its sign extended."""
    signed = crc32 - (1 << 32) if crc32 >> 31 else crc32
    body = u64(1 << 40, 1_600_000_000) + struct.pack(">q", signed) + host.encode().ljust(size, b"\0")
    assert parse(protocol.query_file_info(NAME), reply(body)) == FileInfo(1 << 40, 1_600_000_000, crc32, host)


MAKERS = [protocol.upload(1), protocol.upload_slave(NAME, 1, "_a"), protocol.regenerate(NAME)]


@pytest.mark.parametrize("make", MAKERS, ids=lambda request: request.command.name)
def test_the_name_of_a_new_file(make):
    assert parse(make, reply(G + N)) == NAME


@pytest.mark.parametrize("make", MAKERS, ids=lambda request: request.command.name)
@pytest.mark.parametrize(
    "body",
    [b"", G, G + N[:20], G + N + b"a" * 100, bytes(16) + N, G + b"M00/00/00/../../../../etc", b"\xff" * 16 + N],
    ids=["nothing", "group", "short", "long", "no group", "dots", "no text"],
)
def test_what_is_no_name_of_a_new_file(make, body):
    with pytest.raises(ProtocolError):
        parse(make, reply(body))


DONE = ["active test", "append", "modify", "truncate", "delete", "replace metadata", "merge metadata"]


@pytest.mark.parametrize("name", DONE)
def test_done(name):
    assert parse(REQUESTS[name][0], reply()) is None
    with pytest.raises(ProtocolError):
        parse(REQUESTS[name][0], reply(b"x"))


def test_addresses_say_themselves():
    assert [str(Server(IPV4, 1)), str(Server("::1", 22122))] == ["10.0.0.1:1", "[::1]:22122"]


@pytest.mark.parametrize(
    "body",
    [
        place(port=0),
        place(port=65536),
        place(port=1 << 63),
        place(host=""),
        place(host="storage.local"),
        place(host="999.0.0.1"),
        b"\xff" * 15 + u64(23000),
        place() + place(port=0),
        place() + place()[:-1],
        b"",
    ],
    ids=["port 0", "port 65536", "port 2^63", "no host", "a name", "no address", "no text", "2nd", "cut", "nothing"],
)
def test_what_is_no_server(body):
    """Of all that ask a tracker for servers, none connects to such an address."""
    for asked, data in [
        (protocol.query_store(), G + body + b"\0"),
        (protocol.query_store_all(), G + body + b"\0"),
        (protocol.query_fetch(NAME), G + body),
        (protocol.query_fetch_all(NAME), G + body),
    ]:
        with pytest.raises(ProtocolError):
            parse(asked, reply(data))


@pytest.mark.parametrize("group", [bytes(16), b"../../etc".ljust(16, b"\0"), b"\xff" * 16])
def test_a_group_that_is_none(group):
    for asked, data in [(protocol.query_store(), place() + b"\0"), (protocol.query_fetch(NAME), place())]:
        with pytest.raises(ProtocolError):
            parse(asked, reply(group + data))


# ---- headers


EXACT = {
    "query store": {40, 70},
    "query store in a group": {40, 70},
    "query fetch": {39, 69},
    "query update": {39, 69},
    "query file info": {40, 70},
    **{name: {0} for name in DONE},
    "truncate": {0, 16 + len(N)},  # as long as what was asked, if nothing was to be done
}


@pytest.mark.parametrize(("name", "lengths"), EXACT.items(), ids=EXACT)
def test_lengths_are_exact(name, lengths):
    for length in range(100):
        parser = ReplyParser(REQUESTS[name][0].lengths)
        if length in lengths:
            parser.feed(u64(length) + b"\x64\0")
        else:
            with pytest.raises(ProtocolError, match=f"a reply of {length} bytes is not the answer"):
                parser.feed(u64(length) + b"\x64\0")


@pytest.mark.parametrize("length", [1 << 20, 1 << 32, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("name", sorted(set(REQUESTS) - {"download", "download a range", "download from beyond"}))
def test_absurd_lengths_are_refused_when_the_header_has_come(name, length):
    with pytest.raises(ProtocolError, match="is not the answer"):
        ReplyParser(REQUESTS[name][0].lengths).feed(u64(length) + b"\x64\0")


@pytest.mark.parametrize("command", [0, 11, 99, 101, 255])
def test_another_command_is_no_reply(command):
    with pytest.raises(ProtocolError, match=f"command {command}"):
        parse(protocol.delete(NAME), reply(command=command))


def test_another_protocol_is_no_reply():
    with pytest.raises(ProtocolError, match="no reply of FastDFS"):
        parse(protocol.download(NAME), b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_status_comes_alone(name):
    parser = ReplyParser(REQUESTS[name][0].lengths)
    assert parser.feed(reply(status=28)) == b""
    assert parser.is_complete
    assert parser.refusal.status == 28
    for length in (1, 100, (1 << 64) - 2):  # which may tell another length, and have something follow
        told = ReplyParser(REQUESTS[name][0].lengths)
        assert told.feed(u64(length) + b"\x64\x05more") == b""
        assert (told.is_complete, told.refusal.status) == (True, 5)


@pytest.mark.parametrize("cut", range(52))
def test_bytes_beyond_the_reply_are_noticed(cut):
    """Whether they come with it or later: else the next request would read them."""
    data = reply(G + place() + b"\0") + b"x"
    parser = ReplyParser(protocol.query_store().lengths)
    with pytest.raises(ProtocolError, match="1 bytes came after the reply"):
        parser.feed(data[:cut]), parser.feed(data[cut:]), parser.feed(b"x" * (cut == 51))


WHOLE = {
    "query store": reply(G + place() + b"\0"),
    "query all to store": reply(G + place(size=45) + place(IPV6, 45) + b"\1"),
    "query all to fetch": reply(G + place() + b"10.0.0.2".ljust(15, b"\0")),
    "query file info": reply(u64(1, 2, 3) + IPV4.encode().ljust(16, b"\0")),
    "upload": reply(G + N),
    "get metadata": reply(b"a\x021\x01b\x022"),
    "download": reply(bytes(range(256))),
    "delete": reply(),
}


@given(st.data())
def test_any_split_gives_the_same(data):
    name = data.draw(st.sampled_from(sorted(WHOLE)))
    request, whole = REQUESTS[name][0], WHOLE[name]
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=12).map(sorted))
    parser = ReplyParser(request.lengths)
    body = b""
    for start, end in pairwise([0, *cuts, len(whole)]):
        assert not parser.is_complete or start == len(whole)
        body += parser.feed(whole[start:end])
    assert parser.is_complete
    assert parser.received == parser.length == len(body)
    assert request.parse(body) == parse(request, whole)


PIECES = [G, N, place(), place(size=45), place(IPV6, 45), bytes(487), b"\0", b"\1", b"\2", b"\xff"]
BODIES = st.binary(max_size=700) | st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join)


@given(
    st.sampled_from(sorted(REQUESTS)),
    BODIES,
    st.integers(0, 255) | st.just(0),
    st.lists(st.integers(0, 800), max_size=4),
)
def test_whatever_comes_is_a_result_or_a_clear_error(name, body, status, steps):
    request = REQUESTS[name][0]
    for data in (body, reply(body, status)):
        parser = ReplyParser(request.lengths)
        try:
            received = b"".join(
                parser.feed(data[start:end]) for start, end in pairwise([0, *accumulate(steps), len(data)])
            )
            if parser.is_complete and parser.refusal is None:
                request.parse(received)
        except ProtocolError:
            continue


@given(st.sampled_from(sorted(REQUESTS)), st.data())
def test_any_body_of_an_allowed_length_is_a_result_or_a_clear_error(name, data):
    request = REQUESTS[name][0]
    lengths = sorted(request.lengths or [9])[:600]
    size = data.draw(st.sampled_from(lengths))
    noise = data.draw(st.binary(min_size=size, max_size=size))
    for body in (noise, (G + noise)[:size], (G + place() + noise)[:size], (G + N + noise)[:size]):
        try:
            parse(request, reply(body))
        except ProtocolError:
            continue


# ---- metadata

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\1\2"), max_size=16)


@given(st.dictionaries(TEXTS, TEXTS))
def test_metadata_comes_back(metadata):
    assert parse(protocol.get_metadata(NAME), reply(encode_metadata(metadata))) == metadata


@pytest.mark.parametrize("letter", ["k", "é", "文"])
def test_limits_of_metadata_are_bytes_of_utf_8(letter):
    size = len(letter.encode())
    longest = {letter * (64 // size): letter * (256 // size)}
    assert parse(protocol.get_metadata(NAME), reply(encode_metadata(longest))) == longest
    for key, value in [(letter * (64 // size + 1), ""), ("k", letter * (256 // size + 1))]:
        with pytest.raises(InvalidArgumentException, match="up to 64, values of up to 256 bytes"):
            encode_metadata({key: value})


@pytest.mark.parametrize("text", ["a\0b", "a\1b", "a\2b", "\ud800"], ids=["NUL", "record", "field", "surrogate"])
def test_characters_that_metadata_cannot_hold(text):
    for metadata in ({text: "1"}, {"a": text}):
        with pytest.raises(InvalidArgumentException, match="metadata of FastDFS"):
            encode_metadata(metadata)


def test_metadata_in_all():
    """A request is shorter than 256 KiB, with the longest name: one of as much is refused."""
    name = Name("group1", "M00/00/00/" + "a" * 117)
    metadata = {f"{number:064}": "v" * 256 for number in range(813)}
    assert 256 * 1024 - 400 < len(protocol.set_metadata(name, metadata, mode="replace").head) < 256 * 1024
    rest = "v" * (261_973 - len(encode_metadata(metadata)) - 1 - 64 - 1)
    largest = metadata | {f"{900:064}": rest}
    assert len(protocol.set_metadata(name, largest, mode="replace").head) == 256 * 1024 - 1
    with pytest.raises(InvalidArgumentException, match="FastDFS takes 261973"):
        encode_metadata(metadata | {f"{number:064}": "v" * 256 for number in range(814)})


@pytest.mark.parametrize(
    ("body", "metadata"),
    [
        (b"", {}),
        (b"\1\1a\x021\1", {"a": "1"}),
        (b"no separator\1a\x021", {"a": "1"}),
        (b"a\x021\x022", {"a": "1\x022"}),
        (b"a\x021\1a\x022", {"a": "2"}),
        (b"a\x02\xff", {"a": "\ufffd"}),
    ],
    ids=["nothing", "empty records", "no separator", "two separators", "twice", "no UTF-8"],
)
def test_metadata_that_others_wrote(body, metadata):
    assert parse(protocol.get_metadata(NAME), reply(body)) == metadata


# ---- statistics


@pytest.mark.parametrize(
    ("numbers", "name"),
    [((900, 100, 50, 7, 2, 23000, *range(6)), "6.13.1"), ((900, 100, 7, 2, 23000, *range(6)), "before")],
    ids=["113 bytes", "105 bytes"],
)
@pytest.mark.parametrize("count", [0, 1, 3])
def test_groups(numbers, name, count):
    record = b"group1".ljust(17, b"\0") + u64(*numbers)
    assert len(record) in {113, 105}
    assert parse(protocol.list_groups(), reply(record * count)) == [GroupInfo("group1", 900, 100, 2, 23000)] * count


LAYOUTS = {
    487: (2, 16, 0, 8, (1, 2, 900, 100, 50, 10, 1, 256, 0, 23000)),
    517: (2, 46, 0, 8, (1, 2, 900, 100, 50, 10, 1, 256, 0, 23000)),
    509: (2, 46, 0, 8, (1, 2, 900, 100, 10, 1, 256, 0, 23000)),
    644: (1, 46, 128, 8, (1, 2, 900, 100, 10, 1, 256, 0, 23000, 8888)),
    612: (1, 16, 128, 6, (1, 2, 900, 100, 10, 1, 256, 0, 23000, 8888)),
}


@pytest.mark.parametrize(("size", "layout"), LAYOUTS.items(), ids=map(str, LAYOUTS))
@pytest.mark.parametrize("count", [0, 1, 3])
def test_storage_servers(size, layout, count):
    head, address, domain, version, numbers = layout
    texts = [(b"100001", 16), (IPV4.encode(), address), (b"a.example", domain), (b"source", 16), (b"6.16", version)]
    fields = b"".join(text.ljust(length, b"\0") for text, length in texts if length)
    record = b"\7".ljust(head, b"\0") + fields + u64(*numbers) + bytes(12) + u64(5, 4, *(0,) * 8, 3, 2)
    expected = StorageInfo(
        "100001", Server(IPV4, 23000), True, "6.16", 900, 100, 50 if size in {487, 517} else 0, True, 4, 2
    )
    assert parse(protocol.list_storages("group1"), reply(record.ljust(size, b"\1") * count)) == [expected] * count


@pytest.mark.parametrize("status", [0, 3, 4, 6, 8, 99])
def test_a_storage_server_that_does_not_serve(status):
    record = bytes([status]) + bytes(486)
    (info,) = parse(protocol.list_storages("group1"), reply(record))
    assert (info.is_active, info.is_member) == (False, status not in {3, 4})  # has another address, or was removed


@pytest.mark.parametrize("request_", [protocol.list_groups(), protocol.list_storages("group1")], ids=["91", "92"])
@pytest.mark.parametrize("size", [1, 104, 486, 488])
def test_statistics_of_no_known_size(request_, size):
    with pytest.raises(ProtocolError, match=f"{size} bytes are no list"):
        parse(request_, reply(bytes(size)))
