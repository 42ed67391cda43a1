"""The form field of a file column."""

from typing import Any

from wtforms import Field
from wtforms.utils import unset_value

from async_storages.files import StoredFile
from async_storages.integrations.admin_files import FileColumn, SubmittedFiles, chosen_in, files_in
from async_storages.integrations.sqladmin.pages import FileWidget

__all__ = ["FileColumnField", "current_name"]


def current_name(name: str) -> str:
    """Return the name under which the view adds the files of the row to the submitted form."""
    return f"{name}-current"


class FileColumnField(Field):  # type: ignore[misc] # WTForms has no types
    """The form field of a file column. A user can keep, replace or clear a file, and add or remove files of a list.

    Args:
        *args: Arguments of a WTForms field.
        column: The column.
        **kwargs: Options of a WTForms field. With ``readonly`` or ``disabled`` in `render_kw` it only shows the files.

    Attributes:
        column: The column.
        current: The files that the row names.
    """

    widget: Any = FileWidget()  # SQLAdmin's templates wait for it

    def __init__(self, *args: Any, column: FileColumn, **kwargs: Any) -> None:
        self.data: Any = None
        self.errors: Any = ()
        super().__init__(*args, **kwargs)
        self.column = column
        self.current: list[StoredFile] = []
        if column.is_required:
            self.flags.required = True

    @property
    def is_read_only(self) -> bool:
        """True if the form shows the files but cannot change them."""
        return bool({"readonly", "disabled"} & {key for key, value in (self.render_kw or {}).items() if value})

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        """Read the files of the row and the changes that a submitted form makes to them."""
        super().process(formdata, data, extra_filters)
        self.current = files_in(self.data)
        if formdata is not None:
            self.current = [each for each in formdata.getlist(current_name(self.name)) if isinstance(each, StoredFile)]
            self.data = self._submitted(formdata)

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Do nothing: a form has several inputs for one column, and `process` reads all of them."""

    def validate(self, form: Any, extra_validators: Any = ()) -> bool:
        """Validate as WTForms does, without waiting for I/O. The view later adds its own messages to this field."""
        is_valid: bool = super().validate(form, extra_validators)
        if isinstance(self.data, SubmittedFiles):
            self.errors = self.data.errors = list(self.errors)
        return is_valid

    def _submitted(self, formdata: Any) -> SubmittedFiles:
        if self.is_read_only:
            return SubmittedFiles(self.column, self.current)
        chosen = chosen_in(formdata.getlist(self.name))
        return SubmittedFiles(
            self.column,
            self.current,
            chosen if self.column.is_list else chosen[:1],
            frozenset(formdata.getlist(f"{self.name}-remove")),
            bool(formdata.getlist(f"{self.name}-clear")),
        )
