"""Settings: what differs from one place to another."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr

from async_storages import LocalStorage, S3Config, S3Storage

SIGNED = "/signed"
"""The path of presigned URLs of a folder; S3 needs none."""


class Settings(BaseModel):
    """The settings of one gallery.

    Attributes:
        secret_key: Signs the URLs of files in a folder.
        database_url: Of SQLite or PostgreSQL, through an asynchronous driver.
        folder: Keeps the files, if there is no S3.
        s3: Keeps the files.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret_key: SecretStr
    database_url: str
    folder: Path = Path("files")
    s3: S3Config | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """Those in the variable ``GALLERY_SETTINGS``, a JSON object."""
        return cls.model_validate_json(os.environ.get("GALLERY_SETTINGS", "{}"))

    def storage(self) -> LocalStorage | S3Storage:
        """A storage of the files."""
        if self.s3 is not None:
            return S3Storage.from_config(self.s3)
        return LocalStorage(self.folder, base_url=SIGNED, secret_key=self.secret_key.get_secret_value())
