"""HTML of file columns: links, thumbnails, and the inputs of forms."""

from typing import Any

from markupsafe import Markup

from async_storages.files import StoredFile
from async_storages.integrations.admin_files import FileLink, files_in, link_to
from async_storages.integrations.admin_uploads import upload_script

__all__ = ["FileWidget", "linked_files"]

_THUMBNAIL = Markup('<img src="{}" alt="{}" title="{}" loading="lazy" style="max-height: 4em; max-width: 8em">')
_LINK = Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>')
_CHECKBOX = Markup(
    '<label class="form-check d-inline-block ms-2">'
    '<input class="form-check-input" type="checkbox" name="{}" value="{}">'
    '<span class="form-check-label">{}</span></label>'
)
_INPUT = Markup('<input type="file" id="{}" name="{}" class="{}"{}{} data-stored-files>')
_MULTIPLE, _REQUIRED = Markup(" multiple"), Markup(" required")


async def linked_files(value: object) -> Markup:
    """Return the files of an attribute as links, and its images as thumbnails."""
    return Markup(" ").join([_linked(await link_to(each)) for each in files_in(value)])


def _linked(link: FileLink) -> Markup:
    if link.url is None:
        return Markup("{}").format(link.filename)
    shown = _THUMBNAIL.format(link.url, link.filename, link.filename) if link.is_image else link.filename
    return _LINK.format(link.url, shown)


class FileWidget:
    """The input of a file column: a link for each present file, and inputs to choose a new file and to clear it."""

    input_type = "file"

    async def __call__(self, field: Any, **kwargs: Any) -> Markup:
        """Render the field. The result is awaitable, and SQLAdmin's templates await it."""
        rows = [await self._row(field, each) for each in field.current]
        if field.is_read_only:
            return Markup("").join(rows)
        css_class = kwargs.get("class_") or kwargs.get("class", "")
        return Markup("").join([*rows, _clear(field), _input(field, css_class), upload_script()])

    @staticmethod
    async def _row(field: Any, file: StoredFile) -> Markup:
        link = await link_to(file)
        is_removable = field.column.is_list and not field.is_read_only
        remove = _CHECKBOX.format(f"{field.name}-remove", link.file_id, "Remove") if is_removable else ""
        return Markup('<div class="mb-2">{}{}</div>').format(_linked(link), remove)


def _clear(field: Any) -> Markup:
    can_clear = field.current and field.column.can_be_empty
    return _CHECKBOX.format(f"{field.name}-clear", "on", "Clear") if can_clear else Markup("")


def _input(field: Any, css_class: str) -> Markup:
    needs_file = field.column.is_required and not field.current
    flags = _MULTIPLE if field.column.is_list else "", _REQUIRED if needs_file else ""
    return _INPUT.format(field.id, field.name, css_class, *flags)
