"""File columns in admin panels: links to files, and the changes that a submitted form requests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Column
from sqlalchemy.orm import Mapper

from async_storages.content import ContentOptions, as_content, is_no_file
from async_storages.errors import StorageException
from async_storages.files import StoredFile, StoredImage
from async_storages.integrations.sqlalchemy.columns.fields import fields_of, file_type
from async_storages.integrations.sqlalchemy.columns.types import FileType, ImageType
from async_storages.sources import open_source
from async_storages.storage.capabilities import SupportsPresign

__all__ = [
    "REQUIRED",
    "FileColumn",
    "FileLink",
    "SubmittedFiles",
    "chosen_in",
    "close_uploads",
    "dimension_names",
    "files_in",
    "link_to",
    "values_of",
]

_LINKED_FOR = 3600
"""Seconds until the links of a page expire."""

REQUIRED = "This field is required."


class FileLink(NamedTuple):
    """A link to a file on a page.

    Attributes:
        file_id: The id of the file.
        filename: The name that users see. It is the id if the id is malformed or no storage serves it.
        url: A URL. A presigned one works for an hour. None if there is no URL.
        is_image: True if a browser may show the file as a thumbnail.
    """

    file_id: str
    filename: str
    url: str | None
    is_image: bool


async def link_to(file: StoredFile) -> FileLink:
    """Return the link to a file, presigned if its storage can presign. It never raises because of a broken row."""
    try:
        is_signed = isinstance(file.storage, SupportsPresign)
        url = await (file.get_presigned_url(_LINKED_FOR) if is_signed else file.get_path())
        is_image = isinstance(file, StoredImage) or file.content_type.startswith("image/")
        return FileLink(file.file_id, file.filename, url, is_image)
    except StorageException:
        return FileLink(file.file_id, file.file_id, None, is_image=False)


def files_in(value: object) -> list[StoredFile]:
    """Return the stored files in the value of an attribute, in order."""
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, StoredFile)]


def dimension_names(mapper: Mapper[Any]) -> set[str]:
    """Return the attributes with the dimensions of images. Forms leave them out, because they follow the image."""
    images = [each.column.type for each in fields_of(mapper) if isinstance(each.column.type, ImageType)]
    return {name for image in images for name in (image.width, image.height) if name is not None}


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A file column in a form.

    Attributes:
        type: The type of one file.
        is_list: True for a column with several files.
        is_nullable: True if the column may be NULL.
        has_default: True if the database or SQLAlchemy has a default for the column.
    """

    type: FileType
    is_list: bool
    is_nullable: bool
    has_default: bool

    @classmethod
    def of(cls, column: Column[Any]) -> "FileColumn":
        """Describe a column, which must have a file type."""
        type_ = file_type(column.type)
        assert type_ is not None  # noqa: S101 - converters are registered for these types
        has_default = column.default is not None or column.server_default is not None
        return cls(type_, type_ is not column.type, bool(column.nullable), has_default)

    @property
    def can_be_empty(self) -> bool:
        """True if a row may have no file."""
        return self.is_list or self.is_nullable

    @property
    def is_required(self) -> bool:
        """True if the form of a new row needs a file."""
        return not (self.can_be_empty or self.has_default)

    @property
    def empty(self) -> list[Any] | None:
        """The value without a file."""
        return [] if self.is_list else None

    async def refusal(self, upload: Any) -> str | None:
        """Return the reason why a validator of the column refuses an upload. None if all of them allow it."""
        source = open_source(upload)
        limits = [limit for each in self.type.validators if (limit := each.max_file_size) is not None]
        options: ContentOptions = {"max_size": min(limits)} if limits else {}
        try:
            async with as_content(source, upload.filename, options) as content:
                for validator in self.type.validators:
                    await validator.check(content)
        except StorageException as error:
            return f"{upload.filename}: {error.reason}"
        finally:
            await source.put_back()
        return None


@dataclass(slots=True)
class SubmittedFiles:
    """The changes that a form requests for one file column.

    Attributes:
        column: The column.
        current: The files that the row names. Empty for a new row.
        uploads: The chosen files, without empty inputs.
        removed: The ids of files to remove from a list.
        is_cleared: True if the form empties the column. For a single file, an upload overrides this.
        errors: The messages that the form shows beside the column.
    """

    column: FileColumn
    current: list[StoredFile] = field(default_factory=list)
    uploads: list[Any] = field(default_factory=list)
    removed: frozenset[str] = frozenset()
    is_cleared: bool = False
    errors: list[str] = field(default_factory=list)

    @property
    def kept(self) -> list[StoredFile]:
        """The files that stay."""
        is_replaced = bool(self.uploads) and not self.column.is_list
        if self.is_cleared or is_replaced:
            return []
        return [each for each in self.current if each.file_id not in self.removed]

    @property
    def changes_row(self) -> bool:
        """True if the row gets another value."""
        return bool(self.uploads) or self.kept != self.current

    @property
    def value(self) -> Any:
        """The new value of the attribute: file objects and uploads."""
        values = [*self.kept, *self.uploads]
        return values if self.column.is_list else next(iter(values), None)

    async def problem(self) -> str | None:
        """Return the reason why the form must be shown again. None if there is none."""
        is_empty = not self.kept and not self.uploads
        if is_empty and not self.column.can_be_empty and (self.current or not self.column.has_default):
            return REQUIRED
        refusals = [await self.column.refusal(each) for each in self.uploads]
        return next((each for each in refusals if each is not None), None)


def chosen_in(sent: Iterable[Any]) -> list[Any]:
    """Return the uploads among the values of an input. Empty ones are closed and left out."""
    chosen = []
    for each in sent:
        if is_no_file(each):
            each.file.close()  # it is in memory
        elif hasattr(each, "filename"):
            chosen.append(each)
    return chosen


def values_of(submitted: Mapping[str, SubmittedFiles], *, is_new: bool) -> dict[str, Any]:
    """Return the attributes that a form sets, without those that it leaves unchanged."""
    values = {}
    for name, each in submitted.items():
        if each.changes_row or (is_new and each.current):
            values[name] = each.value
        elif is_new and not each.column.has_default:
            values[name] = None if each.column.is_nullable else each.column.empty
    return values


async def close_uploads(submitted: Iterable[SubmittedFiles]) -> None:
    """Close the temporary files of a form."""
    for each in submitted:
        for upload in each.uploads:
            await upload.close()
