"""Protocols with something wrong: the harness must notice each."""

import asyncio

from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.ledger import (
    deletion,
    deletion_decisions,
    entries,
    journal,
    storage_lookup,
    sweep,
)
from async_storages.integrations.sqlalchemy.ledger.announcements import Announcement
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
from async_storages.integrations.sqlalchemy.ledger.deletion import Deletion
from async_storages.integrations.sqlalchemy.ledger.references import References

SMALL_BATCHES = "small batches"


def apply(name):
    """Make this process one of them."""
    if name is not None:
        {**MUTANTS, SMALL_BATCHES: small_batches}[name]()


def _change(owner, name, new):
    assert callable(getattr(owner, name))
    setattr(owner, name, new)


def no_fence():
    _change(entries, "_refuse", list)


def no_second_look():
    _change(References, "find_named", lambda self, connection, ids: set())


def no_journal():
    _change(journal, "announce", lambda *args: None)


def published_before_the_announcement_is_committed():
    write, record = Announcement._write, Announcement.record_written
    published = asyncio.Event()

    async def allow(self, storage, content):
        assert callable(content.hold_end)

    async def write_late(self):
        await published.wait()
        await write(self)

    async def record_written(self, intent, stored):
        await record(self, intent, stored)
        published.set()

    _change(Announcement, "allow", allow)
    _change(Announcement, "_write", write_late)
    _change(Announcement, "record_written", record_written)


def deleted_before_it_is_committed():
    decide = deletion_decisions.condemn

    def condemn(connection, table, references, chosen, lease):
        condemned = decide(connection, table, references, chosen, lease)
        for file in condemned.files:
            routers = storage_lookup.find_routers(references.fields())
            storage = storage_lookup.find_storage(routers, file.id, file.storage)
            _greenlet.wait_for(storage.delete(file.id))
        reached(Step.OBJECT_DELETED)
        return condemned

    _change(deletion_decisions, "condemn", condemn)


def forgotten_before_it_is_deleted():
    delete = Deletion._delete

    async def forget_and_delete(self, condemned, storages, deadline):
        await self._forget(condemned, [file.id for file in condemned.files])
        return await delete(self, condemned, storages, deadline)

    _change(Deletion, "_delete", forget_and_delete)


def small_batches():
    """Nothing is wrong with this one: it lets workers meet."""
    for module in (deletion_decisions, deletion, entries, journal, sweep):
        module.BATCH = 3


MUTANTS = {
    work.__name__.replace("_", " "): work
    for work in (
        no_fence,
        no_second_look,
        no_journal,
        published_before_the_announcement_is_committed,
        deleted_before_it_is_committed,
        forgotten_before_it_is_deleted,
    )
}
