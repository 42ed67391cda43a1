"""An integration whose framework is missing says what to install."""

import subprocess
import sys

import pytest

import async_storages


@pytest.mark.parametrize("framework", ["fastapi", "starlette", "litestar"])
@pytest.mark.parametrize("missing", ["framework", "python_multipart"])
def test_a_missing_extra_says_what_to_install(framework, missing):
    name = framework if missing == "framework" else missing
    program = f"import sys; sys.modules['{name}'] = None\nimport async_storages.integrations.{framework}"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.stderr.endswith(f'run  pip install "sqlalchemy-async-storages[{framework}]"\n')


def test_all_that_needs_no_extra_is_imported_where_none_is_installed():
    missing = (
        "import sys; sys.modules.update(dict.fromkeys(['aiohttp', 'cryptography', 'gcloud', 'sqlalchemy', 'PIL']))"
    )
    program = (
        f"{missing}\nfrom async_storages import *\nLocalStorage, ImageRules, FileUrls\nprint('S3Storage' in dir())"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert {"S3Storage", "GCSStorage", "CloudFrontSigner"} <= set(async_storages.__all__)
