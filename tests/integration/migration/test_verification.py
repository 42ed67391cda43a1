"""Rows and files are compared, and what differs is named."""

from sqlalchemy import select

from tests.support.moving import Album, Paper


async def ids(app):
    async with app.sessions() as session:
        return [file.file_id for file in await session.scalars(select(Paper.file).order_by(Paper.id))]


async def test_all_is_right_after_a_move(app, papers, move):
    await papers("a", "b")
    async with app.sessions.begin() as session:
        session.add(Album(files=await ids(app)))
    assert (await app.migration.verify()).unmoved == 4
    await move()
    verified = await app.migration.verify(content=True)
    assert (verified.rows, verified.right, verified.unmoved, verified.is_right) == (3, 4, 0, True)
    assert (verified.objects, verified.unnamed) == (2, ())


async def test_what_is_missing_wrong_or_unknown_is_named(app, papers, move):
    await papers("a", "b", "c")
    await move()
    first, second, third = await ids(app)
    await app.target.delete(first)
    await app.target.upload(b"B", second)
    await app.target.upload(b"much more", third)
    await app.target.upload(b"nobody's", "nobody's.txt")
    verified = await app.migration.verify(content=True)
    assert (verified.missing, set(verified.wrong)) == ((first,), {second, third})
    assert "9 bytes, not 1" in verified.wrong[third]
    assert verified.unnamed == ("mem:nobody's.txt",)
    assert not verified.is_right


async def test_a_copy_that_is_lost_keeps_its_old_file(app, papers, move, present):
    await papers("a", "b")
    await move()
    first, _ = await ids(app)
    await app.target.delete(first)
    finished = await app.migration.finish()
    assert (finished.deleted, finished.failed) == (1, 1)
    assert await present(app.source) == ["a.txt"]
    assert (await app.migration.rollback([first])).undone == 1
