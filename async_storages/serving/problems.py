"""Errors as problem details (RFC 9457). They contain only facts that every client may know."""

import logging
from http import HTTPStatus

from pydantic import BaseModel

from async_storages import errors
from async_storages.errors import ImageProcessingException, ImageRefusal, InvalidFileTypeException, StorageException

__all__ = ["MEDIA_TYPE", "Problem", "problem_of", "reported_problem"]

logger = logging.getLogger("async_storages")

MEDIA_TYPE = "application/problem+json"

_TOLD: dict[type[StorageException], tuple[str, str]] = {
    errors.InvalidArgumentException: ("invalid_argument", "Something in the request cannot be right."),
    errors.InvalidFileTypeException: ("invalid_file_type", "Files of this type are not accepted here."),
    errors.ImageProcessingException: ("image_processing", "The image takes too much time or memory."),
    errors.FileTooLargeException: ("file_too_large", "The file is larger than allowed here."),
    errors.FileNotFoundException: ("file_not_found", "There is no such file."),
    errors.FileExistsException: ("file_exists", "There is such a file already."),
    errors.FileGoneException: ("file_gone", "The file was removed meanwhile."),
    errors.FileArchivedException: ("file_archived", "The file is archived, and has to be restored first."),
    errors.AccessDeniedException: ("access_denied", "Access was denied; a link may have expired."),
    errors.DeleteNotSupportedException: ("delete_not_supported", "Files cannot be deleted here."),
    errors.RouteNotSupportedException: ("route_not_supported", "Files of this kind or place are not served here."),
    errors.OperationNotSupportedException: ("operation_not_supported", "This cannot be done with this file."),
    errors.StorageUnavailableException: ("storage_unavailable", "The file storage cannot be reached; try again later."),
    errors.ChecksumMismatchException: ("checksum_mismatch", "The file was damaged on its way; try again."),
    errors.StorageOperationException: ("storage_failed", "The file storage failed."),
    errors.StorageException: ("storage_error", "Something went wrong."),
}

_REFUSALS: dict[ImageRefusal, str] = {
    "image_format": "The file is not an image of an accepted format.",
    "image_damaged": "The image is damaged.",
    "image_too_large": "The image has more pixels or frames than are accepted here.",
    "image_too_small": "The image has fewer pixels than are accepted here.",
    "image_animated": "Animated images are not accepted here.",
}


class Problem(BaseModel):
    """Problem details (RFC 9457), with a `code` for programs.

    Attributes:
        type: Always ``about:blank``.
        title: The HTTP status in words.
        status: The HTTP status.
        detail: A sentence for people. It is the same for every file.
        code: A code for programs. It is the name of the exception, such as ``file_too_large``, or the rule that refused
            an image, such as ``image_damaged``.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


def problem_of(error: StorageException) -> Problem:
    """Return the problem details of an error, by its class and status.

    They do not contain the reason, id, bucket or endpoint of the error, or the message of a backend.
    """
    code, detail = next(_TOLD[kind] for kind in type(error).__mro__ if kind in _TOLD)
    if isinstance(error, InvalidFileTypeException) and error.rule is not None:
        detail = _REFUSALS[error.rule]
        code = error.rule
    return Problem(title=HTTPStatus(error.http_status).phrase, status=error.http_status, detail=detail, code=code)


def reported_problem(error: StorageException) -> Problem:
    """Return the problem details of an error, and log the error if the server is at fault.

    For a refused file, it logs one line with the operation and the reason.
    """
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("a request failed: %s", error, exc_info=error)  # its path may hold a token
    elif isinstance(error, InvalidFileTypeException | ImageProcessingException):
        told = ": ".join(filter(None, (error.operation, error.reason)))
        logger.info("a file was refused: %s", " ".join(told.split()))  # decoders' reasons may have several lines
    return problem_of(error)
