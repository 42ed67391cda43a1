"""An integration whose framework is missing says what to install."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("framework", ["fastapi", "starlette", "litestar"])
@pytest.mark.parametrize("missing", ["framework", "python_multipart"])
def test_a_missing_extra_says_what_to_install(framework, missing):
    name = framework if missing == "framework" else missing
    program = f"import sys; sys.modules['{name}'] = None\nimport async_storages.integrations.{framework}"
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.stderr.endswith(f'run  pip install "sqlalchemy-async-storages[{framework}]"\n')
