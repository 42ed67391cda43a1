"""Values that a file column takes, and the files that its attribute holds right afterwards."""

import enum
from dataclasses import dataclass
from io import BytesIO

import pytest
from sqlalchemy import ARRAY, Column, ForeignKey, Integer, String, func, literal, null, select
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    declared_attr,
    mapped_column,
    relationship,
    synonym,
)
from starlette.datastructures import UploadFile

from async_storages import (
    FileAttach,
    FileId,
    InvalidArgumentException,
    LocalStorage,
    MemoryStorage,
    PendingFile,
    RouteNotSupportedException,
    StoredFile,
    StoredImage,
    registry,
)
from async_storages.integrations.sqlalchemy import FileType, ImageType
from tests.support.documents import Document, row_class
from tests.support.images import encode
from tests.support.streams import empty_input


class Placeholder(str, enum.Enum):  # noqa: UP042 - str() of a StrEnum would be its value
    REPORT = "reports/a.pdf"


@dataclass
class Photo:
    """An upload as aiohttp hands it over."""

    filename: str
    file: BytesIO


NAMES_OF_ONE_FILE = {
    "a bare key": "reports/a.pdf",
    "a fusion id": "mem:reports/a.pdf",
    "a FileId": FileId("mem", None, "reports/a.pdf"),
    "a FileAttach": FileAttach(file_id="mem:reports/a.pdf", file_name="a.pdf"),
    "a member of a string enumeration": Placeholder.REPORT,
    "a StoredFile of no storage": StoredFile("mem:reports/a.pdf"),
    "a StoredFile with a bare key": StoredFile("reports/a.pdf"),
    "a StoredFile of a named storage": StoredFile("mem:reports/a.pdf", "documents"),
    "a StoredFile of an unknown storage": StoredFile("mem:reports/a.pdf", "nobody"),
    "a StoredImage": StoredImage("mem:reports/a.pdf"),
}


@pytest.mark.parametrize("name", NAMES_OF_ONE_FILE.values(), ids=NAMES_OF_ONE_FILE.keys())
@pytest.mark.parametrize(
    ("attribute", "file_class"), [("file", StoredFile), ("photo", StoredImage)], ids=["FileType", "ImageType"]
)
async def test_what_names_a_file_becomes_a_file_of_the_columns_storage(storage, name, attribute, file_class):
    await storage.upload(b"%PDF", "reports/a.pdf")
    document = Document(**{attribute: name})

    file = getattr(document, attribute)

    assert isinstance(file, file_class)
    assert (str(file), file.name, file.storage) == ("mem:reports/a.pdf", "reports/a.pdf", storage)
    assert await file.read() == b"%PDF"


async def test_a_saved_file_is_bound_to_the_column_and_still_knows_its_size(storage):
    document = Document(file=await storage.save(b"12345", "a.txt"))
    with registry.override("documents", MemoryStorage()) as later:
        assert document.file.storage is later
    assert document.file.known_size == 5


@pytest.mark.parametrize("value", [None, PendingFile(b"x", filename="a.txt")], ids=["None", "a PendingFile"])
def test_this_stays_what_it_is(value):
    assert Document(file=value).file is value


@pytest.mark.parametrize(
    "upload",
    [UploadFile(BytesIO(b"x"), filename="a.txt"), Photo("a.txt", BytesIO(b"x"))],
    ids=["Starlette's", "with a .file"],
)
def test_an_upload_becomes_a_pending_file(upload):
    file = Document(file=upload).file
    assert isinstance(file, PendingFile)
    assert (file.content, file.filename) == (upload, "a.txt")


def test_an_upload_without_a_name_becomes_a_pending_file_too():
    assert Document(file=UploadFile(BytesIO(b"x"))).file.filename is None


@pytest.mark.parametrize("describe", [lambda upload: upload, PendingFile], ids=["upload", "PendingFile"])
def test_an_upload_where_no_file_was_chosen_is_none(describe):
    document = Document(file="kept.txt", photo=describe(empty_input()))
    document.file = describe(empty_input())
    assert (document.file, document.photo) == (None, None)


def test_uploads_where_no_file_was_chosen_are_left_out_of_arrays():
    row = row_class(file=Column(ARRAY(FileType("documents"))))
    given = row(file=[empty_input(), "a.txt", PendingFile(empty_input()), None])
    assert list(map(str, given.file)) == ["mem:a.txt", "None"]


SQL = {
    "null()": null(),
    "a function": func.lower("A"),
    "a literal": literal("mem:a"),
    "a subquery": select(Document.copy).scalar_subquery(),
    "another attribute": Document.copy,
}


@pytest.mark.parametrize("expression", SQL.values(), ids=SQL.keys())
def test_sql_expressions_pass(expression):
    assert Document(file=expression).file is expression


REFUSED = {
    "bytes": b"content",
    "a number": 7,
    "an object": object(),
    "a list": ["a.txt"],
    "an open file without a name": BytesIO(b"x"),
    "an empty string": "",
    "a line break": "a\nb.txt",
    "a NUL": "a\0.txt",
    "half a surrogate pair": "a\ud800.txt",
    "only a scheme": "mem:",
    "an unknown scheme": "nosuch:a.txt",
    "a way out": "../a.txt",
    "an empty segment": "a//b.txt",
    "1025 characters with the scheme": "x" * 1021,
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_what_can_be_no_file_is_refused_at_once(value):
    document = Document(file="kept.txt")
    with pytest.raises(InvalidArgumentException) as refused:
        document.file = value
    assert refused.value.operation in {"assign", "parse"}
    assert str(document.file) == "mem:kept.txt"


def test_1024_characters_with_the_scheme_fit():
    assert len(str(Document(file="x" * 1020).file)) == 1024


@pytest.mark.parametrize("length", [None, 2000], ids=["unlimited", "longer"])
def test_the_limit_is_the_columns_length(length):
    document = row_class(file=Column(FileType("documents", length)))
    assert len(str(document(file="x" * 1900).file)) == 1904


@pytest.mark.parametrize("value", ["s3:bucket/a.txt", StoredFile("s3:bucket/a.txt")], ids=["an id", "a file"])
def test_what_the_storage_does_not_serve_is_refused(value):
    with pytest.raises(RouteNotSupportedException, match="does not serve"):
        Document(file=value)


def test_a_file_in_another_folder_is_refused_although_its_id_would_do(tmp_path):
    here, there = LocalStorage(tmp_path / "here"), LocalStorage(tmp_path / "there")
    document = row_class(file=Column(FileType(here)))

    assert document(file=LocalStorage(tmp_path / "here").file("a.txt")).file.storage is here
    assert document(file="file:a.txt").file.storage is here
    with registry.override("default", LocalStorage(tmp_path / "there")):
        assert document(file=StoredFile("file:a.txt")).file.storage is here
    with pytest.raises(RouteNotSupportedException, match=r"the file is in LocalStorage\(.*there.*here"):
        document(file=there.file("a.txt"))


@pytest.mark.parametrize("type_", [FileType(), FileType(None), ImageType()], ids=["nothing said", "None", "ImageType"])
def test_without_a_name_the_default_storage_is_meant(type_):
    document = row_class(file=Column(type_))
    with registry.override("default", MemoryStorage()) as default:
        assert document(file="a.txt").file.storage is default


class TestAStorageThatIsNotThereYet:
    @pytest.fixture(params=["nobody", None], ids=["unregistered name", "None"])
    def document(self, request):
        return row_class(file=Column(FileType(request.param)))()

    def test_a_fusion_id_is_taken_and_its_use_says_what_is_missing(self, document):
        document.file = "mem:a.txt"
        assert (document.file.scheme, document.file.name) == ("mem", "a.txt")
        with pytest.raises(InvalidArgumentException, match="no storage is registered as"):
            _ = document.file.storage

    @pytest.mark.parametrize("key", ["a.txt", "group1/M00/00/00/a.txt"])
    def test_a_bare_key_is_refused_for_nobody_can_complete_it(self, document, key):
        with pytest.raises(InvalidArgumentException, match="no storage is registered as"):
            document.file = key

    async def test_it_may_come_later(self, document, storage):
        await storage.upload(b"x", "a.txt")
        document.file = "mem:a.txt"
        type(document).__table__.c.file.type.storage = storage
        assert await document.file.read() == b"x"
        document.file = "b.txt"
        assert str(document.file) == "mem:b.txt"


@pytest.mark.parametrize(
    "storage", [1024, b"documents", object(), MemoryStorage], ids=["a number", "bytes", "an object", "a class"]
)
def test_what_can_be_no_storage_is_refused_when_the_column_is_declared(storage):
    with pytest.raises(InvalidArgumentException, match="a file column's storage is a storage or its name"):
        FileType(storage)


class TestImageDimensions:
    Photo = row_class(
        width=Column(Integer),
        image=Column(ImageType("documents", width="width", height="height")),
        height=Column(Integer),
    )

    async def saved(self, storage, *size):
        return await storage.save(encode("PNG", size or (32, 16)), "photo.png")

    async def test_a_saved_image_fills_the_siblings(self, storage):
        photo = self.Photo(image=await self.saved(storage))
        assert (photo.width, photo.height) == (32, 16)
        photo.image = await self.saved(storage, 5, 7)
        assert (photo.width, photo.height) == (5, 7)

    @pytest.mark.parametrize(
        "value", ["other.png", None, null(), PendingFile(b"x")], ids=["a key", "None", "null()", "a PendingFile"]
    )
    async def test_another_image_clears_them(self, storage, value):
        photo = self.Photo(image=await self.saved(storage))
        photo.image = value
        assert (photo.width, photo.height) == (None, None)

    async def test_a_file_that_is_no_image_clears_them(self, storage):
        photo = self.Photo(image=await self.saved(storage))
        photo.image = await storage.save(b"text", "a.txt")
        assert (photo.width, photo.height) == (None, None)

    async def test_the_same_image_by_its_id_leaves_them(self, storage):
        saved = await self.saved(storage)
        photo = self.Photo(image=saved)
        photo.image = str(saved)
        assert (photo.width, photo.height) == (32, 16)

    def test_a_first_image_of_unknown_dimensions_leaves_what_the_caller_says(self):
        photo = self.Photo(width=3, height=4, image="known-elsewhere.png")
        assert (photo.width, photo.height) == (3, 4)

    def test_a_sibling_that_is_not_there_is_missed_when_the_class_is_first_used(self):
        photo = row_class(image=Column(ImageType("documents", width="widht")), width=Column(Integer))
        with pytest.raises(InvalidArgumentException, match="no attribute 'widht', which width= of a file"):
            photo()
        photo.registry.dispose()

    async def test_one_sibling_is_enough(self, storage):
        assert Document(photo=await self.saved(storage)).photo_width == 32


class TestMappedClasses:
    """However a class comes to its column, the column coerces, and once."""

    @pytest.fixture
    def coerced(self, monkeypatch):
        """The values that columns coerce; a subclass would be another way for a class to come to its column."""
        calls = []
        original = FileType.coerce
        monkeypatch.setattr(FileType, "coerce", lambda self, value: (calls.append(value), original(self, value))[1])
        return calls

    def check(self, instance, coerced):
        coerced.clear()
        instance.file = "a.txt"
        assert isinstance(instance.file, StoredFile)
        assert coerced == ["a.txt"]

    def test_inheritance(self, coerced):
        class Base(DeclarativeBase):
            pass

        class Parent(Base):
            __tablename__ = "parents"
            id: Mapped[int] = mapped_column(primary_key=True)
            file: Mapped[StoredFile] = mapped_column(FileType("documents"))

        class SameTable(Parent):
            own: Mapped[StoredFile | None] = mapped_column(FileType("documents"))

        class OwnTable(Parent):
            __tablename__ = "children"
            id: Mapped[int] = mapped_column(ForeignKey("parents.id"), primary_key=True)

        self.check(Parent(), coerced)

        class DefinedLater(OwnTable):
            pass

        for class_ in (SameTable, OwnTable, DefinedLater):
            self.check(class_(), coerced)
        assert isinstance(SameTable(own="b.txt").own, StoredFile)

    def test_mixin(self, coerced):
        class Base(DeclarativeBase):
            pass

        class HasFile:
            id: Mapped[int] = mapped_column(primary_key=True)
            file: Mapped[StoredFile] = mapped_column(FileType("documents"))

            @declared_attr
            def second(cls) -> Mapped[StoredFile]:  # noqa: N805
                return mapped_column(FileType("archive"))

        class One(HasFile, Base):
            __tablename__ = "one"

        class Two(HasFile, Base):
            __tablename__ = "two"

        for class_ in (One, Two):
            self.check(class_(), coerced)
            assert isinstance(class_(second="b.txt").second, StoredFile)

    def test_dataclass_with_defaults(self):
        class Base(MappedAsDataclass, DeclarativeBase):
            pass

        class Page(Base):
            __tablename__ = "pages"
            id: Mapped[int] = mapped_column(primary_key=True, init=False)
            file: Mapped[StoredFile] = mapped_column(FileType("documents"))
            cover: Mapped[StoredFile] = mapped_column(FileType("documents"), default="cover.png")
            extra: Mapped[StoredFile | None] = mapped_column(FileType("documents"), default=None)

        page = Page("a.txt")
        assert (page.file, page.cover, page.extra) == (StoredFile("mem:a.txt"), StoredFile("mem:cover.png"), None)
        assert "cover=<StoredFile 'mem:cover.png'>" in repr(page)

    def test_synonym_and_column_of_another_name(self):
        document = row_class(attachment=Column("file", FileType("documents")), file=synonym("attachment"))
        assert document(file="a.txt").attachment == StoredFile("mem:a.txt")


class TestArrays:
    Album = row_class(files=Column(ARRAY(FileType("documents"))), title=Column(String))

    @pytest.mark.parametrize(
        ("assigned", "held"),
        [
            (["a", StoredFile("mem:b"), None], [StoredFile("mem:a"), StoredFile("mem:b"), None]),
            (("a",), [StoredFile("mem:a")]),
            ([["a"], ("b",)], [[StoredFile("mem:a")], [StoredFile("mem:b")]]),
            ([], []),
            (None, None),
        ],
        ids=["a list", "a tuple", "two dimensions", "an empty list", "None"],
    )
    def test_elements_become_files(self, assigned, held):
        assert self.Album(files=assigned).files == held

    @pytest.mark.parametrize("value", ["a.txt", {"a.txt"}, [7], [""]], ids=repr)
    def test_what_is_no_list_of_files_is_refused(self, value):
        with pytest.raises(InvalidArgumentException):
            self.Album(files=value)


def test_relationships_and_plain_columns_are_left_alone():
    class Base(DeclarativeBase):
        pass

    class Node(Base):
        __tablename__ = "nodes"
        id: Mapped[int] = mapped_column(primary_key=True)
        label: Mapped[str | None]
        parent_id: Mapped[int | None] = mapped_column(ForeignKey("nodes.id"))
        parent: Mapped["Node | None"] = relationship(remote_side="Node.id")

    parent = Node(label="a.txt")
    assert Node(parent=parent).parent is parent
    assert parent.label == "a.txt"
