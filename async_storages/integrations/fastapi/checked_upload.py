"""A dependency of FastAPI that checks an upload. By default, the form field has the name of the parameter."""

import sys
from inspect import Parameter, Signature
from typing import Annotated

from fastapi import File, UploadFile
from fastapi.exceptions import RequestValidationError

from async_storages.errors import InvalidArgumentException
from async_storages.sources import is_empty_input
from async_storages.validation import FileTypeConfig, FileValidator

__all__ = ["CheckedUpload"]


class CheckedUpload:
    """Receives an upload, and checks it with a validator.

    Args:
        validator: The rules.
        field: The name of the form field. None uses the name of the parameter.
        is_required: False allows a form without a chosen file. The value is None then.
    """

    def __init__(self, validator: FileValidator, field: str | None, *, is_required: bool) -> None:
        self._validator = validator
        self._field = field
        self._is_required = is_required

    @property
    def __signature__(self) -> Signature:
        """The parameters. FastAPI reads them once for each parameter that uses this dependency."""
        name = _name_of_parameter(self)
        if name is None and self._field is None:
            raise InvalidArgumentException('UploadDep cannot tell the name of its parameter here: give it field="…"')
        described = File(alias=self._field or name, description=_described(self._validator))
        kind: object = UploadFile if self._is_required else UploadFile | None
        default = Parameter.empty if self._is_required else None
        annotation = Annotated[kind, described]  # type: ignore[valid-type]  # chosen at run time
        return Signature([Parameter(name or "file", Parameter.KEYWORD_ONLY, default=default, annotation=annotation)])

    async def __call__(self, **uploads: UploadFile | None) -> UploadFile | None:
        """Check the upload, and rewind it.

        Raises:
            RequestValidationError: No file was chosen. Newer releases of FastAPI raise this themselves.
            StorageException: The validator refuses the upload.
        """
        [(name, file)] = uploads.items()
        if file is None or is_empty_input(file):
            if self._is_required:
                location = ("body", self._field or name)
                raise RequestValidationError(
                    [{"type": "missing", "loc": location, "msg": "Field required", "input": None}]
                )
            return None
        async with self._validator.open(file):
            pass
        await file.seek(0)  # also where somebody had read it before
        return file


def _name_of_parameter(dependency: CheckedUpload) -> str | None:
    """Find the name of the parameter in the frames of FastAPI. Dependencies have no other way to learn it."""
    frame = sys._getframe(1)  # noqa: SLF001 - see above
    while frame := frame.f_back:  # type: ignore[assignment]  # the outermost has None
        known = frame.f_locals if frame.f_code.co_name == "get_dependant" else {}
        if known.get("call") is dependency and isinstance(name := known.get("name"), str):
            return name
    return None


def _described(rules: FileValidator) -> str | None:
    """Return the rules in words, for OpenAPI."""
    kinds = rules.file_type_config or FileTypeConfig()
    told = [
        f"At most {rules.max_file_size:,} bytes." if rules.max_file_size else "",
        f"Types: {', '.join(kinds.type_whitelist)}." if kinds.type_whitelist else "",
        f"Extensions: {', '.join(kinds.whitelist)}." if kinds.whitelist else "",
    ]
    return " ".join(filter(None, told)) or None
