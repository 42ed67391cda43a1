"""Refusals in words for whoever has chosen the file."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from async_storages import FileTooLargeException, ImageProcessingException, InvalidFileTypeException, StorageException
from gallery.models import LARGEST_FILE

TOO_LARGE = f"This file is too large: {LARGEST_FILE // 1_000_000} MB are the most."


def tell_refusals(app: FastAPI) -> None:
    """Answer uploads that are refused with a reason, which the page shows beside the file."""
    for kind in (FileTooLargeException, ImageProcessingException, InvalidFileTypeException):
        app.add_exception_handler(kind, _answer)


async def _answer(_: Request, error: Exception) -> Response:
    if not isinstance(error, StorageException):
        raise error
    return JSONResponse({"detail": _reason(error)}, error.http_status)


def _reason(error: StorageException) -> str:
    if isinstance(error, FileTooLargeException):
        return TOO_LARGE
    if isinstance(error, ImageProcessingException):
        return "This image takes too much time or memory."
    return f"Refused: {error.reason}."
