"""The file of the credentials: the given one, or else the one that Google's tools find."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from async_storages._secrets import hidden
from async_storages.errors import AccessDeniedException, InvalidArgumentException

__all__ = ["read_credentials", "unreadable"]


def read_credentials(service_file: str | Path | None) -> Mapping[str, Any] | None:
    """Return the content of the file, or of the file that Google's tools find. None if there is none."""
    path = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") or None if service_file is None else service_file
    try:
        data = hidden(json.loads((_of_gcloud() if path is None else Path(path)).read_bytes()))
    except OSError as error:
        if path is None and isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        raise unreadable(error) from error
    except ValueError:
        data = None
    if not isinstance(data, dict) or not data:
        raise InvalidArgumentException(
            "the file of the credentials holds no JSON object: give the file as Google makes it"
        )
    return data


def _of_gcloud() -> Path:
    """Return the path of ``gcloud auth application-default login``, as google-auth determines it."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path's raises where nobody has a home, as in some containers
    parent = Path(os.environ.get("APPDATA", "C:/")) if os.name == "nt" else Path(home, ".config")
    return Path(os.environ.get("CLOUDSDK_CONFIG") or parent / "gcloud", "application_default_credentials.json")


def unreadable(error: OSError) -> AccessDeniedException:
    """Return the error for a file that cannot be read."""
    return AccessDeniedException(f"the file of the credentials, {error.filename!r}, cannot be read ({error.strerror})")
