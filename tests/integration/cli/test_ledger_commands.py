"""``async-storages ledger``, and `rm` and `mv` with a ledger, on SQLite and PostgreSQL."""

import json

import pytest

from tests.support.command_line import environment, ledger_app, run, run_app

APP = ("--app", "shop:ledger")

GALLERY = """
import asyncio
import sys

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from async_storages import LocalStorage, StoredImage, Variant, Variants
from async_storages.integrations.sqlalchemy import FileLedger, ImageType, enable_file_tracking
from tests.support.photos import photo

storage = LocalStorage("files")
engine = create_async_engine("sqlite+aiosqlite:///gallery.sqlite")


class Base(DeclarativeBase):
    pass


class Photo(Base):
    __tablename__ = "photos"
    id: Mapped[int] = mapped_column(primary_key=True)
    image: Mapped[StoredImage] = mapped_column(
        ImageType(storage, variants=Variants(thumb=Variant(20, 20, when="worker"))), index=True
    )


ledger = FileLedger(engine, Base.metadata)
sessions = enable_file_tracking(async_sessionmaker(engine), ledger=ledger)


async def setup():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await ledger.create()
    async with sessions.begin() as session:
        session.add(Photo(image=photo()))
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(setup())
"""


@pytest.fixture(scope="module")
def unchanged_shop(tmp_path_factory):
    """A folder with a shop, for tests that change nothing in it."""
    folder = tmp_path_factory.mktemp("shop")
    ledger_app(folder, "sqlite+aiosqlite:///app.sqlite")
    return folder


@pytest.fixture
def named(shop):
    """The id of the file that the row names."""
    listed = shop("ls", "file:", *APP).stdout.splitlines()
    [file_id] = [each for each in listed if each.endswith("_named.txt")]
    return file_id


def test_the_numbers_and_the_work_of_a_ledger(shop, named, home):
    stats = json.loads(shop("ledger", "status", "--json", *APP).stdout)
    assert (stats["live"], stats["doomed"], stats["overdue"], stats["unindexed"]) == (1, 0, 0.0, [])
    assert "live: 1\n" in shop("ledger", "status", *APP).stdout
    assert json.loads(shop("ledger", "adopt", "--json", *APP).stdout) == {"adopted": 0}
    assert shop("ledger", "sweep", "--older-than", "1s", *APP).stderr == "0 doomed\n"
    assert shop("ls", named, *APP).stdout == f"{named}\n"

    run_app(home, "forget_row")
    doomed = shop("ledger", "sweep", "--older-than", "0s", "--inventory", *APP)
    assert (doomed.returncode, doomed.stderr) == (0, "1 doomed\n")
    done = shop("ledger", "drain", "--wait", "--json", *APP)
    assert json.loads(done.stdout) == {"deleted": 1, "kept": 0, "failed": 0, "variants_made": 0}
    assert shop("stat", named, *APP).returncode == 2
    assert shop("ledger", "drain", "--quiet", *APP).stderr == ""


def test_drain_makes_the_variants_that_wait(home):
    (home / "gallery.py").write_text(GALLERY)
    run_app(home, "setup", module="gallery")
    app = ("--app", "gallery:ledger")
    assert json.loads(run("ledger", "status", "--json", *app, cwd=home).stdout)["variants"] == 1
    done = run("ledger", "drain", *app, cwd=home)
    assert (done.returncode, done.stderr) == (0, "0 deleted, 0 kept, 0 failed, 1 variant made\n")
    assert json.loads(run("ledger", "status", "--json", *app, cwd=home).stdout)["variants"] == 0
    assert "/thumb-" in run("ls", "-r", "file:variants/", *app, cwd=home).stdout


def test_files_that_rows_name_are_neither_removed_nor_moved(shop, named):
    missing, migrate = "they would name files that are missing", "`async-storages migrate`"
    for words, advice in (
        (f"rm --yes {named}", missing),
        ("rm --yes --recursive file:", missing),
        (f"mv {named} file:elsewhere.txt", migrate),
        ("mv --recursive file: ./elsewhere", migrate),
    ):
        done = shop(*words.split(), *APP)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.splitlines()[-1].startswith(f"rows of the database name 1 of the files ({named})")
        assert advice in done.stderr
    assert shop("cat", named, *APP).stdout == "named"
    assert shop("mv", "--force", named, "file:elsewhere.txt", *APP).returncode == 0
    assert shop("stat", named, *APP).returncode == 2


def test_variants_count_as_the_images_that_they_are_of(shop, named, home):
    key = named.removeprefix("file:")
    variant = f"file:variants/{key}/card-0123456789abcdef.webp"
    lost = "file:variants/lost.png/card-0123456789abcdef.webp"
    (home / "card").write_text("card")
    for target in (variant, lost):
        assert shop("cp", "./card", target, *APP).returncode == 0
    for words in (
        f"rm --yes {variant}",
        "rm --yes --recursive file:variants/",
        f"mv {variant} file:elsewhere.webp",
        "mv --recursive file:variants/ ./elsewhere",
    ):
        done = shop(*words.split(), *APP)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert done.stderr.splitlines()[-1].startswith(f"rows of the database name 1 of the files ({variant}"), words
        assert "a variant counts as its image" in done.stderr
    assert shop("cat", variant, *APP).stdout == "card"
    assert shop("rm", "--yes", lost, *APP).returncode == 0
    assert shop("rm", "--yes", "--force", variant, *APP).returncode == 0
    assert shop("stat", variant, *APP).returncode == 2


def test_the_ledger_removes_what_no_row_names(shop, named, home):
    (home / "loose.txt").write_text("loose")
    assert shop("cp", "./loose.txt", "file:loose.txt", *APP).returncode == 0
    done = shop("rm", "--yes", "--json", "file:loose.txt", *APP)
    assert json.loads(done.stdout) == {"removed": 1, "kept": 0, "failed": 0}
    assert shop("stat", "file:loose.txt", *APP).returncode == 2
    run_app(home, "forget_row")
    assert shop("rm", "--yes", named, *APP).returncode == 0
    assert json.loads(shop("ledger", "status", "--json", *APP).stdout)["live"] == 0


def test_a_copy_of_the_database_does_not_own_the_storage(sqlite_shop, home):
    owner = sqlite_shop("ledger", "owner", *APP)
    assert (owner.returncode, owner.stdout) == (0, f"LocalStorage('{home}/files'): of this database\n")
    for name in ("app.sqlite", "app.sqlite.uploads"):
        (home / f"copy-{name}").write_bytes((home / name).read_bytes())
    program = (home / "shop.py").read_text()
    (home / "copied.py").write_text(program.replace("///app.sqlite", "///copy-app.sqlite"))
    copied = ("--app", "copied:ledger")
    refused = sqlite_shop("ledger", "owner", "--json", *copied)
    assert refused.returncode == 1
    [problem] = json.loads(refused.stdout).values()
    assert "is marked by another database" in problem
    assert sqlite_shop("ledger", "owner", "--take", *copied).returncode == 2
    taken = sqlite_shop("ledger", "owner", "--take", "--yes", *copied)
    assert (taken.returncode, taken.stdout) == (0, owner.stdout)


@pytest.mark.parametrize("app", ["shop:ledger", "shop:make_ledger"])
def test_the_application_of_pyproject_is_found_from_a_folder_below(sqlite_shop, home, app):
    (home / "pyproject.toml").write_text(f'[tool.async_storages]\napp = "{app}"\n')
    assert json.loads(sqlite_shop("ledger", "drain", "--json").stdout)["deleted"] == 0
    (home / "below").mkdir()
    assert run("ls", "file:", cwd=home / "below").returncode == 0


def test_an_empty_list_says_that_its_folder_does_not_exist(home):
    done = run("ls", "file:", cwd=home, env=environment(ASYNC_STORAGES_LOCAL_ROOT="nofolder"))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"the folder {home}/nofolder does not exist\n"
    (home / "nofolder").mkdir()
    done = run("ls", "file:", cwd=home, env=environment(ASYNC_STORAGES_LOCAL_ROOT="nofolder"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("ledger status --app shop:storage", "'shop:storage' is none: say --app module:ledger"),
        ("ledger status", "needs a FileLedger, and there is none"),
        ("ledger status --app shop:nothing", "'shop:nothing' cannot be imported"),
        ("ledger status --app shap:ledger", "'shap:ledger' cannot be imported"),
        ("ledger status --app shop:make_nonsense", "'shop:make_nonsense' is a int; this command needs a"),
        ("ledger status --app shop:fail", "'shop:fail' cannot be called: RuntimeError: no settings"),
        ("ledger status --app shop:serve", "'shop:serve' is a Web; this command needs a Storage"),
        ("ledger status --app shop:Document", "this command needs a Storage"),
        ("ledger status --max-overdue 5 --app shop:ledger", "'5' is no time"),
        ("ledger sweep --older-than x --app shop:ledger", "'x' is no time"),
        ("ledger sweep --prefix x --app shop:ledger", "prefix= is for sweep(inventory=True)"),
        ("ledger owner --take --app shop:ledger", "say --yes"),
        ("ledger nonsense", "No such command"),
        ("ledger", "Missing command"),
        ("ls s3:photos --app shop:ledger", "the application does not serve s3:photos ids"),
        ("doctor --app shop:make_nonsense", "is a int"),
        ("doctor --processes 0", "--processes"),
    ],
)
def test_wrong_input_is_one_line(unchanged_shop, command, problem):
    done = run(*command.split(" "), cwd=unchanged_shop)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_pyproject_that_says_nonsense_is_one_line(home):
    for text in ("[tool.async_storages]\n", "[tool.async_storages]\napp = 7\n", "[tool"):
        (home / "pyproject.toml").write_text(text)
        done = run("ls", "file:", cwd=home)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert str(home / "pyproject.toml") in done.stderr


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"ASYNC_STORAGES_S3_ENTPOINT": "x"}, "the variable ASYNC_STORAGES_S3_ENTPOINT is unknown"),
        ({"ASYNC_STORAGES_S3_USE_SSL": "perhaps", "ASYNC_STORAGES_S3_SECRET_ACCESS_KEY": "hush"}, "use_ssl"),
        ({"ASYNC_STORAGES_GCS_SERVICE_ACCOUNT_INFO": "{hush"}, "begins like JSON, and is none"),
        ({"ASYNC_STORAGES_FASTDFS_GROUP": "group1"}, "tracker_servers"),
        ({"ASYNC_STORAGES_LOCAL_ROOTT": "hush"}, "ASYNC_STORAGES_LOCAL_ROOTT is unknown"),
    ],
)
def test_a_wrong_variable_is_one_line_without_its_value(home, variables, problem):
    done = run("ls", "file:", cwd=home, env=environment(**variables))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert problem in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize("command", ["ledger status", "ledger drain", "ledger sweep", "rm --yes file:x"])
def test_a_database_that_is_not_there_is_one_line_without_the_password(home, command):
    ledger_app(home, "sqlite+aiosqlite:///app.sqlite")
    program = (
        (home / "shop.py")
        .read_text()
        .replace("sqlite+aiosqlite:///app.sqlite", "postgresql+asyncpg://u:hush@127.0.0.1:1/x")
    )
    (home / "lost.py").write_text(program)
    (home / "files" / "x").write_text("x")
    done = run(*command.split(" "), "--app", "lost:ledger", cwd=home)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "hush" not in done.stderr
    assert (home / "files" / "x").read_text() == "x"
