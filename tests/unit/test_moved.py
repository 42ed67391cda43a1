"""Modules and names that docs of earlier versions showed are found under their old paths, with a warning."""

import importlib
import subprocess
import sys

import pytest

import async_storages

MOVED_MODULES = {
    "async_storages.backends.clamd": {"ClamdScanner": "ClamdScanner"},
    "async_storages.backends.http": {"HttpOptions": "HttpOptions"},
    "async_storages.backends.retries": {"Retries": "Retries"},
    "async_storages.quarantine": {"Review": "QuarantineReview", "review": "review_quarantined_file"},
    "async_storages.services": {
        name: name for name in ("DeleteService", "DownloadService", "InfoService", "UploadService", "ZipDownload")
    },
    "async_storages.integrations.sqlalchemy.alembic": {},
}
MOVED_NAMES = {
    **{("async_storages.scanning", name): name for name in ("Clean", "Infected", "Scanner", "Unscanned", "Verdict")},
    ("async_storages.validation", "FileValidatorImpl"): "FileValidator",
    **{("async_storages.storage", name): name for name in ("byte_range", "SupportsCopy", "SupportsList")},
}


@pytest.mark.parametrize("old_path", MOVED_MODULES)
def test_importing_a_moved_module_warns(old_path):
    program = f"import {old_path}"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True)
    assert f"DeprecationWarning: {old_path} has moved" in done.stderr


@pytest.mark.parametrize("old_path", MOVED_MODULES)
@pytest.mark.filterwarnings("ignore:.* has moved:DeprecationWarning")
def test_a_moved_module_has_the_objects_of_today(old_path):
    old = importlib.import_module(old_path)
    for old_name, new_name in MOVED_MODULES[old_path].items():
        assert getattr(old, old_name) is getattr(async_storages, new_name)


@pytest.mark.parametrize(("module", "name"), MOVED_NAMES)
def test_a_moved_name_is_found_with_a_warning_that_names_the_new_one(module, name):
    new_name = MOVED_NAMES[module, name]
    with pytest.warns(DeprecationWarning, match=f"{name} has moved: use  from async_storages import {new_name}"):
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(async_storages, new_name)


def test_a_name_that_was_never_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        importlib.import_module("async_storages.scanning").nonsense  # noqa: B018 - the look-up is the test
