"""What clients send and get."""

from typing import Annotated, Literal

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from async_storages import StoredFile, file_urls
from async_storages.integrations.sqlalchemy import LedgerStats

LARGEST = 2**31 - 1  # that a column of integers holds

Number = Annotated[int, Field(ge=1, le=LARGEST)]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]  # PostgreSQL has no NUL

URLS_EXPIRE_IN = 600  # seconds


class DocumentOut(BaseModel):
    """A document; `file` is a URL that is good for ten minutes."""

    model_config = ConfigDict(from_attributes=True)

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


async def shown[Shown](schema: type[Shown], rows: object, status_code: int = 200) -> Response:
    """An answer with URLs in place of file ids, which FastAPI itself would send."""
    adapter = TypeAdapter(schema)
    urls = await file_urls(rows, expires_in=URLS_EXPIRE_IN)
    body = adapter.dump_json(adapter.validate_python(rows), context=urls)
    return Response(body, status_code, media_type="application/json")
