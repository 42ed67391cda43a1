"""Where the templates for ``alembic init`` are."""

from pathlib import Path

import async_storages

__all__ = ["folders"]

_PACKAGE = Path(async_storages.__file__).parent


def folders() -> dict[str, Path]:
    """The templates by name: those that a wheel has put into the package, or those beside it in a checkout."""
    places = (_PACKAGE / "migrations_template", _PACKAGE.parent / "migrations_template")
    templates = next(place for place in places if place.is_dir())
    return {folder.name: folder for folder in sorted(templates.iterdir()) if (folder / "env.py").is_file()}
