"""A running application is moved from FastDFS to S3 while several clients work with it: no request fails."""

import asyncio
from random import Random
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Response, UploadFile
from sqlalchemy import select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from async_storages import StorageManager, registry
from async_storages.integrations.fastapi import register_exception_handlers
from async_storages.integrations.sqlalchemy import FileLedger, Migration, enable_file_tracking
from tests.support.fastdfs import FAST, fastdfs_storage
from tests.support.ledgers import forget_ledgers, settle
from tests.support.moving import Base, Paper
from tests.support.patience import TIME_OUT
from tests.support.s3 import s3_storage
from tests.support.uvicorn_server import served

CLIENTS = 4


def application(sessions):
    app = FastAPI()
    register_exception_handlers(app)

    async def found(session, number):
        if (paper := await session.get(Paper, number)) is None:
            raise HTTPException(404)
        return paper

    @app.post("/papers", status_code=201)
    async def create(file: UploadFile):
        async with sessions.begin() as session:
            session.add(paper := Paper(file=file))
        return paper.id

    @app.get("/papers/{number}")
    async def read(number: int):
        async with sessions() as session:
            paper = await found(session, number)
        return Response(await paper.file.read())

    @app.put("/papers/{number}")
    async def replace(number: int, file: UploadFile):
        async with sessions() as session:
            (await found(session, number)).file = file
            await session.commit()

    @app.delete("/papers/{number}", status_code=204)
    async def delete(number: int):
        async with sessions.begin() as session:
            await session.delete(await found(session, number))

    return app


async def work(client, random, is_over):
    """What one client does until all is moved; it knows what its papers hold."""
    papers = {}

    def content():
        return uuid4().hex.encode() * random.randint(1, 3000)

    def form(body):
        return {"files": {"file": ("paper.txt", body)}}

    requests = 0
    while not is_over.is_set() or requests < 12:
        action = random.choice(("create", "read", "read", "replace", "delete") if len(papers) > 3 else ("create",))
        if action == "create":
            answer = await client.post("/papers", **form(body := content()))
            papers[answer.json()] = body
        else:
            number = random.choice(list(papers))
            if action == "read":
                answer = await client.get(f"/papers/{number}")
                assert answer.content == papers[number]
            elif action == "replace":
                papers[number] = content()
                answer = await client.put(f"/papers/{number}", **form(papers[number]))
            else:
                del papers[number]
                answer = await client.delete(f"/papers/{number}")
        assert answer.status_code in {200, 201, 204}, f"{action}: {answer.status_code} {answer.text}"
        requests += 1
    return requests, papers


@pytest.mark.parametrize(("has_ledger", "new_files"), [(True, "source"), (False, "target")])
async def test_no_request_fails(postgres_database, fastdfs_server, s3_server, s3_bucket, has_ledger, new_files):
    engine = create_async_engine(postgres_database)
    fastdfs, s3 = fastdfs_storage(fastdfs_server, options=FAST), s3_storage(s3_server, s3_bucket)
    manager = StorageManager.from_storages(*((fastdfs, s3) if new_files == "source" else (s3, fastdfs)))
    with registry.override("papers", manager):
        async with manager:
            ledger = FileLedger(engine, Base.metadata) if has_ledger else None
            migration = Migration(engine, Base.metadata, source=fastdfs, target=s3, ledger=ledger)
            tables = [each for each in Base.metadata.sorted_tables if has_ledger or "stored_files" not in each.name]
            async with engine.begin() as connection:
                await connection.run_sync(lambda found: Base.metadata.create_all(found, tables=tables))
            await migration.create()
            sessions = enable_file_tracking(async_sessionmaker(engine, expire_on_commit=False), ledger=ledger)
            async with sessions.begin() as session:
                for number in range(20):
                    session.add(Paper(content=f"{number}", file=await fastdfs.save(b"%d" % number, "old.txt")))
            is_over = asyncio.Event()

            async def move():
                for _ in range(2):
                    await migration.plan()
                    assert (await migration.run(concurrency=3)).failed == 0
                    if ledger is not None:
                        await ledger.drain()
                is_over.set()

            async with (
                served(application(sessions)) as url,
                httpx.AsyncClient(base_url=url, timeout=TIME_OUT) as client,
            ):
                jobs = [work(client, Random(number), is_over) for number in range(CLIENTS)]
                *done, _ = await asyncio.gather(*jobs, move())
            assert sum(requests for requests, _ in done) >= 12 * CLIENTS

            await migration.plan(retry=True)
            await migration.run()
            if ledger is not None:
                await settle(ledger)
            await migration.finish()
            left = {number: body for _, papers in done for number, body in papers.items()}
            async with sessions() as session:
                papers = list(await session.scalars(select(Paper)))
            assert len(papers) == len(left) + 20
            for paper in papers:
                expected = left[paper.id] if paper.content is None else paper.content.encode()
                assert (paper.file.scheme, await paper.file.read()) == ("s3", expected)
            verified = await migration.verify(content=True)
            assert (verified.is_right, verified.unmoved, verified.unnamed) == (True, 0, ())
    await engine.dispose()
    forget_ledgers(Base.metadata)
