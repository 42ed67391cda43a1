"""advanced-alchemy: its configuration registers the listeners; files are on its obstore backend.

https://docs.advanced-alchemy.litestar.dev/latest/usage/types/file-storage.html
"""

from functools import cached_property
from typing import Any
from uuid import uuid4

from advanced_alchemy.config import SQLAlchemyAsyncConfig
from advanced_alchemy.types import FileObject, StoredObject
from advanced_alchemy.types.file_object import storages
from advanced_alchemy.types.file_object.backends.obstore import ObstoreBackend

from benchmarks.reliability.library import Library, background
from benchmarks.reliability.trouble import Trouble


class Backend(ObstoreBackend):
    """A folder that can be in trouble."""

    trouble = Trouble()

    async def save_object_async(self, *args: Any, **options: Any) -> FileObject:
        await self.trouble.wait("write")
        return await super().save_object_async(*args, **options)

    async def delete_object_async(self, *args: Any, **options: Any) -> None:
        await self.trouble.wait("delete")
        await super().delete_object_async(*args, **options)


class AdvancedAlchemy(Library):
    packages = ("advanced-alchemy", "obstore")

    def column(self, is_shared: bool) -> StoredObject:
        return StoredObject(backend="files")

    def list_column(self) -> StoredObject:
        return StoredObject(backend="files", multiple=True)

    @cached_property
    def backend(self) -> Backend:
        storages.register_backend(backend := Backend(key="files", fs=self.files.as_uri()))
        return backend

    async def begin(self) -> None:
        self.backend.trouble = self.trouble
        self.sessions = SQLAlchemyAsyncConfig(engine_instance=self.engine).create_session_maker()

    def new(self, text: str, filename: str | None = None) -> FileObject:
        """With the unique name below which its documentation stores files of users; without it, as in its examples."""
        path = None if filename else f"{uuid4()}.txt"
        return FileObject("files", filename or "report.txt", path, content=text.encode())

    def missing(self) -> FileObject:
        return FileObject("files", "nowhere.txt")

    def names(self, value: FileObject) -> frozenset[str]:
        return frozenset({value.path})

    async def settle(self) -> None:
        await background()
