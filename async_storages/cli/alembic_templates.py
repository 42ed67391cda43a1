"""Templates for ``alembic init``."""

from pathlib import Path

import async_storages

__all__ = ["folders"]

_PACKAGE = Path(async_storages.__file__).parent


def folders() -> dict[str, Path]:
    """Return the folders of the templates, by name: in the package of a wheel, or beside it in a checkout."""
    candidates = (_PACKAGE / "migrations_template", _PACKAGE.parent / "migrations_template")
    templates = next(folder for folder in candidates if folder.is_dir())
    return {folder.name: folder for folder in sorted(templates.iterdir()) if (folder / "env.py").is_file()}
