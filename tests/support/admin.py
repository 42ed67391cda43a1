"""One model in two admin panels, which the same tests drive."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import sqladmin
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette_admin.contrib import sqla

from async_storages import FileTypeConfig, FileValidator, LocalStorage, StoredFile, StoredImage
from async_storages.integrations import sqladmin as files_in_sqladmin
from async_storages.integrations import starlette_admin as files_in_starlette_admin
from async_storages.integrations.fastapi import signed_downloads
from async_storages.integrations.sqlalchemy import FileList, FileListType, FileType, ImageType
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER
from tests.support.patience import TIME_OUT
from tests.support.uvicorn_server import served

STORAGE = "files of the admin panels"
PICTURES = FileValidator(FileTypeConfig(type_whitelist=["image/*"]), max_file_size=5_000_000)


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    photo: Mapped[StoredImage | None] = mapped_column(
        ImageType(STORAGE, width="photo_width", height="photo_height", validators=[PICTURES]), index=True
    )
    photo_width: Mapped[int | None]
    photo_height: Mapped[int | None]
    pages: Mapped[FileList[StoredFile]] = mapped_column(FileListType(STORAGE, facts=("size", "filename")))


class Contract(Base):
    __tablename__ = "contracts"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[StoredFile] = mapped_column(FileType(STORAGE), index=True)
    seal: Mapped[StoredImage | None] = mapped_column(ImageType(STORAGE), index=True)
    terms: Mapped[StoredFile] = mapped_column(FileType(STORAGE), default="terms.txt", index=True)


@dataclass
class Sqladmin:
    """SQLAdmin, as it is asked over HTTP."""

    client: httpx.AsyncClient
    kind = "sqladmin"

    @staticmethod
    def mount(app, sessions):
        class ItemAdmin(files_in_sqladmin.FileModelView, model=Item):
            column_list = [Item.id, Item.title, Item.photo, Item.pages]  # noqa: RUF012
            save_as = True

        class ContractAdmin(files_in_sqladmin.FileModelView, model=Contract):
            column_list = [Contract.id, Contract.file]  # noqa: RUF012
            form_widget_args = {"seal": {"readonly": True}}  # noqa: RUF012

        admin = sqladmin.Admin(app, session_maker=sessions)
        admin.add_view(ItemAdmin)
        admin.add_view(ContractAdmin)

    async def open(self):
        """Nothing: it has no tokens against forged requests."""

    def create_path(self, row="item"):
        return f"/admin/{row}/create"

    def edit_path(self, number=1, row="item"):
        return f"/admin/{row}/edit/{number}"

    def details_path(self, number=1, row="item"):
        return f"/admin/{row}/details/{number}"

    def clear(self, name):
        return {f"{name}-clear": "on"}

    def remove(self, name, *file_ids):
        return {f"{name}-remove": list(file_ids)}

    async def delete(self, number=1):
        return await self.client.delete("/admin/item/delete", params={"pks": number})


@dataclass
class StarletteAdmin:
    """Starlette-Admin, as it is asked over HTTP."""

    client: httpx.AsyncClient
    kind = "starlette-admin"

    @staticmethod
    def mount(app, sessions):
        class ContractView(files_in_starlette_admin.FileModelView):
            def __init__(self, model):
                super().__init__(model)
                next(field for field in self.fields if field.name == "seal").read_only = True

        admin = sqla.Admin(sessions, secret_key="a secret of the panel")
        admin.add_view(files_in_starlette_admin.FileModelView(Item))
        admin.add_view(ContractView(Contract))
        admin.mount_to(app)

    async def open(self):
        """Get the token against forged requests."""
        await self.client.get("/admin/item/create")
        self.client.headers["X-CSRFToken"] = self.client.cookies["starlette_admin_csrftoken"]

    def create_path(self, row="item"):
        return f"/admin/{row}/create"

    def edit_path(self, number=1, row="item"):
        return f"/admin/{row}/edit?pk={number}"

    def details_path(self, number=1, row="item"):
        return f"/admin/{row}/detail?pk={number}"

    def clear(self, name):
        return {f"_{name}-delete": "on"}

    def remove(self, name, *file_ids):
        return {f"_{name}-remove": list(file_ids)}

    async def delete(self, number=1):
        return await self.client.post("/admin/_api/item/row-action", params={"name": "delete", "pk": number})


PANELS = [Sqladmin, StarletteAdmin]


@asynccontextmanager
async def panel_site(panel, sessions, folder):
    """The URL of an application with the panel and its storage."""
    app = FastAPI()
    panel.mount(app, sessions)
    async with (
        served(app) as url,
        LocalStorage(folder, base_url=f"{url}/signed", secret_key="s", name=STORAGE) as storage,
    ):
        app.include_router(signed_downloads(storage), prefix="/signed")
        app.router.routes.insert(0, app.router.routes.pop())  # before the panel
        yield url, storage


async def row_of(engine, kind: Any = Item, number=1):
    async with AsyncSession(engine) as session:
        return await session.get(kind, number)


def files_of(row) -> list[str]:
    """The ids that the row names, sorted."""
    return sorted(str(file) for file in [row.photo, *row.pages] if file is not None)


async def held_by(storage) -> list[str]:
    """The ids of its files, sorted, without the mark of a ledger."""
    return sorted([info.file_id async for info in storage.list() if FOLDER not in info.file_id])


def client_of(url) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, timeout=TIME_OUT)
