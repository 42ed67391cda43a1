"""The move from FastDFS to S3: ``async-storages migrate plan --app api.moving:create_migration``, then ``run``."""

from sqlalchemy.ext.asyncio import create_async_engine

from api.models import FOLDER, Base
from api.settings import Settings
from async_storages import StorageManager
from async_storages.integrations.sqlalchemy import FileLedger, Migration


def create_migration(settings: Settings | None = None) -> Migration:
    """The migration of all documents; its settings are those of the environment unless given.

    Raises:
        ValueError: The settings name no FastDFS.
    """
    settings = settings or Settings.from_environment()
    if not (earlier := settings.old_storages()):
        raise ValueError("the settings name no FastDFS to move from: set its trackers, see api.settings")
    storage, [old] = settings.storage(), earlier
    StorageManager.from_storages(storage, old, name="documents")
    engine = create_async_engine(settings.database_url)
    ledger = FileLedger(engine, Base.metadata)
    return Migration(engine, Base.metadata, source=old, target=storage, ledger=ledger, folder=FOLDER)
