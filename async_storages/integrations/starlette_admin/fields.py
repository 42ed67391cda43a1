"""The field of a file column."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from markupsafe import Markup
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette_admin import RequestAction
from starlette_admin.fields import FileField

from async_storages.files import StoredFile
from async_storages.integrations.admin_files import REQUIRED, FileColumn, SubmittedFiles, chosen_in, files_in, link_to
from async_storages.integrations.admin_uploads import upload_script
from async_storages.integrations.starlette_admin.pages import FORM, SHOWN

__all__ = ["FileColumnField", "ParsedFiles"]


@dataclass(frozen=True, slots=True)
class ParsedFiles:
    """The files that a form submits. Starlette-Admin unpacks it into the value to assign, and True to assign None.

    Attributes:
        submitted: The changes that the form makes.
        links: The files of the row, for a form that is shown again.
        is_new: True if the row does not exist yet.
    """

    submitted: SubmittedFiles
    links: list[dict[str, Any]]
    is_new: bool

    def __iter__(self) -> Iterator[Any]:
        """Yield the value and the flag. An empty value without the flag leaves the attribute unchanged."""
        yield from self._assignment()

    def _assignment(self) -> tuple[Any, bool]:
        submitted, column = self.submitted, self.submitted.column
        needs_value = self.is_new and column.is_list and not (column.is_nullable or column.has_default)
        if not (submitted.changes_row or submitted.is_cleared or needs_value):
            return column.empty, False
        if column.is_list:  # an empty list would not be assigned; one with an empty input is, and loses it
            return submitted.value or [UploadFile(BytesIO(), size=0, filename="")], False
        return submitted.value, submitted.value is None


@dataclass
class FileColumnField(FileField):
    """The field of a file column. A user can keep, replace or clear a file, and add or remove files of a list.

    Attributes:
        column: The column.
    """

    column: FileColumn | None = None
    max_size: int | None = None
    list_template: str = SHOWN
    detail_template: str = SHOWN
    form_template: str = FORM

    @property
    def upload_script(self) -> Markup:
        """The HTML element that loads the script of forms. Their template includes it."""
        return upload_script()

    @property
    def _column(self) -> FileColumn:
        assert self.column is not None  # noqa: S101 - a dataclass with defaults can ask for no argument
        return self.column

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """Return the links for a page, or the ids for an export."""
        files = files_in(value)
        if request.state.action == RequestAction.EXPORT:
            return ", ".join(map(str, files))
        links = [(await link_to(each))._asdict() for each in files]
        _known(request)[id(self)] = files, links
        return links

    async def serialize_none_value(self, request: Request) -> Any:
        """Remember that the row has no file."""
        _known(request)[id(self)] = [], []
        return await super().serialize_none_value(request)

    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """Read the changes that a submitted form makes to the files."""
        chosen = chosen_in(form_data.getlist(self.id))
        current, links = _known(request).get(id(self), ([], []))
        submitted = SubmittedFiles(
            self._column,
            current,
            chosen if self.multiple else chosen[:1],
            frozenset(str(each) for each in form_data.getlist(f"_{self.id}-remove")),
            form_data.get(f"_{self.id}-delete") == "on",
        )
        return ParsedFiles(submitted, links, is_new=request.state.action == RequestAction.CREATE)

    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        """Run the validators of the column.

        Raises:
            ValueError: A validator refuses a file. Starlette-Admin shows the message in the form.
        """
        submitted: SubmittedFiles = value.submitted
        problem = await submitted.problem()
        is_known = request.state.action == RequestAction.CREATE or id(self) in _known(request)
        if problem is not None and (is_known or problem != REQUIRED):  # rows within other rows are not known
            raise ValueError(problem)
        for upload in submitted.uploads:
            await self._run_validators(request, self.validators, upload, form_values)


def _known(request: Request) -> dict[int, tuple[list[StoredFile], list[dict[str, Any]]]]:
    """Return the files of the edited row, by field. Starlette-Admin shows the row before it reads the form."""
    known: dict[int, Any] | None = getattr(request.state, "stored_files", None)
    if known is None:
        known = request.state.stored_files = {}
    return known
