"""The plugin that Alembic loads at every start."""

import subprocess
import sys


def test_loading_the_plugin_imports_neither_alembic_nor_what_it_may_call_later():
    program = """
import sys
from async_storages.integrations.alembic import plugin
print({"alembic", "sqlalchemy", "async_storages.storage.base"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout == "set()\n"
