"""`ServedBy`, a constraint for pydantic: it accepts only ids that a storage serves."""

from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from async_storages.errors import InvalidArgumentException, RouteNotSupportedException, StorageException
from async_storages.files import StoredFile, storage_ref_of
from async_storages.ids import FileId
from async_storages.registry import DEFAULT, StorageRef, StorageRouter

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["ServedBy"]


class ServedBy:
    """Restricts a pydantic field to files of one storage. Ids with another scheme or bucket fail validation.

    Use it for every id that clients send, because an id can name any file that the process can reach. The field's
    `StoredFile` then uses this storage.

    Args:
        storage: A storage or manager, or a registered name. A name is looked up when the first id arrives.

    Raises:
        InvalidArgumentException: `storage` is of another type, or the field does not hold one file.

    Example:
        >>> class DocumentIn(BaseModel):
        ...     file: Annotated[StoredFile, ServedBy("documents")]
        ...     attachments: list[Annotated[StoredFile, ServedBy("documents")]] = []
    """

    __slots__ = ("_ref",)

    def __init__(self, storage: StorageRouter | str = DEFAULT) -> None:
        if not (isinstance(storage, str) or hasattr(storage, "identify")):
            raise InvalidArgumentException(f"ServedBy takes a storage or its name, not {storage!r}")
        self._ref = StorageRef(storage)

    def __repr__(self) -> str:
        return f"ServedBy({self._ref.value!r})"

    def __get_pydantic_core_schema__(self, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Validate as the annotated type does, then check that the storage serves the id."""
        from pydantic_core import core_schema  # noqa: PLC0415 - only pydantic calls this

        if not _is_file_or_none(source):
            raise InvalidArgumentException(f"ServedBy belongs to one file, as in list[Annotated[…]], not to {source}")
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, file: StoredFile | None) -> StoredFile | None:
        if file is None:
            return None
        try:
            file_id = self._router.identify(file.file_id)
        except RouteNotSupportedException:
            raise _refused(file.file_id) from None
        return file if storage_ref_of(file) is not None else type(file)(file_id, self._ref)

    @property
    def _router(self) -> StorageRouter:
        try:
            return self._ref.resolve()
        except InvalidArgumentException as error:  # as a ValueError, it would be the client's fault
            raise StorageException(error.reason, operation="validate") from error


def _is_file_or_none(source: Any) -> bool:
    kinds = get_args(source) if get_origin(source) in {Union, UnionType} else (source,)
    return all(kind is type(None) or (isinstance(kind, type) and issubclass(kind, StoredFile)) for kind in kinds)


def _refused(text: str) -> Exception:
    """Return the error for the client. It names the scheme and bucket of the id, and nothing about the storage."""
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - only pydantic calls this

    file_id = FileId.parse(text)
    place = file_id.scheme if file_id.bucket is None else f"{file_id.scheme}:{file_id.bucket}"
    return PydanticCustomError("file_not_served", "the file is not served here: it is in {place}", {"place": place})
