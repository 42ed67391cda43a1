"""Images that the installed packages ship: nothing is raised but the library's errors, and nearly all are made."""

import sys
from pathlib import Path

import pytest

from async_storages import ImageLimits, ImagePool, PillowEngine, VipsEngine
from tests.support.found_images import found, through
from tests.support.patience import HANGS

ENOUGH = 40


@pytest.mark.parametrize("engine", [PillowEngine(), VipsEngine()], ids=lambda engine: type(engine).__name__)
async def test_real_images_are_made_or_refused(engine):
    if isinstance(engine, VipsEngine):
        pytest.importorskip("pyvips")
    everywhere = found(Path(folder) for folder in sys.path if "site-packages" in folder)
    images = [path for path in everywhere if path.suffix != ".svg"][:ENOUGH]
    async with ImagePool(workers=2, engine=engine, limits=ImageLimits(timeout=HANGS)) as pool:
        outcome = await through(pool, images)
    assert outcome.made > len(images)
    assert outcome.wrong == []
    assert outcome.failed == []
    for paths in outcome.refused.values():
        assert not {".png", ".jpg", ".gif", ".webp"}.intersection(path.suffix for path in paths)
