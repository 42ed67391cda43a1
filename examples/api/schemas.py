"""What clients send and get."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from async_storages import StoredFile
from async_storages.integrations.sqlalchemy import LedgerStats

LARGEST = 2**31 - 1  # that a column of integers holds

Number = Annotated[int, Field(ge=1, le=LARGEST)]
Title = Annotated[  # PostgreSQL has no NUL
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$", examples=["Holiday"])
]


class DocumentOut(BaseModel):
    """A document; `file` is a URL that is good for an hour."""

    id: int
    title: str
    file_name: str
    file: StoredFile


class DirectDocument(BaseModel):
    """A document whose file was uploaded directly; `key` is what `POST /uploads` has answered."""

    title: Title
    key: str


class Health(BaseModel):
    """What works, and how many files are in which state."""

    status: Literal["ok"] = "ok"
    ledger: LedgerStats
