"""Objects as `upload_to` reads them before their rows are written."""

from functools import partial
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import JSON, Computed, ForeignKey, String, func, select
from sqlalchemy.ext.associationproxy import association_proxy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    column_property,
    mapped_column,
    relationship,
    synonym,
)

from async_storages import InvalidArgumentException, StoredFile
from async_storages.integrations.sqlalchemy import FileList, FileListMapped, FileListType, FileMapped, FileType
from tests.support.tracked import pending

pytestmark = pytest.mark.matrix

chosen = {}
"""By class: what `upload_to` returns."""


def place(row, name):
    return chosen[row.__class__.__name__](row, name)


def in_turn(context):
    return f"for {context.get_current_parameters()['name']}"


class Base(DeclarativeBase):
    type_annotation_map = {str: String(100)}  # noqa: RUF012 - as SQLAlchemy's documentation has it


class Country(Base):
    """Its key is computed by the database."""

    __tablename__ = "countries"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)


class Tenant(Base):
    """Its key is computed by Python."""

    __tablename__ = "tenants"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    slug: Mapped[str] = mapped_column(default="acme")
    country_id: Mapped[int | None] = mapped_column(ForeignKey(Country.id))
    country: Mapped[Country | None] = relationship()
    documents: Mapped[list["Document"]] = relationship(back_populates="tenant")
    notes: Mapped[list["Note"]] = relationship()

    @property
    def folder(self):
        return f"{self.slug}/{self.id}"


class Document(Base):
    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    uid: Mapped[UUID] = mapped_column(default=uuid4)
    kind: Mapped[str] = mapped_column(default="report")
    year: Mapped[int] = mapped_column(default=partial(int, "2026"))
    state: Mapped[str] = mapped_column(server_default="new")
    name: Mapped[str] = mapped_column(default="q3")
    told: Mapped[str] = mapped_column(default=in_turn)
    asked: Mapped[int] = mapped_column(default=select(1).scalar_subquery())
    double: Mapped[int] = mapped_column(Computed("year * 2"))
    extra: Mapped[dict | None] = mapped_column(JSON, default=dict)
    title: Mapped[str | None]
    shouted: Mapped[str] = column_property(func.upper("a"))
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey(Tenant.id))
    tenant: Mapped[Tenant | None] = relationship(back_populates="documents")
    tenant_slug = association_proxy("tenant", "slug")
    country_id: Mapped[int | None] = mapped_column(ForeignKey(Country.id))
    country: Mapped[Country | None] = relationship()
    number = synonym("id")
    file: FileMapped[StoredFile | None] = mapped_column(FileType("documents", upload_to=place))
    pages: FileListMapped[FileList[StoredFile] | None] = mapped_column(FileListType("documents", upload_to=place))

    @property
    def folder(self):
        return f"{self.kind}/{self.id}"

    def in_folder(self, name):
        return f"{self.tenant.folder}/{name}"

    @hybrid_property
    def shelf(self):
        return self.tenant_id


class Note(Base):
    """Nothing leads from it to its tenant."""

    __tablename__ = "notes"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey(Tenant.id))
    file: FileMapped[StoredFile | None] = mapped_column(FileType("documents", upload_to=place))


@pytest.fixture
async def tracked(track_metadata):
    return await track_metadata(Base.metadata)


@pytest.fixture
def sessions(tracked):
    return tracked[0]


@pytest.fixture
def left(tracked):
    return tracked[1]


@pytest.fixture(autouse=True)
def folders():
    chosen.clear()


def folder(template, class_=Document):
    chosen[class_.__name__] = lambda row, name: template.format(row) + "/"


async def added(sessions, *objects):
    async with sessions(expire_on_commit=False) as session:
        session.add_all(objects)
        await session.commit()
    return objects[-1]


def folder_of(stored):
    return stored.name.rpartition("/")[0]


class TestDefaults:
    async def test_are_those_that_the_insert_writes(self, sessions):
        folder("{0.uid}/{0.kind}/{0.year}")
        document = await added(sessions, Document(file=pending("new")))
        assert folder_of(document.file) == f"{document.uid}/report/2026"
        async with sessions() as session:
            found = await session.get(Document, document.id)
            assert (found.uid, found.file) == (document.uid, document.file)

    async def test_are_there_on_the_object_itself(self, sessions):
        seen = []
        document = Document(file=pending("new"))
        chosen["Document"] = lambda row, name: seen.append((document.uid, document.kind, document.extra)) or "a/"
        await added(sessions, document)
        assert seen == [(document.uid, "report", {})]
        assert document.uid is not None

    async def test_give_way_to_what_was_set(self, sessions):
        folder("{0.kind}/{0.uid}")
        uid = uuid4()
        document = await added(sessions, Document(kind="letter", uid=uid, extra=None, file=pending("new")))
        assert folder_of(document.file) == f"letter/{uid}"
        assert document.extra is None

    async def test_of_every_file_of_a_list(self, sessions):
        folder("{0.uid}")
        document = await added(sessions, Document(pages=[pending("one"), pending("two")]))
        assert [folder_of(page) for page in document.pages] == [str(document.uid)] * 2

    async def test_stay_the_same_in_a_second_attempt(self, sessions, storage):
        folder("{0.uid}")
        storage.refused = {"new"}
        async with sessions() as session:
            session.add(document := Document(file=pending("new")))
            with pytest.raises(Exception, match="told to"):
                await session.flush()
            uid, storage.refused = document.uid, set()
            await session.commit()
            await session.refresh(document)
        assert (document.uid, folder_of(document.file)) == (uid, str(uid))


class TestKeysOfRelatedObjects:
    async def test_of_an_object_in_the_database(self, sessions):
        folder("tenants/{0.tenant_id}")
        tenant = await added(sessions, Tenant())
        document = await added(sessions, Document(tenant=tenant, file=pending("new")))
        assert folder_of(document.file) == f"tenants/{tenant.id}"

    async def test_of_a_new_object_whose_key_python_computes(self, sessions):
        folder("tenants/{0.tenant_id}")
        document = await added(sessions, Document(tenant=Tenant(), file=pending("new")))
        assert document.tenant_id is not None
        assert folder_of(document.file) == f"tenants/{document.tenant_id}"

    async def test_of_an_expired_object(self, sessions):
        folder("{0.country_id}/{0.country.code}")
        async with sessions() as session:
            session.add(country := Country(code="de"))
            await session.commit()
            session.add(document := Document(country=country, file=pending("new")))
            await session.commit()
            await session.refresh(document)
        assert folder_of(document.file) == f"{document.country_id}/de"

    async def test_that_was_put_in_the_place_of_another(self, sessions):
        """The key that the object still holds is not the one that its row will have."""
        folder("tenants/{0.tenant_id}")
        one, other = Tenant(), Tenant()
        document = await added(sessions, one, other, Document(tenant=one))
        async with sessions.begin() as session:
            document = await session.get(Document, document.id)
            document.tenant, document.file = await session.get(Tenant, other.id), pending("new")
            await session.flush()
            assert folder_of(document.file) == f"tenants/{other.id}"

    async def test_of_what_it_was_appended_to(self, sessions):
        folder("tenants/{0.tenant_id}")
        folder("notes/{0.tenant_id}", Note)
        document, note = Document(file=pending("new")), Note(file=pending("new"))
        tenant = await added(sessions, Tenant(documents=[document], notes=[note]))
        assert folder_of(document.file) == f"tenants/{tenant.id}"
        assert folder_of(note.file) == f"notes/{tenant.id}"

    async def test_that_is_known_by_its_key_alone(self, sessions):
        """SQLAlchemy loads no relationship of an object that is not in the database."""
        folder("{0.tenant.slug}/{0.tenant.id}")
        tenant = await added(sessions, Tenant(slug="evil"))
        document = await added(sessions, Document(tenant_id=tenant.id, file=pending("new")))
        assert folder_of(document.file) == f"evil/{tenant.id}"


ONLY_THE_INSERT_KNOWS = {
    "an autoincrement key": ("{0.id}", "Document.id"),
    "a server default": ("{0.state}", "Document.state"),
    "a default with a context": ("{0.told}", "Document.told"),
    "a default in SQL": ("{0.asked}", "Document.asked"),
    "a computed column": ("{0.double}", "Document.double"),
    "an expression": ("{0.shouted}", "Document.shouted"),
    "the key of a new object": ("{0.country_id}", "Document.country_id"),
    "the key of a new object through it": ("{0.country.id}", "Country.id"),
    "the key of a new object far away": ("{0.tenant.country_id}", "Tenant.country_id"),
    "a synonym": ("{0.number}", "Document.id"),
    "a property": ("{0.folder}", "Document.id"),
}


class TestWhatOnlyTheInsertKnows:
    @pytest.mark.parametrize(("template", "name"), ONLY_THE_INSERT_KNOWS.values(), ids=ONLY_THE_INSERT_KNOWS)
    async def test_is_refused_by_its_name(self, sessions, storage, template, name, left):
        folder(template)
        country = Country(code="de")
        async with sessions() as session:
            session.add(Document(tenant=Tenant(country=country), country=country, file=pending("new")))
            with pytest.raises(InvalidArgumentException, match=rf"reads {name}, .*flush the object before"):
                await session.commit()
        async with sessions() as session:
            assert await session.scalar(select(func.count()).select_from(Document)) == 0
        assert await left() == set()

    async def test_is_refused_of_what_it_was_appended_to(self, sessions):
        folder("{0.tenant.country_id}")
        async with sessions() as session:
            session.add(Tenant(country=Country(code="de"), documents=[Document(file=pending("new"))]))
            with pytest.raises(InvalidArgumentException, match=r"Tenant\.country_id"):
                await session.commit()

    @pytest.mark.parametrize("template", ["{0.id}", "{0.state}", "{0.told}", "{0.double}", "{0.folder}"])
    async def test_is_known_after_a_flush(self, sessions, template):
        """The remedy that the error names; the attributes are expired, and loaded inside of the flush."""
        folder(template)
        async with sessions() as session:
            session.add(document := Document())
            await session.flush()
            session.expire(document)
            document.file = pending("new")
            await session.commit()
            await session.refresh(document)
            assert folder_of(document.file) == template.format(document)

    async def test_may_be_set(self, sessions):
        folder("{0.id}/{0.state}")
        document = await added(sessions, Document(id=7, state="old", file=pending("new")))
        assert folder_of(document.file) == "7/old"

    async def test_need_not_be_read(self, sessions):
        folder("{0.title}")  # it is NULL, and nothing else will be written
        document = await added(sessions, Document(file=pending("new")))
        assert folder_of(document.file) == "None"


class TestStandIn:
    async def test_is_read_like_the_object(self, sessions):
        seen = []

        def choose(row, name):
            seen.append(row)
            assert isinstance(row, Document)
            assert isinstance(row.tenant, Tenant)
            assert row.tenant.documents == [document]
            assert row == document
            assert {row: 1}[document] == 1
            assert row.shelf == row.tenant.id == document.tenant_id
            assert row.tenant_slug == "acme"
            assert row.__dict__ is document.__dict__
            row.title = "set meanwhile"
            return f"{row.in_folder(row.kind)}/"

        chosen["Document"] = choose
        document = Document(tenant=Tenant(), file=pending("new"))
        await added(sessions, document)
        assert folder_of(document.file) == f"acme/{document.tenant_id}/report"
        async with sessions() as session:
            assert (await session.get(Document, document.id)).title == "set meanwhile"

    async def test_loads_what_an_existing_object_has_not_loaded(self, sessions):
        folder("{0.tenant.slug}/{0.tenant.country.code}/{0.id}")
        await added(sessions, document := Document(tenant=Tenant(country=Country(code="de"))))
        async with sessions() as session:
            (await session.get(Document, document.id)).file = pending("new")
            await session.commit()
            found = await session.get(Document, document.id, populate_existing=True)
            assert folder_of(found.file) == f"acme/de/{document.id}"

    async def test_says_what_is_no_attribute(self, sessions):
        folder("{0.nothing}")
        with pytest.raises(AttributeError, match=r"Document.*nothing"):
            await added(sessions, Document(file=pending("new")))


class Inherited(DeclarativeBase):
    type_annotation_map = {str: String(100)}  # noqa: RUF012 - as SQLAlchemy's documentation has it


class Part(Inherited):
    __tablename__ = "parts"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    revision: Mapped[int] = mapped_column()
    kind: Mapped[str]
    __mapper_args__: ClassVar = {"polymorphic_on": "kind", "polymorphic_identity": "part", "version_id_col": revision}


class Wheel(Part):
    __tablename__ = "wheels"
    id: Mapped[UUID] = mapped_column(ForeignKey(Part.id), primary_key=True)
    file: Mapped[StoredFile | None] = mapped_column(FileType("documents", upload_to=place))
    __mapper_args__: ClassVar = {"polymorphic_identity": "wheel"}


async def test_keys_of_a_superclass(track_metadata):
    sessions, _ = await track_metadata(Inherited.metadata)
    folder("{0.kind}/{0.id}", Wheel)
    wheel = await added(sessions, Wheel(file=pending("new")))
    assert folder_of(wheel.file) == f"wheel/{wheel.id}"
    folder("{0.revision}", Wheel)
    with pytest.raises(InvalidArgumentException, match=r"Wheel\.revision"):
        await added(sessions, Wheel(file=pending("new")))


class Dataclasses(MappedAsDataclass, DeclarativeBase):
    type_annotation_map = {str: String(100)}  # noqa: RUF012 - as SQLAlchemy's documentation has it


class Point(Dataclasses):
    __tablename__ = "points"
    id: Mapped[int] = mapped_column(init=False, primary_key=True)
    kind: Mapped[str] = mapped_column(default="dot")
    uid: Mapped[UUID] = mapped_column(default_factory=uuid4)
    other: Mapped[UUID] = mapped_column(init=False, insert_default=uuid4)
    file: Mapped[StoredFile | None] = mapped_column(FileType("documents", upload_to=place), default=None)


async def test_mapped_dataclasses(track_metadata):
    sessions, _ = await track_metadata(Dataclasses.metadata)
    folder("{0.kind}/{0.uid}/{0.other}", Point)
    point = await added(sessions, Point(file=pending("new")))
    assert folder_of(point.file) == f"dot/{point.uid}/{point.other}"
    assert point.other is not None
