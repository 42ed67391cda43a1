"""``async-storages ls``, ``stat``, ``cat`` and ``presign``: commands that read stored files."""

from contextlib import aclosing
from datetime import timedelta
from typing import Annotated, Any

import typer

from async_storages._tasks import offload
from async_storages.backends.local.storage import LocalStorage
from async_storages.cli.application import AppSource
from async_storages.cli.copying import copy_file
from async_storages.cli.folder_copying import list_files
from async_storages.cli.options import AppOption, JsonOption
from async_storages.cli.places import StoredPlace, Stream, file_at, parse_place
from async_storages.cli.printing import note, print_json, print_line, write_chunk
from async_storages.cli.running import run
from async_storages.cli.units import byte_range_of, duration, time_text
from async_storages.errors import InvalidArgumentException
from async_storages.ids import FileId
from async_storages.models import FileBasicInfo
from async_storages.storage.capabilities import PresignMethod, PresignOptions

__all__ = ["commands"]

commands = typer.Typer()

IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The id of a file, such as s3:bucket/key.", show_default=False)
]

_METHODS: dict[str, PresignMethod] = {"get": "GET", "head": "HEAD", "put": "PUT", "delete": "DELETE"}


@commands.command("ls")
def list_command(
    place: Annotated[
        str,
        typer.Argument(metavar="FOLDER", help="The folder: s3:bucket, s3:bucket/folder/, file: …", show_default=False),
    ],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="List the files in subfolders, too.")] = False,
    long: Annotated[bool, typer.Option("--long", "-l", help="Print sizes and times, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document per file, one per line.")] = False,
    app: AppOption = None,
) -> None:
    """List the files below a folder, or the files whose keys begin with a text, sorted by key.

    It prints files as it finds them, so a bucket may hold any number of files.
    """
    run(_list(AppSource(app), place, is_recursive=recursive, is_long=long, as_json=as_json))


async def _list(source: AppSource, text: str, *, is_recursive: bool, is_long: bool, as_json: bool) -> None:
    async with source.opened() as application:
        place = parse_place(text, application)
        if not isinstance(place, StoredPlace):
            raise InvalidArgumentException(f"{text!r} is on this computer, whose own ls lists it")
        folder = None
        async with aclosing(list_files(place, place.key)) as found:
            async for info in found:
                below = place.storage.identify(info.file_id).key
                inner, slash, _ = below[len(place.key) :].partition("/")
                if is_recursive or not slash:
                    _print_file(info, is_long=is_long, as_json=as_json)
                elif inner != folder:
                    folder = inner
                    _print_folder(place.file(f"{place.key}{inner}/"), is_long=is_long, as_json=as_json)
        storage = place.storage
        if isinstance(storage, LocalStorage) and not await offload(storage.root.is_dir):
            note(f"the folder {storage.root} does not exist")


def _print_file(info: FileBasicInfo, *, is_long: bool, as_json: bool) -> None:
    if as_json:
        print_json(_document(info))
    elif is_long:
        print_line(f"{info.file_size:>14} {time_text(info.last_modify_time)} {info.file_id}")
    else:
        print_line(info.file_id)


def _print_folder(folder: FileId, *, is_long: bool, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder)})
    else:
        print_line(f"{'':>14} {time_text(None)} {folder}" if is_long else str(folder))


def _document(info: FileBasicInfo) -> dict[str, Any]:
    """Return the known facts of a file, for programs."""
    return info.model_dump(mode="json", exclude_none=True)


@commands.command("stat")
def stat_command(file: IdArgument, as_json: JsonOption = False, app: AppOption = None) -> None:
    """Print everything that the storage knows about a file."""
    run(_stat(AppSource(app), file, as_json=as_json))


async def _stat(source: AppSource, text: str, *, as_json: bool) -> None:
    async with source.opened() as application:
        place = file_at(text, application)
        document = _document(await place.storage.stat(place.file()))
    if (details := place.file().details) is not None:
        document["fastdfs"] = {"group": details.group, "kind": details.kind.value, "source": str(details.source)}
    if as_json:
        print_json(document)
        return
    for name, value in document.items():
        for key, each in value.items() if isinstance(value, dict) else [("", value)]:
            print_line(f"{f'{name} {key}'.strip()}: {each}")


@commands.command("cat")
def cat_command(
    files: Annotated[list[str], typer.Argument(metavar="ID...", help="The ids of the files.", show_default=False)],
    byte_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="FIRST-LAST",
            help="Write only these bytes, from 0, both ends included: 0-99, 100-, -50 (the last 50).",
        ),
    ] = None,
    app: AppOption = None,
) -> None:
    """Write the content of files to standard output."""
    offset, length = (0, None) if byte_range is None else byte_range_of(byte_range)
    run(_cat(AppSource(app), files, offset, length))


async def _cat(source: AppSource, texts: list[str], offset: int, length: int | None) -> None:
    async with source.opened() as application:
        for place in [file_at(text, application) for text in texts]:
            if (offset, length) == (0, None):
                await copy_file(place, Stream(), force=False)
                continue
            async with aclosing(place.storage.stream(place.file(), offset, length)) as chunks:
                async for chunk in chunks:
                    write_chunk(chunk)


@commands.command("presign")
def presign_command(  # noqa: PLR0917 - each is an option of the command
    file: IdArgument,
    expires: Annotated[str, typer.Option(help="How long the URL is valid: 15m, 1h, at most 7d.")] = "1h",
    method: Annotated[str, typer.Option(help="The method that the URL allows: get, head, put or delete.")] = "get",
    download_name: Annotated[
        str | None, typer.Option(help="The name of the downloaded file.", show_default=False)
    ] = None,
    content_type: Annotated[
        str | None,
        typer.Option(
            help="The content type of the answer. With put, the only content type that the storage accepts.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    app: AppOption = None,
) -> None:
    """Print a URL that allows one kind of request on one file until it expires, without further credentials."""
    chosen = _METHODS.get(method.lower())
    if chosen is None:
        raise InvalidArgumentException(f"--method is get, head, put or delete, not {method!r}")
    options: PresignOptions = {"filename": download_name, "content_type": content_type}
    run(_presign(AppSource(app), file, duration(expires), chosen, options, as_json=as_json))


async def _presign(
    source: AppSource, text: str, expires: timedelta, method: PresignMethod, options: PresignOptions, *, as_json: bool
) -> None:
    async with source.opened() as application:
        place = file_at(text, application)
        [url] = await place.storage.presigned_urls([place.file()], expires.total_seconds(), method, **options)
        headers: dict[str, str] = {}
        if method == "PUT":
            headers = place.storage.presigned_headers(content_type=options.get("content_type"))
    if as_json:
        seconds = int(expires.total_seconds())
        print_json({"file_id": str(place), "method": method, "url": url, "headers": headers, "expires_in": seconds})
        return
    print_line(url)
    for name, value in headers.items():
        note(f"send the header  {name}: {value}")
