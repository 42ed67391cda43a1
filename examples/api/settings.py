"""What differs from one place to another."""

import os
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, SecretStr

from async_storages import FastdfsConfig, FastDFSStorage, LocalStorage, S3Config, S3Storage

SIGNED = "/signed"
"""Where the presigned URLs of a folder lead to; S3 needs no such place."""


class Settings(BaseModel):
    """The settings of one application.

    Attributes:
        secret_key: Signs what clients hold.
        database_url: Of SQLite or PostgreSQL, through an asynchronous driver.
        public_url: Where browsers find the application; empty for URLs without a host.
        folder: Keeps the files, where there is no S3.
        s3: Keeps the files.
        fastdfs: Has the files from before, which are read there until they are moved to S3: see `api.moving`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret_key: SecretStr
    database_url: str
    public_url: str = ""
    folder: Path = Path("files")
    s3: S3Config | None = None
    fastdfs: FastdfsConfig | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """Those in the variable ``API_SETTINGS``, a JSON object."""
        return cls.model_validate_json(os.environ.get("API_SETTINGS", "{}"))

    def old_storages(self) -> list[FastDFSStorage]:
        """Where files are that were uploaded before."""
        return [] if self.fastdfs is None else [FastDFSStorage(self.fastdfs)]

    def storage(self) -> LocalStorage | S3Storage:
        """Where new files go."""
        if self.s3 is not None:
            return S3Storage.from_config(self.s3)
        return LocalStorage(
            self.folder, base_url=f"{self.public_url}{SIGNED}", secret_key=self.secret_key.get_secret_value()
        )
