"""The project itself: what importing it costs, which module may import which, and what is shipped."""

import inspect
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from types import FunctionType

import pytest

import async_storages
import async_storages.integrations.fastapi
import async_storages.integrations.litestar
import async_storages.integrations.sqladmin
import async_storages.integrations.sqlalchemy
import async_storages.integrations.starlette
import async_storages.integrations.starlette_admin
from tools.package import PACKAGE, ROOT

HEAVY = (
    *("PIL", "aioboto3", "aiohttp", "alembic", "botocore", "fastapi", "imagesize", "itsdangerous"),
    *("litestar", "pydantic", "rich", "sqlalchemy", "starlette", "typer"),
)


def test_importing_the_package_imports_no_dependency():
    command = [sys.executable, "-c", "import async_storages, sys; print(*sys.modules)"]
    imported = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "async_storages" in imported
    assert not set(HEAVY).intersection(imported)


def test_a_missing_extra_says_what_to_install():
    program = "import sys; sys.modules['aiohttp'] = None\nfrom async_storages import S3Storage"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.stderr.endswith(
        'ImportError: S3Storage needs aiohttp: run  pip install "sqlalchemy-async-storages[s3]"\n'
    )


def test_s3_with_static_keys_and_its_presigned_urls_import_no_sdk():
    program = """
import sys
from async_storages import S3Storage
storage = S3Storage("photos", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="secret")
assert "X-Amz-Signature" in storage.presign("cat.jpg")
print({"aioboto3", "boto3", "botocore", "aiobotocore"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


# A module may import what stands in its own layer and in those above it. The most specific pattern counts.
LAYERS = {
    "pure": (
        *(
            "_version",
            "config",
            "content_disposition",
            "errors",
            "fastdfs_ids",
            "ids",
            "images",
            "images.*",
            "models",
            "naming",
            "signing",
        ),
        *(
            "_checksums",
            "_moved",
            "_secrets",
            "_media_types",
            "_media_types.*",
            "_zip",
            "_zip.*",
            "sniff",
            "upload_options",
        ),
        *("variants", "variants.keys"),
    ),
    "contract": (
        *(
            "_cleanup",
            "_file_facts",
            "_deadlines",
            "_single_flight",
            "_tasks",
            "content",
            "events",
            "files",
            "image_rules",
            "many_files",
            "read_once",
            "registry",
            "scanning",
            "scanning.verdicts",
            "served_by",
            "sinks",
            "size_limits",
            "sources",
            "storage",
            "storage.*",
            "synchronous",
            "synchronous.*",
        ),
        *("validation", "variants.links", "variants.removal", "zipping"),
    ),
    "backends": ("backends", "backends.*", "scanning.clamd"),
    "manager": (
        *("direct_uploads", "direct_uploads.*", "file_tokens", "imaging", "imaging.*", "manager", "manager.*"),
        *("receiving", "receiving.*"),
        *("scanning.quarantine", "serving", "serving.*", "variants.lazy", "variants.making", "variants.missing"),
        "variants.temporary",
    ),
    "public": ("async_storages",),
    "integrations": ("compat", "compat.*", "integrations", "integrations.*", "quarantine", "services"),
    "command line": ("cli", "cli.*", "__main__"),
    "testing": ("testing", "testing.*"),
}
ROOMS = ("alembic", "fastapi", "litestar", "sqladmin", "sqlalchemy", "starlette", "starlette_admin")
MAY_KNOW = {
    *(("fastapi", "starlette"), ("alembic", "sqlalchemy"), ("sqlalchemy", "alembic")),  # old paths: the last
    *(("sqladmin", "sqlalchemy"), ("starlette_admin", "sqlalchemy")),
}
APART = [(one, other) for one in ROOMS for other in ROOMS if one != other and (one, other) not in MAY_KNOW]

FRAMEWORKS = {"fastapi", "litestar", "quart", "starlette"}
KNOW_A_FRAMEWORK = {
    "integrations.fastapi*": {"fastapi", "starlette"},
    "integrations.litestar*": {"litestar"},
    "integrations.admin_uploads": {"starlette"},
    "integrations.sqladmin*": {"starlette"},
    "integrations.starlette*": {"starlette"},
}


def layers_of(module: str) -> list[str]:
    return [layer for layer, patterns in LAYERS.items() if any(fnmatchcase(module, pattern) for pattern in patterns)]


def packages_imported_by(module: str) -> set[str]:
    return {name.partition(".")[0] for name in PACKAGE.all_imports(module)}


@pytest.mark.parametrize("module", sorted(PACKAGE.modules))
def test_a_module_imports_only_from_its_layer_and_below(module):
    assert layers_of(module), f"async_storages.{module} has no place in LAYERS: give it one"
    [layer] = layers_of(module)
    order = list(LAYERS)
    allowed = order[: order.index(layer) + 1]
    wrong = {name for name in PACKAGE.imports(module) if layers_of(name) and layers_of(name)[0] not in allowed}
    assert not wrong, f"async_storages.{module} ({layer}) may only import from {allowed}"


def is_in(module: str, room: str) -> bool:
    return f"{module}.".startswith(f"integrations.{room}.")


@pytest.mark.parametrize(("one", "other"), APART)
def test_integrations_do_not_import_each_other(one, other):
    for module in PACKAGE.modules:
        if is_in(module, one):
            assert not [name for name in PACKAGE.imports(module) if is_in(name, other)], module


@pytest.mark.parametrize("module", sorted(PACKAGE.modules))
def test_a_module_imports_no_framework_but_its_own(module):
    known = {name for pattern, names in KNOW_A_FRAMEWORK.items() if fnmatchcase(module, pattern) for name in names}
    assert not FRAMEWORKS.intersection(packages_imported_by(module)) - known


@pytest.mark.parametrize("pattern", [pattern for patterns in LAYERS.values() for pattern in patterns])
def test_every_place_is_taken(pattern):
    assert any(fnmatchcase(module, pattern) for module in PACKAGE.modules)


def test_the_architecture_page_shows_the_layers_in_their_order():
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    rows = dict(re.findall(r"^\| ([\w ]+) \| (`.*?) \|", page.partition("| layer |")[2], re.MULTILINE))
    assert list(rows) == list(LAYERS)
    for layer, cell in rows.items():
        assert {tuple(layers_of(module)) for module in re.findall(r"`([\w.]+)`", cell)} == {(layer,)}


PUBLIC = [
    async_storages,
    async_storages.integrations.fastapi,
    async_storages.integrations.litestar,
    async_storages.integrations.sqladmin,
    async_storages.integrations.sqlalchemy,
    async_storages.integrations.starlette,
    async_storages.integrations.starlette_admin,
]
PUBLIC_NAMES = [
    pytest.param(module, name, id=f"{module.__name__}.{name}") for module in PUBLIC for name in module.__all__
]


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_public_names_are_sorted(module):
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name))


def documented(thing: object) -> Iterator[tuple[str, object]]:
    """What must have a docstring: a class, what is public of its own, a function, a module; of values nothing."""
    if inspect.isclass(thing):
        yield thing.__name__, thing
        for name, member in vars(thing).items():
            if not name.startswith("_") and isinstance(member, FunctionType | classmethod | staticmethod | property):
                yield f"{thing.__name__}.{name}", getattr(thing, name)
    elif inspect.isroutine(thing) or inspect.ismodule(thing):
        yield thing.__name__, thing


@pytest.mark.parametrize(("module", "name"), PUBLIC_NAMES)
def test_every_public_name_exists_and_is_documented(module, name):
    things = dict(documented(getattr(module, name)))
    assert [shown for shown, thing in things.items() if not inspect.getdoc(thing)] == []


@pytest.mark.parametrize(("module", "name"), PUBLIC_NAMES)
def test_every_public_name_is_in_the_reference(module, name):
    reference = (ROOT / "docs" / "reference" / "index.md").read_text()
    whole = "async_storages.errors" if name.endswith(("Exception", "Warning")) else module.__name__
    listed = {f"::: {whole}\n", f"::: {module.__name__}.{name}\n", f"`{name}`"}
    assert any(entry in reference for entry in listed) or name == "__version__"


def test_mypy_and_pyright_check_what_users_see_of_the_types():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert "tests/typing" in tools["mypy"]["files"]
    assert "tests/typing" in tools["pyright"]["include"]
    checks = [path.read_text() for path in (ROOT / "tests" / "typing").glob("*.py")]
    assert checks
    for text in checks:  # an error that is expected and does not come is one: mypy's strict mode has that by itself
        assert text.startswith("# pyright: strict, reportUnnecessaryTypeIgnoreComment=true\n")


def test_what_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        async_storages.nonsense  # noqa: B018 - the look-up is the test


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("sqlalchemy_async_storages-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "async_storages/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    about = "-".join(wheel.stem.split("-")[:2])
    assert {name.partition("/")[0] for name in names} == {"async_storages", f"{about}.dist-info"}


@pytest.mark.skipif(version("twine") < "7", reason="twine 6 does not know the version of the metadata")
def test_pypi_accepts_what_is_built(tmp_path):
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    built = sorted(tmp_path.iterdir())
    assert [path.suffix for path in built] == [".whl", ".gz"]
    check = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)]
    done = subprocess.run(check, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_changelog_begins_with_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)
    assert headings[0] == async_storages.__version__
    assert headings == re.findall(r"^\[(.+?)\]: https://", changelog, re.MULTILINE)


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_uses_actions_of_a_fixed_commit(path):
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", action)] == []


def test_only_the_job_that_publishes_gets_a_token():
    rights = {path.name: re.findall(r"^ *([\w-]+): write\b", path.read_text(), re.MULTILINE) for path in WORKFLOWS}
    assert rights == {"release.yml": ["id-token"], "test.yml": []}
    before, publish = (ROOT / ".github" / "workflows" / "release.yml").read_text().split("  publish:\n")
    assert "id-token" not in before
    assert "name: pypi\n" in publish


SHIM = "#!/bin/sh\necho 'pyenv: version 3.12 is not installed' >&2\nexit 127\n"


def program(name: str) -> str:
    path = shutil.which(name)
    assert path, f"{name} is missing"
    return path


def make_setup(tmp_path: Path, **scripts: str) -> "subprocess.CompletedProcess[str]":
    """Run `make setup` for a new environment where only these scripts are on PATH."""
    shims = tmp_path / "shims"
    shims.mkdir()
    for name, script in scripts.items():
        (shims / name).write_text(script)
        (shims / name).chmod(0o755)
    for name in ("sh", "rm"):
        (shims / name).symlink_to(program(name))
    environment = {"PATH": str(shims), "HOME": str(tmp_path)}
    command = [program("make"), "setup", f"VENV={tmp_path}/venv"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_setup_without_a_python_that_runs_says_what_is_missing(tmp_path):
    done = make_setup(tmp_path, python3=SHIM)
    assert done.returncode != 0
    assert "No usable Python 3.12 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_setup_takes_the_first_python_that_runs(tmp_path):
    good = f'#!/bin/sh\ncase "$2" in import*) exit 0;; esac\necho "$*" > {tmp_path}/called; exit 1\n'
    done = make_setup(tmp_path, **{"python3.12": SHIM, "python3.13": good, "python3": SHIM})
    assert f"with {tmp_path}/shims/python3.13" in done.stdout
    assert (tmp_path / "called").read_text() == f"-m venv {tmp_path}/venv\n"
