"""The worker processes of one event loop, and the threads that wait for them."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from async_storages._tasks import offload, wait_out
from async_storages.errors import StorageClosedException, StorageException
from async_storages.imaging.worker_handle import WorkerHandle

__all__ = ["Crew"]


class _Job:
    """A job for a worker. It can be cancelled while it runs.

    Args:
        told: The job, as JSON.
        targets: The files that the worker writes.
    """

    def __init__(self, told: dict[str, Any], targets: Collection[Path]) -> None:
        self.told = told
        self._targets = targets
        self._worker: WorkerHandle | None = None
        self._is_given_up = False

    def done_by(self, worker: WorkerHandle) -> dict[str, Any]:
        """Return the answer of a worker. It removes incomplete files."""
        self._worker = worker
        try:
            if self._is_given_up:  # before the worker was there to be killed
                worker.kill()
            return worker.ask(self.told)
        except BaseException as error:
            if not isinstance(error, StorageException):  # nobody knows what it says next
                worker.end()
            self.remove_targets()
            raise
        finally:
            self._worker = None
            if self._is_given_up:
                worker.end()

    def remove_targets(self) -> None:
        """Remove the target files."""
        for target in self._targets:
            with suppress(OSError):
                target.unlink(missing_ok=True)

    def give_up(self) -> None:
        """Cancel the job. Does not block."""
        self._is_given_up = True
        if (worker := self._worker) is not None:
            worker.kill()


class Crew:
    """A limited number of workers. It starts a worker when there is a job for it.

    Args:
        start: Starts a worker. Blocks.
        size: The largest number of workers.
    """

    def __init__(self, start: Callable[[], WorkerHandle], size: int) -> None:
        self._start = start
        self._threads = ThreadPoolExecutor(size, "async-storages-images")
        self._idle: list[WorkerHandle] = []
        self._jobs: set[_Job] = set()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End all workers. Their unfinished jobs raise StorageClosedException."""
        self._is_closed = True
        for job in self._jobs:
            job.give_up()
        await offload(self._end)

    def _end(self) -> None:
        self._threads.shutdown(cancel_futures=True)
        while self._idle:
            self._idle.pop().end()

    async def do(self, told: dict[str, Any], targets: Collection[Path] = ()) -> dict[str, Any]:
        """Wait for a free worker and let it do a job. If the caller is cancelled, the worker is ended first.

        Raises:
            StorageException: The worker failed or died, or the crew was closed.
        """
        job = _Job(told, targets)
        future = self._threads.submit(self._run, job)
        waiting = asyncio.wrap_future(future)
        self._jobs.add(job)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if not future.cancel():
                job.give_up()
            await wait_out(waiting)
            if self._is_closed and waiting.cancelled() and not _is_being_cancelled():
                raise StorageClosedException("the pool was closed before the image was made") from None
            if not waiting.cancelled() and waiting.exception() is None:
                await offload(job.remove_targets)  # it was made too late for the caller to know
            raise
        finally:
            self._jobs.discard(job)

    def _run(self, job: _Job) -> dict[str, Any]:
        worker = self._take_idle() or self._start()
        try:
            return job.done_by(worker)
        except Exception as error:
            if self._is_closed:
                raise StorageClosedException("the pool was closed before the image was made") from error
            raise
        finally:
            if not worker.has_ended:
                self._idle.append(worker)

    def _take_idle(self) -> WorkerHandle | None:
        with suppress(IndexError):  # no more than there are threads take and give back
            while not (worker := self._idle.pop()).is_alive():
                pass
            return worker
        return None


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
