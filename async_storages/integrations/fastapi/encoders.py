"""FastAPI's encoder for responses without a response model. Files become their ids, as in pydantic models."""

from fastapi.encoders import ENCODERS_BY_TYPE

from async_storages.files import StoredFile, StoredImage

__all__ = ["register_encoders"]


def register_encoders() -> None:
    """Register encoders, so that ``jsonable_encoder`` encodes files in rows and lists. A second call does nothing."""
    for kind in (StoredFile, StoredImage):
        ENCODERS_BY_TYPE.setdefault(kind, str)
