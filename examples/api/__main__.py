"""The application on this machine, with all that it needs: ``make api``, or ``make api ARGS=--s3``."""

import argparse
import asyncio
import shutil
from contextlib import ExitStack
from pathlib import Path

import uvicorn
from alembic import command
from alembic.config import Config
from pydantic import SecretStr

from api.app import create_app
from api.settings import Settings
from async_storages import S3Config, S3Storage

HOST = "127.0.0.1"
WORKPLACE = Path("demo-files")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="api", description="Serve the example application.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--s3", action="store_true", help="on an S3 server started for it, not on a local folder")
    arguments = parser.parse_args()
    url = f"http://{HOST}:{arguments.port}"
    with ExitStack() as stack:
        settings = s3_settings(url, stack) if arguments.s3 else local_settings(url)
        command.upgrade(alembic_config(settings.database_url), "head")
        print(f"Try it out: {url}/docs", flush=True)
        uvicorn.run(create_app(settings), host=HOST, port=arguments.port)


def local_settings(url: str) -> Settings:
    """A folder that stays."""
    folder = WORKPLACE / "api"
    folder.mkdir(parents=True, exist_ok=True)
    return settings_in(folder, url)


def s3_settings(url: str, stack: ExitStack) -> Settings:
    """An S3 server, which loses its files when it ends."""
    from async_storages.testing.seaweedfs import seaweedfs_server  # noqa: PLC0415 - only with --s3

    folder = WORKPLACE / "api-s3"
    shutil.rmtree(folder, ignore_errors=True)  # rows whose files are gone
    folder.mkdir(parents=True)
    server = stack.enter_context(seaweedfs_server())
    s3 = S3Config(
        endpoint=server.endpoint_url,
        default_bucket=server.bucket,
        access_key_id=server.access_key_id,
        secret_access_key=SecretStr(server.secret_access_key),
    )
    asyncio.run(prepare_bucket(s3, url))
    return settings_in(folder, url, s3)


def settings_in(folder: Path, url: str, s3: S3Config | None = None) -> Settings:
    """The settings of an application that keeps what it has in a folder."""
    return Settings(
        secret_key=SecretStr("only for this demo"),
        database_url=f"sqlite+aiosqlite:///{folder / 'database.sqlite'}",
        public_url=url,
        folder=folder / "files",
        s3=s3,
    )


async def prepare_bucket(s3: S3Config, url: str) -> None:
    """What is done to a bucket once: it lets our pages in."""
    async with S3Storage.from_config(s3) as storage:
        await storage.bucket_admin.allow_origins([url])


def alembic_config(database_url: str) -> Config:
    """Alembic's settings, for a database."""
    config = Config(Path(__file__).with_name("alembic.ini"))
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


if __name__ == "__main__":
    main()
