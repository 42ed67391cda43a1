"""sqlalchemy-file: plain sessions, which it listens on by itself; files are in libcloud's local driver.

https://jowilf.github.io/sqlalchemy-file/tutorial/using-files-in-models/
"""

from typing import Any

from libcloud.storage.drivers.local import LocalStorageDriver
from sqlalchemy.orm import sessionmaker
from sqlalchemy_file import File, FileField
from sqlalchemy_file.storage import StorageManager

from benchmarks.reliability.library import Blocking, BlockingLibrary
from benchmarks.reliability.trouble import Trouble

BESIDE = ".metadata.json"
"""libcloud's local driver keeps no metadata, so that sqlalchemy-file puts a file beside each: not counted."""


class Driver(LocalStorageDriver):
    """A folder that can be in trouble."""

    trouble = Trouble()

    def upload_object_via_stream(
        self, iterator: Any, container: Any, object_name: str, *args: Any, **options: Any
    ) -> Any:
        if not object_name.endswith(BESIDE):
            self.trouble.meet("write")
        return super().upload_object_via_stream(iterator, container, object_name, *args, **options)

    def delete_object(self, obj: Any) -> bool:
        if not obj.name.endswith(BESIDE):
            self.trouble.meet("delete")
        return super().delete_object(obj)


class SqlalchemyFile(BlockingLibrary):
    packages = ("sqlalchemy-file", "apache-libcloud")

    def column(self, is_shared: bool) -> FileField:
        return FileField()

    def list_column(self) -> FileField:
        return FileField(multiple=True)

    async def begin(self) -> None:
        driver = Driver(str(self.folder))
        driver.trouble = self.trouble
        StorageManager._clear()  # noqa: SLF001 - as its own tests do
        StorageManager.add_storage("default", driver.get_container(self.files.name))
        make = sessionmaker(self.engine)
        self.sessions = lambda *args, **options: Blocking(make(*args, **options))

    def new(self, text: str, filename: str | None = None) -> File:
        return File(content=text.encode(), filename=filename or "report.txt")

    def missing(self) -> File:
        return File(content={"filename": "nowhere.txt", "path": "default/nowhere", "files": ["default/nowhere"]})

    def names(self, value: File) -> frozenset[str]:
        return frozenset(path.partition("/")[2] for path in value["files"])

    def is_file(self, name: str) -> bool:
        return not name.endswith(BESIDE)

    async def settle(self) -> None:
        """There is nothing to wait for."""
