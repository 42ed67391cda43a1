"""Resources of Google Cloud Storage's JSON API: objects, pages of a listing, steps of a copy. No I/O.

Specified in the JSON API reference of Cloud Storage: Objects, Objects: list, rewrite.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from async_storages.errors import StorageOperationException

__all__ = ["Page", "Rewritten", "StoredObject", "parsed"]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object.

    Attributes:
        key: The name in the bucket.
        size: The size in bytes.
        generation: The number of this content. No earlier or later content of the key has the same number.
        metageneration: The number of changes to the description of this content.
        md5: The MD5 of the content, in base64. None for objects that were composed of others.
        updated: The time of the last change to the content or its description.
        resource: The whole resource.
    """

    key: str
    size: int
    generation: str
    metageneration: str
    md5: str | None
    updated: datetime | None
    resource: Mapping[str, Any]

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> "StoredObject":
        """Return the object of a resource of the JSON API. Raises LookupError, TypeError or ValueError."""
        updated = resource.get("updated")
        return cls(
            key=str(resource["name"]),
            size=int(resource["size"]),
            generation=str(int(resource["generation"])),
            metageneration=str(resource.get("metageneration", "1")),
            md5=resource.get("md5Hash") or None,
            updated=None if updated is None else datetime.fromisoformat(updated),
            resource=resource,
        )

    @property
    def metadata(self) -> dict[str, str]:
        """The user's metadata."""
        found = self.resource.get("metadata") or {}
        return {str(name): str(value) for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing. `token` requests the next page. It is None on the last page."""

    objects: list[StoredObject]
    token: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Page":
        """Parse a page of "Objects: list". Raises as `StoredObject.of` does."""
        return cls([StoredObject.of(item) for item in answer.get("items", [])], answer.get("nextPageToken") or None)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The progress of a copy: the new object if it is done, otherwise the token to continue."""

    made: StoredObject | None
    token: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Rewritten":
        """Parse an answer of "Objects: rewrite". Raises as `StoredObject.of` does."""
        if answer.get("done"):
            return cls(StoredObject.of(answer["resource"]), None)
        return cls(None, str(answer["rewriteToken"]))


def parsed[Result](body: bytes, read: Callable[[Mapping[str, Any]], Result]) -> Result:
    """Return the result of `read` for a JSON object.

    Raises:
        StorageOperationException: The body is not JSON, or lacks a field.
    """
    with _well_formed():
        return read(json.loads(body))


@contextmanager
def _well_formed() -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise StorageOperationException(
            "the answer is not what was asked for: the endpoint_url may not be that of GCS"
        ) from error
