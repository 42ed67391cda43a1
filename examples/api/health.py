"""Whether all works."""

from fastapi import APIRouter, HTTPException
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from api.dependencies import LedgerDep, SessionDep
from api.schemas import Health
from async_storages import StorageException
from async_storages.integrations.fastapi import ManagerDep

router = APIRouter(tags=["health"])


@router.get("/health", responses={503: {"description": "One of them fails."}})
async def health(manager: ManagerDep, session: SessionDep, ledger: LedgerDep) -> Health:
    """Ask the storage, the database and the ledger."""
    await manager.ping()
    try:
        await session.execute(select(1))
        return Health(ledger=await ledger.stats())
    except (SQLAlchemyError, StorageException) as error:
        raise HTTPException(503, "The database cannot be reached.") from error
