"""The view of a model with file columns."""

from typing import Any

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette_admin.contrib.sqla import ModelView
from starlette_admin.contrib.sqla.converters import BaseSQLAModelConverter
from starlette_admin.exceptions import FormValidationError

from async_storages.errors import StorageException
from async_storages.integrations.admin_files import close_uploads
from async_storages.integrations.admin_uploads import AdminUploads, has_admin_uploads
from async_storages.integrations.starlette_admin.converter import FileModelConverter
from async_storages.integrations.starlette_admin.fields import FileColumnField, ParsedFiles

__all__ = ["FileModelView"]


class FileModelView(ModelView):
    """A view whose pages show the files of a model, and upload, replace and clear them.

    It needs no configuration of its own. Track the sessions of the ``Admin``: pass it
    ``enable_file_tracking(sessionmaker)`` instead of the engine.

    Args:
        model: The mapped class.
        icon: The icon, as for ``ModelView``.
        display_name: The name of a row, as for ``ModelView``.
        menu_label: The name in the menu, as for ``ModelView``.
        key: The name in URLs, as for ``ModelView``.
        converter: A `FileModelConverter`.

    Example:
        >>> from starlette_admin.contrib.sqla import Admin
        >>> admin = Admin(enable_file_tracking(async_sessionmaker(engine)), secret_key=secret)
        >>> admin.add_view(FileModelView(Document, icon="fa fa-file"))
    """

    def __init__(  # noqa: PLR0917 - as in ModelView
        self,
        model: type[Any],
        icon: str | None = None,
        display_name: str | None = None,
        menu_label: str | None = None,
        key: str | None = None,
        converter: BaseSQLAModelConverter | None = None,
    ) -> None:
        super().__init__(model, icon, display_name, menu_label, key, converter or FileModelConverter())

    @property  # the panel sets it on its views, which get to know it in no other way
    def _admin(self) -> Any:
        """The panel. Before it serves, it gets the middleware that shows the progress of uploads."""
        return self._panel

    @_admin.setter
    def _admin(self, panel: Any) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._panel = panel
        if not has_admin_uploads(panel.middlewares):
            panel.middlewares.append(Middleware(AdminUploads))

    async def validate_fields(self, request: Request, data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        """Validate all fields. If one refuses the form, close its uploads."""
        try:
            await super().validate_fields(request, data, *args, **kwargs)
        except FormValidationError:
            await _close_uploads(data)
            raise

    async def create(self, request: Request, data: dict[str, Any]) -> Any:
        """Insert the row with its files, and close the uploads."""
        try:
            return await super().create(request, data)
        finally:
            await _close_uploads(data)

    async def edit(self, request: Request, pk: Any, data: dict[str, Any]) -> Any:
        """Update the row, and close the uploads. A file stays if the user neither chose another one nor cleared it."""
        try:
            return await super().edit(request, pk, data)
        finally:
            await _close_uploads(data)

    async def handle_exception(self, request: Request, exc: Exception) -> None:
        """Show in the form why the storage refused a file, for example because it is larger than declared."""
        field = next((each for each in self.fields if isinstance(each, FileColumnField)), None)
        if field is not None and isinstance(exc, StorageException) and exc.http_status < 500:
            raise FormValidationError({field.name: exc.reason}) from exc
        await super().handle_exception(request, exc)


async def _close_uploads(data: dict[str, Any]) -> None:
    await close_uploads(each.submitted for each in data.values() if isinstance(each, ParsedFiles))
