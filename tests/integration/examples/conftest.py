"""The packages of `examples` are found as `make api` finds them, and Alembic leaves the process as it was."""

import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"

if str(EXAMPLES) not in sys.path:
    sys.path.append(str(EXAMPLES))


@pytest.fixture(autouse=True, scope="module")
def _as_it_was():
    """Alembic extends `sys.path`, and its env.py configures logging, for the whole process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr("logging.config.fileConfig", lambda *args, **options: None)
        yield
