import io
import pickle

import pytest
from pydantic import ValidationError

from async_storages import MemoryStorage, PendingFile, naming, sniff
from async_storages.errors import FileTooLargeException, InvalidArgumentException, InvalidFileTypeException
from async_storages.validation import FileTypeConfig, FileValidator
from tests.support.corpus import GOOD_NAMES, HOSTILE_NAMES, disguised, samples
from tests.support.streams import Closing, collect, stream

NO_PROGRAMS = FileValidator(FileTypeConfig(blacklist=["php", "exe", "com", "htaccess"]))
ONLY_PICTURES = FileValidator(FileTypeConfig(whitelist=["jpg", "PNG", ".tar.gz"]))
PNG = samples()["image-png"].content


# ---- names


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_hostile_name_is_refused_or_made_safe(name):
    try:
        safe = NO_PROGRAMS.check_name(name)
    except InvalidFileTypeException:
        return
    assert naming.check_key(safe) == safe
    assert "/" not in safe
    assert not safe.lower().endswith((".php", ".exe"))


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_good_name_passes_unchanged(name):
    assert NO_PROGRAMS.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("x.php", "X.PHP", "x.php ", "x.php.", "x.exe\0", "a.php\n", "x.ｐｈｐ", "x.p\u00adhp", "a.png:evil.exe"),
        *("../x.php", "a.jpg.php", "x.php\u00a0", "x.php\ufe0f", "x.php~", "x.php_", "x.php::$", "report..php"),
    ],
    ids=ascii,
)
def test_no_spelling_gets_round_the_blacklist(name):
    with pytest.raises(InvalidFileTypeException, match=r"the extension '(php|exe)' is not allowed") as refused:
        NO_PROGRAMS.check_name(name)
    assert refused.value.file_id == name


@pytest.mark.parametrize("name", ["a.jpg", "A.JPG", "a.php.Png", "照片.jpg", "a.tar.gz", "a.jpg ", "folder\\a.jpg"])
def test_what_is_on_the_whitelist_passes(name):
    assert ONLY_PICTURES.check_name(name)


@pytest.mark.parametrize("name", ["", "README", "jpg", ".jpg", "a.jpg.php", "a.jpeg", "a.xjpg", "a.jpg~", "a.gz"])
def test_what_is_not_on_the_whitelist_is_refused(name):
    with pytest.raises(InvalidFileTypeException, match=r"the extension must be one of: jpg, png, tar.gz"):
        ONLY_PICTURES.check_name(name)


def test_the_blacklist_counts_beside_the_whitelist():
    validator = FileValidator(FileTypeConfig(whitelist=["zip", "exe"], blacklist=["exe"]))
    assert validator.check_name("a.zip") == "a.zip"
    with pytest.raises(InvalidFileTypeException, match="'exe' is not allowed"):
        validator.check_name("a.exe")


def test_a_name_is_text():
    with pytest.raises(InvalidArgumentException, match="a name is a str, not bytes"):
        NO_PROGRAMS.check_name(b"a.png")


# ---- what the content shows


@pytest.mark.parametrize("label", disguised())
async def test_content_that_is_no_image_is_refused_as_one(label):
    data, kind = disguised()[label]
    validator = FileValidator(FileTypeConfig(type_whitelist=["image/png"]))
    if kind == "image/png":
        assert await validated(validator, data, "a.png") == data
        return
    with pytest.raises(InvalidFileTypeException, match=r"the content is .*, which is not allowed") as refused:
        await validated(validator, data, "a.png")
    assert refused.value.file_id == "a.png"


@pytest.mark.parametrize("name", ["a.png", "a.txt", "a.xhtml", "a.rss", "README", ""])
@pytest.mark.parametrize("blocked", [["text/html"], ["Text/*"], sniff.ACTIVE_TYPES], ids=["html", "text", "active"])
async def test_no_extension_hides_a_blocked_type(name, blocked):
    validator = FileValidator(FileTypeConfig(type_blacklist=blocked))
    with pytest.raises(InvalidFileTypeException):
        await validated(validator, b"<html><script>", name)
    assert await validated(validator, PNG, name) == PNG


async def test_an_extension_tells_kinds_of_a_container_apart():
    validator = FileValidator(FileTypeConfig(type_blacklist=["application/zip"]))
    data = samples()["zip"].content
    assert await validated(validator, data, "a.docx") == data
    with pytest.raises(InvalidFileTypeException, match="application/zip"):
        await validated(validator, data, "a.zip")


@pytest.mark.parametrize("name", ["a.docx ", "a.DOCX.", "x/a.ｄｏｃｘ"])
async def test_the_type_that_is_stored_is_the_one_that_was_checked(name):
    kind = sniff.guess_by_name("a.docx")
    validator = FileValidator(FileTypeConfig(type_whitelist=[kind]))
    async with validator.open(samples()["zip"].content, name) as content:
        assert await content.content_type() == kind


async def test_what_the_client_declared_changes_nothing():
    validator = FileValidator(FileTypeConfig(type_whitelist=["image/*"]))
    pending = PendingFile(b"<html>", "a.png", content_type="image/png")
    with pytest.raises(InvalidFileTypeException, match="text/html"):
        await validated(validator, pending)


# ---- sizes


@pytest.mark.parametrize("options", [{}, {"size": 5}, {"max_size": 100}], ids=["unknown", "lying", "wider"])
async def test_what_streams_in_beyond_the_limit_is_not_stored(options):
    storage, validator = MemoryStorage(), FileValidator(max_file_size=10)
    with pytest.raises((FileTooLargeException, InvalidArgumentException)) as refused:
        async with validator.open(stream(b"x" * 5, b"x" * 600_000), "a.bin", **options) as content:
            await storage.save(content)
    assert refused.value.file_id.endswith("a.bin")
    assert [info async for info in storage.list()] == []


@pytest.mark.parametrize("source", [b"x" * 11, io.BytesIO(b"x" * 11)], ids=["bytes", "file"])
async def test_a_size_that_is_known_is_refused_before_anything_is_read(source):
    with pytest.raises(FileTooLargeException, match=r"validate 'a.bin': larger than the 10 bytes allowed"):
        async with FileValidator(max_file_size=10).open(source, "a.bin"):
            pytest.fail("came in")


async def test_the_smaller_limit_counts():
    async with FileValidator(max_file_size=10).open(stream(b"x" * 4), "a", max_size=3) as content:
        with pytest.raises(FileTooLargeException, match="the 3 bytes"):
            await collect(content)


async def test_a_file_of_just_the_limit_is_stored_under_its_clean_name():
    storage, validator = MemoryStorage(), FileValidator(FileTypeConfig(whitelist=["txt"]), max_file_size=10)
    async with validator.open(stream(b"x" * 10), "../a.TXT ") as content:
        file = await storage.save(content)
    assert file.filename == "a.TXT"
    assert await file.read() == b"x" * 10


def test_a_size_alone_can_be_checked():
    FileValidator().check_size(10**18)
    FileValidator(max_file_size=10).check_size(10)
    with pytest.raises(FileTooLargeException, match=r"validate 'a.bin': larger than the 10 bytes allowed"):
        FileValidator(max_file_size=10).check_size(11, "a.bin")


async def test_a_refused_source_is_closed():
    closing = Closing(b"<html>" * 10)
    with pytest.raises(InvalidFileTypeException):
        async with FileValidator(FileTypeConfig(type_whitelist=["image/*"])).open(closing.stream(), "a.png"):
            pytest.fail("came in")
    assert closing.closed


@pytest.mark.parametrize("limit", [0, -1, 1.5, "10"])
def test_a_limit_is_a_number_of_bytes(limit):
    with pytest.raises(InvalidArgumentException, match="max_file_size is a number of bytes above 0 or None"):
        FileValidator(max_file_size=limit)


# ---- the rules themselves


def test_rules_that_mean_the_same_are_the_same():
    one = FileTypeConfig(whitelist=["pdf", "jpg"], type_whitelist=["image/PNG"])
    other = FileTypeConfig(whitelist={"*.JPG", " .ｐｄｆ", "pdf"}, type_whitelist=(" image/png",))
    assert one == other
    assert hash(FileValidator(one, 5)) == hash(FileValidator(other, 5))


def test_rules_and_validators_are_values():
    validator = FileValidator(FileTypeConfig(whitelist=["pdf"]), max_file_size=5)
    assert pickle.loads(pickle.dumps(validator)) == validator
    assert (
        FileTypeConfig.model_validate_json(validator.file_type_config.model_dump_json()) == validator.file_type_config
    )
    with pytest.raises(ValidationError, match="frozen"):
        validator.file_type_config.whitelist = ()


@pytest.mark.parametrize(
    "rules",
    [
        {"whitelist": [""]},
        {"blacklist": ["."]},
        {"whitelist": ["a/b"]},
        {"whitelist": "pdf"},
        {"type_whitelist": ["png"]},
        {"type_blacklist": ["image/"]},
        {"type_blacklist": ["*/*"]},
        {"whitlist": ["pdf"]},
    ],
    ids=str,
)
def test_rules_that_say_nothing_are_refused(rules):
    with pytest.raises(ValidationError):
        FileTypeConfig(**rules)


async def validated(validator: FileValidator, *content) -> bytes:
    async with validator.open(*content) as opened:
        return await collect(opened)


async def test_no_long_name_is_cut_to_an_extension_that_is_refused():
    validator = FileValidator(FileTypeConfig(blacklist=["php"]))
    with pytest.raises(InvalidFileTypeException):
        async with validator.open(b"<?php", "a" * 234 + ".php" + "照" * 9) as content:
            await MemoryStorage().save(content)
