"""The view of a model with file columns."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from sqladmin import ModelView
from sqladmin.forms import ModelConverterBase
from starlette.datastructures import FormData
from starlette.middleware import Middleware
from starlette.requests import Request
from wtforms import ValidationError

from async_storages.files import StoredFile
from async_storages.integrations.admin_files import (
    SubmittedFiles,
    chosen_in,
    close_uploads,
    dimension_names,
    files_in,
    values_of,
)
from async_storages.integrations.admin_uploads import AdminUploads, has_admin_uploads
from async_storages.integrations.sqladmin.converter import FileModelConverter
from async_storages.integrations.sqladmin.fields import current_name
from async_storages.integrations.sqladmin.pages import linked_files
from async_storages.integrations.sqlalchemy.columns.fields import fields_of

__all__ = ["FileModelView"]


class FileModelView(ModelView):
    """A view whose pages show the files of a model, and upload, replace and clear them.

    It needs no configuration of its own. Track the sessions of the ``Admin``: pass it
    ``session_maker=enable_file_tracking(sessionmaker)`` instead of the engine.

    Example:
        >>> class DocumentAdmin(FileModelView, model=Document):
        ...     column_list = [Document.id, Document.file]
    """

    form_converter: ClassVar[type[ModelConverterBase]] = FileModelConverter

    def __init__(self) -> None:
        super().__init__()
        panel = getattr(self, "_admin_ref", None)  # set as soon as the view is added
        if panel is not None and not has_admin_uploads(panel.admin.user_middleware):
            panel.admin.user_middleware.insert(0, Middleware(AdminUploads))  # too late once it serves; forms work then

    # ---- pages that show files

    async def get_list_value(self, obj: Any, prop: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Show files as links, unless the view has its own formatter for them."""
        value, shown = await super().get_list_value(obj, prop, *args, **kwargs)
        return value, shown if prop in self._list_formatters else await _shown(value, shown)

    async def get_detail_value(self, obj: Any, prop: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Show files as links, unless the view has its own formatter for them."""
        value, shown = await super().get_detail_value(obj, prop, *args, **kwargs)
        return value, shown if prop in self._detail_formatters else await _shown(value, shown)

    # ---- forms

    def get_form_columns(self) -> list[str]:
        """Return the columns of the form, without the dimensions of images unless ``form_columns`` names them."""
        columns = super().get_form_columns()
        hidden = set() if getattr(self, "form_columns", None) else dimension_names(self._mapper)
        return [each for each in columns if each not in hidden]

    async def get_object_for_edit(self, request: Request) -> Any:
        """Return the row, and prepare a submitted form.

        It adds the files of the row to the form, and removes the file inputs that the user left empty. Otherwise
        SQLAdmin would put the file of the row into an empty input, and upload that file again.
        """
        row = await super().get_object_for_edit(request)
        if row is not None and request.method == "POST":
            names = {each.key for each in fields_of(self._mapper)}
            sent = (await request.form()).multi_items()
            kept = [(name, value) for name, value in sent if name not in names or chosen_in([value])]
            current: list[Any] = [(current_name(name), file) for name in names for file in files_in(getattr(row, name))]
            request._form = FormData([*kept, *current])  # noqa: SLF001 - what `request.form()` returns from now on
        return row

    async def insert_model(self, request: Request, data: dict[str, Any]) -> Any:
        """Insert the row with its files. If a validator refuses a file, the form shows the message."""
        async with _checked(data, is_new=True) as values:
            return await super().insert_model(request, values)

    async def update_model(self, request: Request, pk: str, data: dict[str, Any]) -> Any:
        """Update the row. A file stays if the user neither chose another one nor cleared it."""
        async with _checked(data, is_new=False) as values:
            return await super().update_model(request, pk, values)


async def _shown(value: Any, shown: Any) -> Any:
    return await linked_files(value) if isinstance(value, StoredFile | list) and files_in(value) else shown


@asynccontextmanager
async def _checked(data: dict[str, Any], *, is_new: bool) -> AsyncIterator[dict[str, Any]]:
    """Check the files, yield the values for the row, and close the uploads afterwards."""
    submitted = {name: value for name, value in data.items() if isinstance(value, SubmittedFiles)}
    try:
        problems = {name: problem for name, each in submitted.items() if (problem := await each.problem())}
        for name, problem in problems.items():
            submitted[name].errors.append(problem)
        if problems:
            raise ValidationError("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
        yield {name: value for name, value in data.items() if name not in submitted} | values_of(
            submitted, is_new=is_new
        )
    finally:
        await close_uploads(submitted.values())
