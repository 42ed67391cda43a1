"""The gallery of `examples/gallery` in tests: made on each storage, and what it keeps."""

from gallery.app import create_app
from gallery.models import VARIANTS, Photo
from gallery.pages import sessions
from gallery.settings import Settings
from pydantic import SecretStr
from sqlalchemy import select

from async_storages import S3Config, registry
from async_storages.integrations.sqlalchemy.ledger.storage_marks import FOLDER as MARKS
from tests.support.ledgers import pass_time


def make_gallery(request, tmp_path):
    """Yield the application, on the kind of storage that `request.param` names."""
    settings = {
        "secret_key": SecretStr("a secret of the tests"),
        "database_url": f"sqlite+aiosqlite:///{tmp_path / 'gallery.sqlite'}",
        "folder": tmp_path / "files",
    }
    if request.param == "s3":
        server, bucket = request.getfixturevalue("s3_server"), request.getfixturevalue("s3_bucket")
        keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
        settings["s3"] = S3Config(endpoint=server.endpoint_url, default_bucket=bucket, **keys)
    yield create_app(Settings(**settings))
    registry.unregister("photos")


async def drain(app):
    """What the worker does within the hour; it sweeps nothing, as the gallery leaves nothing to be found."""
    await pass_time(app.state.ledger)
    await app.state.ledger.drain()


async def files_of(app):
    """The ids of all files in the storage, but for the ledger's mark."""
    [storage] = app.state.storage_manager.storages
    found = [info.file_id async for info in storage.list()]
    return {file_id for file_id in found if f"{MARKS}/" not in file_id}


async def rows_of(app):
    """The photographs, newest first."""
    async with sessions() as session:
        return (await session.scalars(select(Photo).order_by(Photo.id.desc()))).all()


def sizes_of(photo):
    """The image and its variants."""
    return [photo.image, *(photo.image.variant(name) for name in VARIANTS)]
