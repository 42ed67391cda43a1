"""`FileList` and its types: what a list takes, who sees its changes, and what becomes of copies of it."""

import copy
import pickle
from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Column, create_engine, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, defer, mapped_column

from async_storages import (
    FileAttach,
    InvalidArgumentException,
    PendingFile,
    RouteNotSupportedException,
    StoredFile,
    StoredImage,
)
from async_storages.integrations.sqlalchemy import FileList, FileListType, ImageListType
from tests.support.documents import row_class
from tests.support.streams import empty_input


class Base(DeclarativeBase):
    pass


class Album(Base):
    __tablename__ = "albums"
    id: Mapped[int] = mapped_column(primary_key=True)
    pages: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents", 40))
    photos: Mapped[FileList[StoredImage] | None] = mapped_column(ImageListType("documents"))
    kind: Mapped[int] = mapped_column(server_default="1")
    __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": 1}


class Book(Album):
    drafts: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents"))
    __mapper_args__: ClassVar = {"polymorphic_identity": 2}


A, B, C, D = (StoredFile(f"mem:{name}") for name in "abcd")


@pytest.fixture
def session():
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


@pytest.fixture
def album(session):
    """Row 1 with the pages a and b, unchanged."""
    session.add(album := Album(id=1, pages=["a", "b"]))
    session.commit()
    session.refresh(album)
    return album


def raw(session):
    return session.scalar(text("SELECT pages FROM albums"))


def augment(pages):
    pages += ("c", D)


def swap(pages):
    pages[0], pages[1] = pages[1], pages[0]


CHANGES = {
    "append": (lambda pages: pages.append("c"), [A, B, C]),
    "insert": (lambda pages: pages.insert(0, FileAttach(file_id="mem:c", file_name="c")), [C, A, B]),
    "extend": (lambda pages: pages.extend(iter(["c", D])), [A, B, C, D]),
    "extend by itself": (lambda pages: pages.extend(pages), [A, B, A, B]),
    "+=": (augment, [A, B, C, D]),
    "*=": (lambda pages: pages.__imul__(2), [A, B, A, B]),
    "set an item": (lambda pages: pages.__setitem__(-1, "c"), [A, C]),
    "swap": (swap, [B, A]),
    "set a slice": (lambda pages: pages.__setitem__(slice(0, 1), ["c", "d"]), [C, D, B]),
    "set every other": (lambda pages: pages.__setitem__(slice(None, None, 2), ("c",)), [C, B]),
    "delete an item": (lambda pages: pages.__delitem__(0), [B]),
    "delete a slice": (lambda pages: pages.__delitem__(slice(None)), []),
    "pop": (lambda pages: pages.pop(), [A]),
    "remove": (lambda pages: pages.remove(A), [B]),
    "clear": (lambda pages: pages.clear(), []),
    "reverse": (lambda pages: pages.reverse(), [B, A]),
    "sort": (lambda pages: pages.sort(key=str, reverse=True), [B, A]),
}


@pytest.mark.parametrize(("change", "after"), CHANGES.values(), ids=CHANGES.keys())
def test_every_change_is_seen_and_written(session, album, change, after):
    change(album.pages)
    assert album.pages == after
    assert {type(page) for page in album.pages} <= {StoredFile}
    session.commit()
    assert session.scalar(select(Album.pages)) == album.pages == after


REFUSED = {
    "append": lambda pages: pages.append(7),
    "None": lambda pages: pages.append(None),
    "insert": lambda pages: pages.insert(0, ["c"]),
    "extend": lambda pages: pages.extend(["c", 7]),
    "extend by a str": lambda pages: pages.extend("cd"),
    "extend by a file": lambda pages: pages.extend(C),
    "too long": lambda pages: pages.append("x" * 40),
    "another storage's": lambda pages: pages.append("s3:bucket/c"),
    "set an item": lambda pages: pages.__setitem__(0, object()),
    "set a slice": lambda pages: pages.__setitem__(slice(0, 1), ["c", None]),
    "a slice of another size": lambda pages: pages.__setitem__(slice(None, None, 2), []),
    "pop from nowhere": lambda pages: pages.pop(7),
    "remove what is not there": lambda pages: pages.remove(C),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_changes_nothing(session, album, change):
    with pytest.raises((InvalidArgumentException, RouteNotSupportedException, IndexError, ValueError)):
        change(album.pages)
    assert album.pages == [A, B]
    assert not session.is_modified(album)


@pytest.mark.parametrize(
    ("value", "held"),
    [([], []), (("a", B), [A, B]), (["a", "a"], [A, A]), (None, None)],
    ids=["empty", "a tuple", "twice the same", "None"],
)
def test_assignment(session, album, value, held):
    album.pages = value
    assert album.pages == held
    session.commit()
    assert session.scalar(select(Album.pages)) == held


@pytest.mark.parametrize("value", ["a", {"a"}, 7, A, [None], [["a"]], {"a": "b"}], ids=str)
def test_only_lists_of_files_are_assigned(session, album, value):
    with pytest.raises(InvalidArgumentException, match=r"^assign"):
        album.pages = value
    assert album.pages == [A, B]
    assert not session.is_modified(album)


def test_an_equal_list_is_no_change(session, album):
    album.pages = ["a", "mem:b"]
    assert not session.is_modified(album)


def test_a_deferred_list(session, album):
    session.expunge_all()
    album = session.scalars(select(Album).options(defer(Album.pages))).one()
    album.pages.append("c")
    session.commit()
    assert album.pages == [A, B, C]


def test_an_expression_is_evaluated_by_the_database(session, album):
    album.pages = func.json_array("mem:c", "mem:d")
    session.commit()
    assert album.pages == [C, D]
    album.pages.append("a")
    session.commit()
    assert raw(session) == '["mem:c", "mem:d", "mem:a"]'


def test_none_is_sql_null_and_empty_is_not(session):
    session.add_all([Album(id=1), Album(id=2, pages=None), Album(id=3, pages=[])])
    session.flush()
    kinds = session.execute(text("SELECT typeof(pages), pages FROM albums ORDER BY id")).all()
    assert kinds == [("null", None), ("null", None), ("text", "[]")]


@pytest.mark.parametrize(
    ("written", "held"),
    [
        ("null", None),
        ('"mem:a"', [A]),
        ('["mem:a", null, 7]', [A, None, 7]),
        ('["nosuch:x"]', [StoredFile("nosuch:x")]),
    ],
)
def test_what_others_wrote_can_be_loaded(session, written, held):
    session.execute(text("INSERT INTO albums (id, pages) VALUES (1, :written)"), {"written": written})
    assert session.get(Album, 1).pages == held


def test_images(session):
    session.add(album := Album(id=1, photos=["a"]))
    album.photos.append(B)
    assert [type(photo) for photo in album.photos] == [StoredImage] * 2
    session.commit()
    assert [type(photo) for photo in album.photos] == [StoredImage] * 2


def test_a_list_whose_object_is_gone_says_so():
    pages = Album(pages=["a"]).pages
    with pytest.raises(InvalidArgumentException, match="keep it in a variable"):
        pages.append("c")


def test_a_list_that_was_replaced_says_so(session, album):
    """The old list must stay as it was, as the session compares the new one with it."""
    before, album.pages = album.pages, []
    with pytest.raises(InvalidArgumentException, match="does not hold"):
        before.clear()
    assert before == [A, B]
    session.commit()
    assert album.pages == []


def test_content_needs_tracking(session, album):
    album.pages.append(pending := PendingFile(b"", filename="c"))
    assert album.pages == [A, B, pending]
    with pytest.raises(InvalidArgumentException, match="enable_file_tracking"):
        session.flush()


class TestCopies:
    @pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, list, FileList, lambda pages: pages[:]])
    def test_a_copy_is_a_list_of_its_own(self, session, album, make):
        copied = make(album.pages)
        assert copied == album.pages
        copied.append(C)
        assert album.pages == [A, B]
        assert not session.is_modified(album)

    def test_a_pickled_object_goes_on(self, session, album):
        session.expunge_all()
        album = pickle.loads(pickle.dumps(album))
        pages = album.pages
        assert pages == [A, B]
        session.add(album)
        pages.append("c")
        session.commit()
        assert raw(session) == '["mem:a", "mem:b", "mem:c"]'

    def test_lists_of_a_subclass_and_its_superclass(self, session):
        session.add(Book(id=1, pages=["a"], drafts=["b"]))
        session.flush()
        session.expunge_all()
        book = pickle.loads(pickle.dumps(session.get(Album, 1)))
        session.expunge_all()
        session.add(book)
        book.pages.append("c")
        book.drafts.append("d")
        session.commit()
        assert (book.pages, book.drafts) == ([A, C], [B, D])

    def test_objects_merged_as_they_are(self, session, album):
        session.expunge(album)
        for _ in range(2):
            merged = session.merge(album, load=False)
            merged.pages.append("c")
        session.commit()
        assert (raw(session), album.pages) == ('["mem:a", "mem:b", "mem:c"]', [A, B])

    def test_refreshing_another_attribute_leaves_the_list(self, session, album):
        pages = album.pages
        pages.append("c")
        session.refresh(album, ["photos"])
        pages.append("d")
        session.commit()
        assert album.pages == [A, B, C, D]


def test_mapped_dataclasses(session):
    class DataBase(MappedAsDataclass, DeclarativeBase):
        pass

    class Data(DataBase):
        __tablename__ = "data"
        id: Mapped[int] = mapped_column(primary_key=True)
        pages: Mapped[FileList[StoredFile]] = mapped_column(FileListType("documents"), default_factory=list)
        more: Mapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents"), default=("a",))

    DataBase.metadata.create_all(session.connection())
    session.add(data := Data(id=1))
    data.pages.append("b")
    data.more.append("b")
    session.commit()
    assert (data.pages, data.more) == ([B], [A, B])


def test_defaults(session):
    row = row_class(pages=Column(FileListType("documents"), default=["a"]))
    row.metadata.create_all(session.connection())
    session.add_all([first := row(id=1), second := row(id=2)])
    session.flush()
    first.pages.append("b")
    session.flush()
    assert (first.pages, second.pages) == ([A, B], [A])


def test_a_pydantic_model(album):
    class AlbumOut(BaseModel):
        model_config = ConfigDict(from_attributes=True)
        pages: list[StoredFile] | None

    shown = AlbumOut.model_validate(album)
    assert shown.model_dump_json() == '{"pages":["mem:a","mem:b"]}'
    assert shown.model_dump(context={"file_urls": {"mem:a": "/a"}}) == {"pages": ["/a", "mem:b"]}


CHANGES_BY_NOTHING = {
    "append": lambda files: files.append(empty_input()),
    "insert": lambda files: files.insert(0, PendingFile(empty_input())),
    "extend": lambda files: files.extend([empty_input(), empty_input()]),
    "+=": lambda files: files.__iadd__([empty_input()]),
    "a slice": lambda files: files.__setitem__(slice(1, 1), [empty_input()]),
}


@pytest.mark.parametrize("change", CHANGES_BY_NOTHING.values(), ids=CHANGES_BY_NOTHING)
def test_an_upload_where_no_file_was_chosen_is_left_out(change):
    album = Album(pages=[empty_input(), "1.png", empty_input(), "2.png"])
    assert list(map(str, album.pages)) == ["mem:1.png", "mem:2.png"]
    change(album.pages)
    assert list(map(str, album.pages)) == ["mem:1.png", "mem:2.png"]


def test_no_file_takes_the_place_of_another():
    album = Album(pages=["1.png"])
    with pytest.raises(InvalidArgumentException, match="holds no None"):
        album.pages[0] = empty_input()
    assert list(map(str, album.pages)) == ["mem:1.png"]
