"""Protocols with something wrong: the harness must notice each."""

from async_storages.integrations.sqlalchemy import _greenlet
from async_storages.integrations.sqlalchemy.ledger import entries, file_ledger, journal, storage_lookup, worker
from async_storages.integrations.sqlalchemy.ledger.crash_points import Step, reached
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
    _change(entries, "_check_not_gone", list)


def no_second_look():
    _change(References, "named", lambda self, connection, ids: set())


def no_journal():
    _change(journal, "add", lambda *args: None)


def deleted_before_it_is_committed():
    decide = worker.condemn

    def condemn(connection, table, references, chosen, lease):
        condemned = decide(connection, table, references, chosen, lease)
        for file in condemned.files:
            storage = storage_lookup.find(storage_lookup.routers(references.fields()), file.id, file.storage)
            _greenlet.wait_for(storage.delete(file.id))
        reached(Step.OBJECT_DELETED)
        return condemned

    _change(worker, "condemn", condemn)


def forgotten_before_it_is_deleted():
    delete = file_ledger.FileLedger._delete

    async def forget_and_delete(self, condemned, places, deadline):
        ids = [file.id for file in condemned.files]
        await self._databases.run(worker.forget, self._databases, condemned, ids, self._lease)
        reached(Step.FORGOTTEN)
        return await delete(self, condemned, places, deadline)

    _change(file_ledger.FileLedger, "_delete", forget_and_delete)


def small_batches():
    """Nothing is wrong with this one: it lets workers meet."""
    for module in (file_ledger, journal, entries, worker):
        module.BATCH = 3


MUTANTS = {
    work.__name__.replace("_", " "): work
    for work in (
        no_fence,
        no_second_look,
        no_journal,
        deleted_before_it_is_committed,
        forgotten_before_it_is_deleted,
    )
}
