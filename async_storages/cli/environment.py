"""Storages from environment variables such as ``ASYNC_STORAGES_S3_ENDPOINT``, for commands without ``--app``."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from async_storages.backends.fastdfs.storage import FastDFSStorage
from async_storages.backends.local.storage import LocalStorage
from async_storages.config import FastdfsConfig, GCSConfig, S3Config, validated
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FASTDFS
from async_storages.storage.base import Storage

__all__ = ["EnvironmentStorages"]

_PREFIX = "ASYNC_STORAGES_"
_LOCAL = f"{_PREFIX}LOCAL_"
_ROOT = f"{_LOCAL}ROOT"


class EnvironmentStorages:
    """Makes storages when commands need them, from the settings in the environment.

    ``ASYNC_STORAGES_S3_…``, ``ASYNC_STORAGES_GCS_…`` and ``ASYNC_STORAGES_FASTDFS_…`` are the fields of `S3Config`,
    `GCSConfig` and `FastdfsConfig`. Separate the items of a list by commas. ``ASYNC_STORAGES_LOCAL_ROOT`` is a folder.
    A bucket needs no settings if the tools of AWS or Google find the credentials.

    Args:
        environment: The variables.

    Raises:
        InvalidArgumentException: A variable is unknown or wrong. The message does not show its value.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._s3 = _settings(environment, "S3", S3Config)
        self._gcs = _settings(environment, "GCS", GCSConfig)
        self._fastdfs = _settings(environment, "FASTDFS", FastdfsConfig)
        self._root = _folder(environment)
        self._made: dict[tuple[str, str | None], Storage] = {}

    def configured(self) -> list[Storage]:
        """Return the storages that the settings name."""
        named = [("s3", self._s3.get("default_bucket")), ("gs", self._gcs.get("default_bucket"))]
        chosen = [(scheme, bucket) for scheme, bucket in named if bucket]
        chosen += [("file", None)] if self._root else []
        chosen += [(FASTDFS, None)] if self._fastdfs else []
        return [self.find(*each) for each in chosen]

    def find(self, scheme: str, bucket: str | None) -> Storage:
        """Return the storage of a scheme and bucket.

        Raises:
            InvalidArgumentException: There is none without ``--app``, or its extra is missing.
        """
        if (scheme, bucket) not in self._made:
            self._made[scheme, bucket] = self._make(scheme, bucket)
        return self._made[scheme, bucket]

    def _make(self, scheme: str, bucket: str | None) -> Storage:
        try:
            match scheme:
                case "s3":
                    from async_storages import S3Storage  # noqa: PLC0415 - its error names the extra

                    return S3Storage.from_config(validated(S3Config, {**self._s3, "default_bucket": bucket}))
                case "gs":
                    from async_storages import GCSStorage  # noqa: PLC0415 - its error names the extra

                    return GCSStorage.from_config(validated(GCSConfig, {**self._gcs, "default_bucket": bucket}))
        except ImportError as error:
            raise InvalidArgumentException(f"{error}") from error
        if scheme == FASTDFS and self._fastdfs:
            return FastDFSStorage(validated(FastdfsConfig, self._fastdfs))
        if scheme == "file" and self._root:
            return LocalStorage(self._root)
        variable = {FASTDFS: f"{_PREFIX}FASTDFS_TRACKER_SERVERS", "file": _ROOT}.get(scheme)
        how = f"set {variable}, or name your application" if variable else "name your application"
        raise InvalidArgumentException(f"nothing here serves {scheme} ids: {how} by --app module:object")


def _folder(environment: Mapping[str, str]) -> str | None:
    """Return the folder that the only variable for a folder names."""
    for variable, text in environment.items():
        if variable.startswith(_LOCAL) and variable != _ROOT and text:
            raise InvalidArgumentException(f"the variable {variable} is unknown; there is {_ROOT}")
    return environment.get(_ROOT) or None


def _settings(environment: Mapping[str, str], system: str, model: type[BaseModel]) -> dict[str, Any]:
    """Return the settings of a system, by the names of its fields."""
    beginning = f"{_PREFIX}{system}_"
    found: dict[str, Any] = {}
    for variable, text in environment.items():
        name = variable.removeprefix(beginning).lower()
        if not variable.startswith(beginning) or not text:
            continue
        if name not in model.model_fields:
            known = ", ".join(f"{beginning}{each.upper()}" for each in model.model_fields)
            raise InvalidArgumentException(f"the variable {variable} is unknown; there are {known}")
        found[name] = _value(variable, text, is_list=name == "tracker_servers")
    if found:
        validated(model, {"default_bucket": "unnamed", **found} if "default_bucket" in model.model_fields else found)
    return found


def _value(variable: str, text: str, *, is_list: bool) -> Any:
    if is_list:
        return [each.strip() for each in text.split(",")]
    if not text.startswith("{"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidArgumentException(f"the variable {variable} begins like JSON, and is none") from None
