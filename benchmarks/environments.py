"""Environments with peers of certain versions, built once, below ``.benchmarks``."""

import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path

__all__ = ["python_with"]


def python_with(name: str, packages: Mapping[str, str]) -> str | None:
    """The Python of an environment with packages of these versions; None if pip cannot install them."""
    folder = Path(".benchmarks", "-".join([name, *packages.values()])).absolute()
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        venv.create(folder, with_pip=True, clear=True)
        wanted = [f"{package}=={version}" for package, version in packages.items()]
        if subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=False, capture_output=True).returncode:
            return None
        (folder / "complete").touch()
    return str(python)
