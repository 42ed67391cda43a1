"""The converter that gives file columns their form field."""

from typing import Any

from sqladmin.forms import ModelConverter, converts
from sqlalchemy.orm import ColumnProperty
from wtforms import validators

from async_storages.integrations.admin_files import FileColumn
from async_storages.integrations.sqladmin.fields import FileColumnField

__all__ = ["FileModelConverter"]

_TYPES = "async_storages.integrations.sqlalchemy.columns"


class FileModelConverter(ModelConverter):
    """SQLAdmin's converter, extended to file columns. A converter of your own inherits from it."""

    @converts(f"{_TYPES}.types.FileType", f"{_TYPES}.list_types.FileListType")  # type: ignore[untyped-decorator] # SQLAdmin's
    def conv_stored_files(self, model: type, prop: ColumnProperty[Any], kwargs: dict[str, Any]) -> Any:
        """Make the form field of a column with one file or with several files."""
        by_wtforms = (validators.Optional, validators.InputRequired)  # they look at one input; a column has several
        kept = [each for each in kwargs.get("validators", []) if not isinstance(each, by_wtforms)]
        column: Any = prop.columns[0]
        return FileColumnField(**{**kwargs, "validators": kept, "default": None}, column=FileColumn.of(column))
