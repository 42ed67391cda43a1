"""`enable_file_tracking` with a ledger, whose worker and sweep have run before the verdict."""

import asyncio
from datetime import timedelta

from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages.integrations.sqlalchemy import FileLedger, enable_file_tracking
from benchmarks.reliability.judge import KEPT, verdict
from benchmarks.reliability.libraries.ours import Tracking

SOON = timedelta(seconds=1)
PASSES = 30  # three seconds


class Ledger(Tracking):
    async def begin(self) -> None:
        self.storage.trouble = self.trouble
        self.ledger = FileLedger(self.engine, metadata=self.models.Base.metadata, grace=SOON, lease=SOON)
        await self.ledger.create()
        self.sessions = enable_file_tracking(async_sessionmaker(self.engine), ledger=self.ledger)

    async def settle(self) -> None:
        """What was killed is left to a worker after the grace, and what has failed is tried again after the lease."""
        await self.ledger.drain()
        await self.ledger.sweep(older_than=timedelta(0), force=True)
        for _ in range(PASSES):
            await self.ledger.drain()
            if verdict(await self.rows(), self.present()) == KEPT:
                return
            await asyncio.sleep(SOON.total_seconds() / 10)

    def is_file(self, name: str) -> bool:
        return super().is_file(name) and not name.startswith("async-storages-ledger/")
