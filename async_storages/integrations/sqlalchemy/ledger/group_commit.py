"""Group commit: coroutines that write at the same time share one transaction.

While a transaction runs, further calls wait. One of them then runs the next transaction for all that wait. There is no
background task: each transaction belongs to a caller, who waits for its end.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from async_storages.errors import StorageUnavailableException
from async_storages.integrations.sqlalchemy._greenlet import wait_uninterrupted

__all__ = ["GroupCommit"]


@dataclass(slots=True, eq=False)
class _Member[Call]:
    """A caller who waits.

    Attributes:
        call: The work to commit.
        turn: Ends when the work is committed or has failed, or when it is the caller's turn to commit.
        is_over: True if the work is committed or has failed.
        error: The reason of a failure.
    """

    call: Call
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    is_over: bool = False
    error: BaseException | None = None

    def wake(self, *, is_over: bool = False, error: BaseException | None = None) -> None:
        self.is_over, self.error = is_over, error
        if not self.turn.done():
            self.turn.set_result(None)


class GroupCommit[Call]:
    """The calls of one event loop that share transactions.

    Args:
        transact: Commits some calls in one transaction.
        wait: Seconds that a call waits for its turn. None waits as long as it takes.
    """

    def __init__(self, transact: Callable[[Sequence[Call]], Awaitable[None]], wait: float | None) -> None:
        self._transact = transact
        self._wait = wait
        self._waiting: list[_Member[Call]] = []
        self._is_busy = False

    async def commit(self, call: Call) -> None:
        """Commit a call, together with others that wait.

        If the shared transaction fails, each call gets a transaction of its own, so that it only fails for its own
        reason.

        Raises:
            Exception: The reason of the failure.
            TimeoutError: Its turn has not come in time.
        """
        member = _Member(call)
        self._waiting.append(member)
        if self._is_busy:
            await self._wait_for_turn(member)
        if not member.is_over:
            self._is_busy = True
            group, self._waiting = self._waiting, []
            await wait_uninterrupted(self._commit_group(group))
        if member.error is not None:
            raise member.error

    async def _wait_for_turn(self, member: _Member[Call]) -> None:
        try:
            async with asyncio.timeout(self._wait):
                await member.turn
        except BaseException:
            is_next = member.turn.done() and not member.turn.cancelled() and not member.is_over
            if member in self._waiting:
                self._waiting.remove(member)
            if is_next:
                self._pass_on()
            raise

    async def _commit_group(self, group: list[_Member[Call]]) -> None:
        error: BaseException | None = None
        try:
            await self._transact([each.call for each in group])
        except StorageUnavailableException as unavailable:
            error = unavailable
        except Exception as failure:  # noqa: BLE001 - each caller raises its own
            if len(group) == 1:
                error = failure
            else:
                await self._commit_each(group)
        except BaseException as interruption:
            error = interruption
            raise
        finally:
            for each in group:
                if not each.is_over:
                    each.wake(is_over=True, error=copy.copy(error))
            self._pass_on()

    async def _commit_each(self, group: list[_Member[Call]]) -> None:
        for each in group:
            try:
                await self._transact([each.call])
            except Exception as failure:  # noqa: BLE001 - the caller raises it
                each.wake(is_over=True, error=failure)
            else:
                each.wake(is_over=True)

    def _pass_on(self) -> None:
        """Let the next caller commit. One that was cancelled may not have noticed it yet."""
        following = next((each for each in self._waiting if not each.turn.done()), None)
        self._is_busy = following is not None
        if following is not None:
            following.wake()
