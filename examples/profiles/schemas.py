"""The answers."""

from pydantic import BaseModel

from async_storages import StoredFile, StoredImage


class DocumentOut(BaseModel):
    """A document; `file` is a URL."""

    id: int
    file: StoredFile


class ProfileOut(BaseModel):
    """A profile; `picture` is a URL."""

    id: int
    name: str
    picture: StoredImage | None
    width: int | None
    height: int | None
    documents: list[DocumentOut]
