"""The gallery on this machine, with all that it needs: ``make gallery``, or ``make gallery ARGS=--s3``."""

import argparse
import shutil
from contextlib import ExitStack
from pathlib import Path

import uvicorn
from pydantic import SecretStr

from async_storages import S3Config
from gallery.app import create_app
from gallery.settings import Settings

HOST = "127.0.0.1"
WORKPLACE = Path("demo-files")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="gallery", description="Serve the gallery.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--s3", action="store_true", help="on an S3 server started for it, not on a local folder")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        settings = s3_settings(stack) if arguments.s3 else settings_in(WORKPLACE / "gallery")
        print(f"Look at it: http://{HOST}:{arguments.port}", flush=True)
        uvicorn.run(create_app(settings), host=HOST, port=arguments.port)


def s3_settings(stack: ExitStack) -> Settings:
    """An S3 server, which loses its files when it ends."""
    from async_storages.testing.seaweedfs import seaweedfs_server  # noqa: PLC0415 - only with --s3

    folder = WORKPLACE / "gallery-s3"
    shutil.rmtree(folder, ignore_errors=True)  # rows whose files are gone
    server = stack.enter_context(seaweedfs_server())
    s3 = S3Config(
        endpoint=server.endpoint_url,
        default_bucket=server.bucket,
        access_key_id=server.access_key_id,
        secret_access_key=SecretStr(server.secret_access_key),
    )
    return settings_in(folder, s3)


def settings_in(folder: Path, s3: S3Config | None = None) -> Settings:
    """The settings of a gallery that keeps what it has in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(
        secret_key=SecretStr("only for this demo"),
        database_url=f"sqlite+aiosqlite:///{folder / 'database.sqlite'}",
        folder=folder / "files",
        s3=s3,
    )


if __name__ == "__main__":
    main()
