"""Errors as problem details: the right status, and nothing that is not for strangers."""

import logging
from typing import Annotated

import pytest
from fastapi import Body, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.responses import PlainTextResponse

from async_storages import errors
from async_storages.errors import StorageException
from async_storages.integrations.fastapi import Problem, problem_responses, register_exception_handlers
from tests.support.uvicorn_server import asking

HIDDEN = ("secret-bucket", "key.pdf", "minio.internal:9000", "AccessDeniedByPolicy")
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StorageException)]
NOT_FOR_CLIENTS = (errors.StorageClosedException, errors.SweepRefusedException)


class TeapotException(errors.InvalidArgumentException):
    http_status = 418


def error(kind):
    return kind(
        "minio.internal:9000 said AccessDeniedByPolicy", operation="stat", file_id="s3:secret-bucket/folder/key.pdf"
    )


async def test_each_error_is_a_problem_of_its_own(caplog):
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/{number}")
    async def fail(number: int):
        raise error([*KINDS, TeapotException][number])

    codes = {}
    with caplog.at_level(logging.ERROR, "async_storages"):
        async with asking(app) as client:
            for number, kind in enumerate(KINDS):
                answer = await client.get(f"/{number}")
                problem = Problem.model_validate(answer.json())
                assert answer.status_code == problem.status == kind.http_status
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert not [text for text in HIDDEN if text in answer.text]
                codes.setdefault(problem.code, []).append(kind)
            own = await client.get(f"/{len(KINDS)}")
    assert (own.status_code, own.json()["code"], own.json()["title"]) == (418, "invalid_argument", "I'm a Teapot")
    assert {errors.StorageException, *NOT_FOR_CLIENTS} == set(codes.pop("storage_error"))
    assert all(len(kinds) == 1 for kinds in codes.values())
    logged = [record.getMessage() for record in caplog.records if record.name == "async_storages"]
    assert len(logged) == len([kind for kind in KINDS if kind.http_status >= 500])
    assert all("minio.internal:9000" in line for line in logged)


REFUSALS = {
    None: ("invalid_file_type", "Files of this type are not accepted here."),
    "image_format": ("image_format", "The file is not an image of an accepted format."),
    "image_damaged": ("image_damaged", "The image is damaged."),
    "image_too_large": ("image_too_large", "The image has more pixels or frames than are accepted here."),
    "image_too_small": ("image_too_small", "The image has fewer pixels than are accepted here."),
    "image_animated": ("image_animated", "Animated images are not accepted here."),
}


@pytest.mark.parametrize("rule", REFUSALS)
async def test_a_refused_file_is_told_the_rule_and_logged_in_one_line(rule, caplog):
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/")
    async def refuse():
        reason = "the image cannot be decoded\nas PNG"
        raise errors.InvalidFileTypeException(reason, operation="validate", file_id="key.pdf", rule=rule)

    with caplog.at_level(logging.INFO, "async_storages"):
        async with asking(app) as client:
            answer = await client.get("/")
    assert (answer.status_code, answer.json()["code"], answer.json()["detail"]) == (400, *REFUSALS[rule])
    assert [(each.levelname, each.getMessage()) for each in caplog.records if each.name == "async_storages"] == [
        ("INFO", "a file was refused: validate: the image cannot be decoded as PNG")
    ]


async def test_an_image_that_cannot_be_made_is_logged(caplog):
    app = FastAPI()
    register_exception_handlers(app)

    @app.get("/")
    async def refuse():
        raise errors.ImageProcessingException("the image took longer than the 30 seconds allowed")

    with caplog.at_level(logging.INFO, "async_storages"):
        async with asking(app) as client:
            answer = await client.get("/")
    assert (answer.status_code, answer.json()["code"]) == (422, "image_processing")
    logged = [each.getMessage() for each in caplog.records if each.name == "async_storages"]
    assert logged == ["a file was refused: the image took longer than the 30 seconds allowed"]


def test_the_schema_tells_of_problems():
    app = FastAPI()

    @app.get("/", responses=problem_responses(403, 404))
    async def read() -> str:
        return ""

    responses = app.openapi()["paths"]["/"]["get"]["responses"]
    assert responses["403"]["description"] == "Forbidden"
    schema = responses["404"]["content"]["application/problem+json"]["schema"]
    assert set(schema["properties"]) == {"type", "title", "status", "detail", "code"}


async def test_a_request_that_is_not_valid():
    """FastAPI repeats the input, which UTF-8 cannot always write."""
    app = FastAPI()
    register_exception_handlers(app)

    @app.post("/")
    async def add(number: Annotated[int, Body()]):
        return number

    async with asking(app) as client:
        usual = await client.post("/", json="x")
        lone_surrogate = await client.post("/", content=rb'"\ud800"', headers={"Content-Type": "application/json"})
    assert (usual.status_code, usual.json()["detail"][0]["input"]) == (422, "x")
    assert (lone_surrogate.status_code, lone_surrogate.json()["code"]) == (422, "invalid_request")


async def test_an_applications_own_answer_to_what_is_not_valid_stays():
    app = FastAPI()

    @app.exception_handler(RequestValidationError)
    async def own(request, error):
        return PlainTextResponse("own", 400)

    register_exception_handlers(app)

    @app.post("/")
    async def add(number: Annotated[int, Body()]):
        return number

    async with asking(app) as client:
        assert (await client.post("/", json="x")).text == "own"
