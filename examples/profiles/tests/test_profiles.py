"""Both applications, each on SQLite: ``PYTHONPATH=examples pytest examples/profiles``."""

from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from profiles import app, plain_app
from profiles.models import Base
from sqlalchemy import create_engine

from async_storages import LocalStorage

APPLICATIONS = {"AsyncSession": (app.create_app, "sqlite+aiosqlite"), "Session": (plain_app.create_app, "sqlite")}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture(params=APPLICATIONS.values(), ids=[*APPLICATIONS])
def client(request: pytest.FixtureRequest, tmp_path: Path, files: Path) -> Iterator[TestClient]:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.sqlite'}")
    Base.metadata.create_all(engine)
    engine.dispose()
    create_app, driver = request.param
    storage = LocalStorage(files, base_url="/signed", secret_key="test")
    with TestClient(create_app(f"{driver}:///{tmp_path / 'test.sqlite'}", storage)) as client:
        yield client


def png(color: str = "red") -> tuple[str, bytes]:
    content = BytesIO()
    Image.new("RGB", (32, 32), color).save(content, "PNG")
    return "ada.png", content.getvalue()


def stored(client: TestClient, files: Path) -> list[str]:
    """The files that are there when the ledger has done its work."""
    application: Any = client.app
    assert client.portal is not None
    client.portal.call(partial(application.state.ledger.drain, wait=True))
    return sorted(
        path.name.partition("_")[2] for folder in ("pictures", "documents") for path in files.glob(f"{folder}/*")
    )


def test_a_picture_is_shown_and_replaced(client: TestClient, files: Path) -> None:
    profile = client.post("/profiles", data={"name": "Ada"}, files={"picture": png()}).json()
    assert (profile["width"], profile["height"]) == (32, 32)
    assert client.get(profile["picture"]).content == png()[1]

    client.put(f"/profiles/{profile['id']}/picture", files={"picture": png("blue")})
    assert client.get(f"/profiles/{profile['id']}/picture").content == png("blue")[1]
    assert stored(client, files) == ["ada.png"]


def test_a_page_is_no_picture(client: TestClient, files: Path) -> None:
    answer = client.post("/profiles", data={"name": "Ada"}, files={"picture": ("ada.png", b"<html>")})
    assert (answer.status_code, answer.json()["code"]) == (400, "image_format")
    assert client.get("/profiles/1").status_code == 404
    assert stored(client, files) == []


def test_documents_go_with_the_profile(client: TestClient, files: Path) -> None:
    client.post("/profiles", data={"name": "Ada"})
    for name in ("cv.txt", "letter.txt"):
        assert client.post("/profiles/1/documents", files={"file": (name, b"Dear Charles")}).status_code == 201
    assert stored(client, files) == ["cv.txt", "letter.txt"]

    assert client.delete("/profiles/1").status_code == 204
    assert stored(client, files) == []
