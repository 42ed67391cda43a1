"""Sessions for requests, and uploads that were looked at."""

import logging
from typing import Annotated

import pydantic
import pytest
from fastapi import Depends, FastAPI, UploadFile
from sqlalchemy import AsyncAdaptedQueuePool, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.responses import StreamingResponse

from async_storages import FileTypeConfig, FileValidator, ImageRules, InvalidArgumentException
from async_storages.integrations.fastapi import UploadDep, register_exception_handlers, session_dependency
from async_storages.integrations.sqlalchemy import enable_file_tracking
from async_storages.registry import override
from tests.support.corpus import image
from tests.support.images import encode
from tests.support.tracked import Base, Book, TroubledStorage, files, pending
from tests.support.uvicorn_server import asking

# ---- sessions


@pytest.fixture
async def storage():
    storage = TroubledStorage()
    with override("documents", storage):
        yield storage


@pytest.fixture
async def engine(tmp_path):
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'test.sqlite'}", poolclass=AsyncAdaptedQueuePool)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield engine
    await engine.dispose()


@pytest.fixture(params=["AsyncSession", "Session"])
def app(request, engine, tmp_path):
    app = FastAPI()
    register_exception_handlers(app)
    if request.param == "AsyncSession":
        add_asynchronous(app, engine)
        yield app
    else:
        plain = create_engine(f"sqlite:///{tmp_path / 'test.sqlite'}")
        add_plain(app, plain)
        yield app
        plain.dispose()


def add_asynchronous(app, engine):
    session_dep = session_dependency(enable_file_tracking(async_sessionmaker(engine)))

    @app.post("/{ending}")
    async def store(ending: str, session: Annotated[AsyncSession, session_dep]):
        session.add(Book(title="a", file=pending("a.txt")))
        await session.flush()
        if ending == "fail":
            raise InvalidArgumentException("no")
        if ending == "commit":
            await session.commit()
        return engine.pool.checkedout()

    @app.get("/stream")
    async def stream(session: Annotated[AsyncSession, session_dep]):
        await session.get(Book, 1)
        return StreamingResponse(checked_out(engine))


def add_plain(app, engine):
    session_dep = session_dependency(enable_file_tracking(sessionmaker(engine)))

    @app.post("/{ending}")
    def store(ending: str, session: Annotated[Session, session_dep]):
        session.add(Book(title="a", file=pending("a.txt")))
        session.flush()
        if ending == "fail":
            raise InvalidArgumentException("no")
        if ending == "commit":
            session.commit()
        return engine.pool.checkedout()

    @app.get("/stream")
    def stream(session: Annotated[Session, session_dep]):
        session.get(Book, 1)
        return StreamingResponse(checked_out(engine))


async def checked_out(engine):
    yield f"{engine.pool.checkedout()}"


@pytest.mark.parametrize(("ending", "status", "kept"), [("commit", 200, 1), ("fail", 400, 0), ("return", 200, 0)])
async def test_what_is_not_committed_is_rolled_back_with_its_files(app, storage, ending, status, kept):
    async with asking(app) as client:
        assert (await client.post(f"/{ending}")).status_code == status
        assert len(await files(storage)) == kept


async def test_no_connection_is_kept_while_the_answer_is_sent(app, storage):
    async with asking(app) as client:
        assert (await client.post("/return")).text == "1"
        assert (await client.get("/stream")).text == "0"


# ---- uploads


RULES = {
    "its own": {"max_size": 2000, "types": ["image/*"], "extensions": ["png"]},
    "a validator's": {"validator": FileValidator(FileTypeConfig(whitelist=["png"], type_whitelist=["image/*"]), 2000)},
}


@pytest.fixture(params=RULES.values(), ids=RULES)
def uploading(request):
    app = FastAPI()
    register_exception_handlers(app)

    @app.post("/")
    async def upload(picture: Annotated[UploadFile, UploadDep(**request.param, field="picture")]):
        return [picture.filename, len(await picture.read())]

    return app


PNG = image("PNG")
UPLOADS = {
    "a picture": (("a.png", PNG, "image/png"), 200, None),
    "a picture that is said to be a page": (("a.png", PNG, "text/html"), 200, None),
    "a page that is said to be a picture": (("a.png", b"<html>", "image/png"), 400, "invalid_file_type"),
    "a picture that is called a page": (("a.html", PNG, "image/png"), 400, "invalid_file_type"),
    "a large picture": (("a.png", PNG.ljust(2001), "image/png"), 413, "file_too_large"),
    "the largest picture": (("a.png", PNG.ljust(2000), "image/png"), 200, None),
    "nothing": (("a.png", b"", "image/png"), 400, "invalid_file_type"),
}


@pytest.mark.parametrize(("upload", "status", "code"), UPLOADS.values(), ids=UPLOADS)
async def test_an_upload_keeps_to_the_rules(uploading, upload, status, code):
    async with asking(uploading) as client:
        answer = await client.post("/", files={"picture": upload})
    assert answer.status_code == status
    if code is None:
        assert answer.json() == [upload[0], len(upload[1])]
    else:
        assert answer.json()["code"] == code


IMAGES = {
    "no image": (b"<html>", "image_format"),
    "another format": (encode("BMP"), "image_format"),
    "a damaged one": (encode("PNG", (90, 90))[:-60], "image_damaged"),
    "too many pixels": (encode("PNG", (101, 100)), "image_too_large"),
    "too few pixels": (encode("PNG", (1, 1)), "image_too_small"),
    "frames": (encode("GIF", frames=2), "image_animated"),
}


@pytest.mark.parametrize(("content", "code"), IMAGES.values(), ids=IMAGES)
async def test_the_answer_says_which_rule_of_images_refused_an_upload(content, code, caplog):
    app = FastAPI()
    register_exception_handlers(app)
    rules = ImageRules(min_width=2, max_pixels=10_000, animated=False)

    @app.post("/")
    async def upload(picture: Annotated[UploadFile, UploadDep(image=rules)]):
        return picture.filename

    with caplog.at_level(logging.INFO, "async_storages"):
        async with asking(app) as client:
            answer = await client.post("/", files={"picture": ("a.png", content)})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    [line] = [each.getMessage() for each in caplog.records if each.name == "async_storages"]
    assert line.startswith("a file was refused: validate: ")


NOT_CHOSEN = (
    b'--x\r\nContent-Disposition: form-data; name="picture"; filename=""\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n\r\n--x--\r\n"
)


NO_FIELD = b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nCat\r\n--x--\r\n'


@pytest.mark.parametrize("body", [NOT_CHOSEN, NO_FIELD], ids=["empty", "missing"])
async def test_where_no_file_was_chosen_an_upload_is_missing_or_none(uploading, body):
    @uploading.post("/optional")
    async def upload(picture: Annotated[UploadFile | None, UploadDep(max_size=9, field="picture", required=False)]):
        return picture

    async with asking(uploading) as client:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        required, optional = [await client.post(path, content=body, headers=headers) for path in ("/", "/optional")]
        large = await client.post("/optional", files={"picture": ("a.png", b"1234567890")})
    assert (required.status_code, required.json()["detail"][0]["loc"]) == (422, ["body", "picture"])
    assert (optional.status_code, optional.json(), large.status_code) == (200, None, 413)


async def test_an_upload_has_the_field_that_it_was_given(uploading):
    async with asking(uploading) as client:
        answer = await client.post("/", files={"file": ("a.png", PNG)})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "picture"])
    [schema] = [schema for name, schema in uploading.openapi()["components"]["schemas"].items() if "Body" in name]
    assert schema["required"] == ["picture"]
    told = schema["properties"]["picture"]["description"]
    assert told == "At most 2,000 bytes. Types: image/*. Extensions: png."


Picture = Annotated[UploadFile, UploadDep(types=["image/*"])]


async def test_an_upload_has_the_field_that_its_parameter_is_called():
    app = FastAPI()

    @app.post("/")
    async def upload(front: Picture, back: Picture, more: Annotated[UploadFile | None, UploadDep(required=False)]):
        return [front.filename, back.filename, more and more.filename]

    files = {"front": ("f.png", PNG), "back": ("b.png", PNG)}
    async with asking(app) as client:
        assert (await client.post("/", files=files)).json() == ["f.png", "b.png", None]
        assert (await client.post("/", files=files | {"more": ("m.txt", b"m")})).json() == ["f.png", "b.png", "m.txt"]
        missing = await client.post("/", files={"front": ("f.png", PNG)})
    assert (missing.status_code, missing.json()["detail"][0]["loc"]) == (422, ["body", "back"])
    [schema] = [schema for name, schema in app.openapi()["components"]["schemas"].items() if "Body_" in name]
    assert (set(schema["properties"]), schema["required"]) == ({"front", "back", "more"}, ["front", "back"])


async def test_a_dependency_of_a_dependency_has_the_name_of_its_own_parameter():
    async def described(scan: Annotated[UploadFile, UploadDep()]):
        return scan.filename

    app = FastAPI()

    @app.post("/")
    async def upload(name: Annotated[str, Depends(described)]):
        return name

    async with asking(app) as client:
        assert (await client.post("/", files={"scan": ("s.png", PNG)})).json() == "s.png"


def test_an_upload_whose_parameter_has_no_name_is_refused_at_start():
    with pytest.raises(InvalidArgumentException, match="field="):
        FastAPI().post("/", dependencies=[UploadDep()])(lambda: None)


@pytest.mark.parametrize(
    "options",
    [{"max_size": 0}, {"types": ["picture"]}, {"extensions": ["/"]}, {**RULES["a validator's"], "max_size": 1}],
    ids=["size", "type", "extension", "both"],
)
def test_rules_that_cannot_be_are_refused_at_start(options):
    with pytest.raises((InvalidArgumentException, pydantic.ValidationError)):
        UploadDep(**options)
