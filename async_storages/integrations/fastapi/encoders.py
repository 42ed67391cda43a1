"""FastAPI's encoder for what has no response model: files in it become their ids, as in pydantic models."""

from fastapi.encoders import ENCODERS_BY_TYPE

from async_storages.files import StoredFile, StoredImage

__all__ = ["register_encoders"]


def register_encoders() -> None:
    """Let ``jsonable_encoder`` encode files, and the rows and lists that hold them; a second call does nothing."""
    for kind in (StoredFile, StoredImage):
        ENCODERS_BY_TYPE.setdefault(kind, str)
