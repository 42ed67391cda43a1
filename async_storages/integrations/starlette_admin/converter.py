"""The converter that gives file columns their field."""

from collections.abc import Sequence
from typing import Any

from starlette_admin.contrib.sqla.converters import ModelConverter
from starlette_admin.converters import converts
from starlette_admin.fields import BaseField

from async_storages.integrations.admin_files import FileColumn, dimension_names
from async_storages.integrations.starlette_admin.fields import FileColumnField

__all__ = ["FileModelConverter"]

_TYPES = "async_storages.integrations.sqlalchemy.columns"


class FileModelConverter(ModelConverter):
    """Starlette-Admin's converter, extended to file columns. A converter of your own inherits from it."""

    @converts(f"{_TYPES}.types.FileType", f"{_TYPES}.list_types.FileListType")
    def conv_stored_files(self, *args: Any, **kwargs: Any) -> BaseField:
        """Make the field of a column with one file or with several files."""
        column = FileColumn.of(kwargs["column"])
        common = self._field_common(*args, **kwargs) | {"default": None, "required": column.is_required}
        return FileColumnField(**common, multiple=column.is_list, column=column)

    def convert_fields_list(
        self, *, fields: Sequence[Any], model: type[Any], explicit_fields: bool = False, **kwargs: Any
    ) -> Sequence[BaseField]:
        """Convert fields. Forms omit the dimensions of images, unless the view names its fields."""
        converted = super().convert_fields_list(fields=fields, model=model, explicit_fields=explicit_fields, **kwargs)
        hidden = set() if explicit_fields else dimension_names(kwargs["mapper"])
        for field in converted:
            if field.name in hidden:
                field.exclude_from_create = field.exclude_from_edit = True
        return converted
