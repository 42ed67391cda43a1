"""Events and errors: each operation emits its event, reports its errors, and keeps secrets."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from async_storages import events
from async_storages.errors import FileNotFoundException, StorageException
from async_storages.events import Event
from async_storages.storage.base import Storage
from async_storages.testing.contract.base import ContractGroup, missing
from async_storages.testing.contract.cancellation import cancelled_at
from async_storages.testing.contract.operations import FIVE, uses_of
from async_storages.testing.contract.sources import BROKEN, CONTENT, BrokenSourceError, pieces_later

__all__ = ["EventsContract"]


class EventsContract(ContractGroup):
    """`async_storages.events`, and the attributes of errors."""

    @pytest.fixture
    def told(self) -> Iterator[list[Event]]:
        """Return the events so far."""
        told: list[Event] = []
        events.hooks.append(told.append)
        yield told
        events.hooks.remove(told.append)

    async def test_events_one_for_each_operation(self, storage: Storage, told: list[Event]) -> None:
        """Each operation emits one event, with storage, operation, outcome, bytes and duration."""
        for name, use in (await uses_of(storage)).items():
            key = await storage.upload(FIVE, "file.txt")
            told.clear()
            await use.call(storage, key)
            assert [event.operation for event in told] == [use.event], name
            [event] = told
            assert (event.scheme, event.bucket, event.outcome) == (storage.scheme, storage.bucket, "ok")
            assert event.duration >= 0
            assert use.bytes in {None, event.bytes}, name

    async def test_events_of_failures(self, storage: Storage, told: list[Event]) -> None:
        """The event of a failure names its error, and the number of bytes that had passed."""
        key = await missing(storage)
        told.clear()
        await _fails(lambda: storage.stat(key), FileNotFoundException)
        await _fails(lambda: storage.read(key), FileNotFoundException)
        await _fails(lambda: storage.read("../missing.txt"), StorageException)
        await _fails(lambda: storage.upload(BROKEN["iterator"](), "file.bin"), BrokenSourceError)
        assert [(event.operation, event.outcome) for event in told] == [
            ("stat", "FileNotFoundException"),
            ("stream", "FileNotFoundException"),
            ("stream", "InvalidArgumentException"),
            ("write", "BrokenSourceError"),
        ]

    async def test_events_of_what_was_not_finished(self, storage: Storage, told: list[Event]) -> None:
        """A cancelled write and an abandoned read are marked as such in their events."""
        key = await storage.upload(CONTENT, "file.bin")
        told.clear()
        stream = storage.stream(key, chunk_size=1000)
        first = await anext(stream)
        await stream.aclose()
        assert await cancelled_at(3, storage.upload(pieces_later(CONTENT), "other.bin"))
        assert [(event.operation, event.outcome) for event in told] == [("stream", "abandoned"), ("write", "cancelled")]
        assert told[0].bytes == len(first)

    async def test_events_hold_no_secret(self, storage: Storage, told: list[Event]) -> None:
        """Events hold no keys, metadata or URLs that logs would show. Reprs hold no secrets."""
        name = "confidential/confidential.txt"
        key = await storage.upload(b"confidential", name, metadata={"a": "confidential"})
        for use in (await uses_of(storage)).values():
            await use.call(storage, await storage.upload(FIVE, name))
        for secret in ("confidential", key):
            assert secret not in repr(told)
            assert secret not in repr(storage)

    async def test_events_failing_hooks_change_nothing(
        self, storage: Storage, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A hook that raises is logged, and the operation goes on."""

        def fail(_: Event) -> None:
            raise BrokenSourceError

        events.hooks.append(fail)
        try:
            key = await storage.upload(FIVE, "file.txt")
        finally:
            events.hooks.remove(fail)
        assert await storage.read(key) == FIVE
        assert "BrokenSourceError" in caplog.text

    async def test_events_errors_say_what_and_where(self, storage: Storage) -> None:
        """An error names operation, file and reason, as attributes and in its text."""
        for name, use in (await uses_of(storage)).items():
            if name in {"write", "upload", "save", "exists", "url", "get_path", "list", "delete", "delete_many"}:
                continue  # these operations do not look for the file
            if name == "ping" or name.startswith("presign"):
                continue
            key = await missing(storage)
            with pytest.raises(FileNotFoundException) as caught:
                await use.call(storage, key)
            error = caught.value
            assert error.operation == use.event, name
            assert error.file_id in {key, str(storage.identify(key))}, name
            assert error.reason
            assert str(error).startswith(f"{use.event} '{error.file_id}': {error.reason}")


async def _fails(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        await call()
