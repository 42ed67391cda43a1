"""Rows and files of columns that hold lists."""

import pytest
from sqlalchemy import Column, delete, insert, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker

from async_storages import (
    FastDFSStorage,
    InvalidArgumentException,
    PendingFile,
    StorageManager,
    StorageModeConfig,
    StorageUnavailableException,
)
from async_storages.integrations.sqlalchemy import FileListType
from tests.support.documents import row_class
from tests.support.fastdfs import leaving
from tests.support.ledgers import only_level_1
from tests.support.managers import fastdfs_config, s3_config
from tests.support.tracked import Album, pending


@pytest.fixture
async def album(sessions, storage):
    """Row 1, whose pages are "a" and "b"."""
    async with sessions.begin() as session:
        session.add(Album(id=1, pages=[await storage.save(b"", "a"), await storage.save(b"", "b")]))


@pytest.fixture
def rows(sessions):
    """The ids of rows, and the names of their pages."""

    async def rows():
        async with sessions() as session:
            found = await session.execute(select(Album.id, Album.pages))
            return {id_: pages and [page.filename for page in pages] for id_, pages in found}

    return rows


def names(pages):
    return [page.filename for page in pages]


def assign(new):
    return lambda album: setattr(album, "pages", new(album.pages))


CHANGES = {  # what is done, and the pages afterwards
    "append": (lambda album: album.pages.append(pending("new")), ["a", "b", "new"]),
    "insert and remove": (lambda album: album.pages.insert(0, pending("new")) or album.pages.pop(1), ["new", "b"]),
    "remove": (lambda album: album.pages.remove(album.pages[0]), ["b"]),
    "reorder": (lambda album: album.pages.reverse(), ["b", "a"]),
    "repeat": (lambda album: album.pages.append(album.pages[0]), ["a", "b", "a"]),
    "slice": (lambda album: album.pages.__setitem__(slice(1), [pending("new"), pending("more")]), ["new", "more", "b"]),
    "replace all": (assign(lambda _: [pending("new")]), ["new"]),
    "a list made of the old one": (assign(lambda pages: [pending("new"), *pages[1:]]), ["new", "b"]),
    "empty": (assign(lambda _: []), []),
    "clear": (lambda album: album.pages.clear(), []),
    "None": (assign(lambda _: None), None),
}


class TestChanges:
    @pytest.mark.parametrize(("change", "after"), CHANGES.values(), ids=CHANGES.keys())
    async def test_rollback_and_commit(self, sessions, album, rows, left, change, after):
        async with sessions() as session:
            change(await session.get(Album, 1))
            await session.flush()
            await session.rollback()
            assert (await rows(), await left()) == ({1: ["a", "b"]}, {"a", "b"})
            change(await session.get(Album, 1))
            await session.commit()
        assert (await rows(), await left()) == ({1: after}, set(after or []))

    @pytest.mark.parametrize("name", ["slice", "None"])
    @pytest.mark.parametrize(
        ("inner", "outer"),
        [("commit", "commit"), ("commit", "rollback"), ("rollback", "commit")],
        ids=["released", "released, rolled back", "rolled back"],
    )
    async def test_savepoints(self, sessions, album, rows, left, name, inner, outer):
        change, after = CHANGES[name]
        async with sessions() as session:
            found = await session.get(Album, 1)
            savepoint = await session.begin_nested()
            change(found)
            await session.flush()
            await getattr(savepoint, inner)()
            await getattr(session, outer)()
        expected = after if (inner, outer) == ("commit", "commit") else ["a", "b"]
        assert (await rows(), await left()) == ({1: expected}, set(expected or []))


class TestTheListAtHand:
    """`pages = album.pages` may be kept for as long as the object's attributes are not expired."""

    async def test_before_and_after_a_flush(self, sessions, rows, left):
        async with sessions.begin() as session:
            session.add(album := Album(id=1, pages=[]))
            pages = album.pages
            pages.append(pending("1"))
            pages.append(pending("2"))
            await session.flush()
            assert (pages is album.pages, names(pages)) == (True, ["1", "2"])
            pages.append(pending("3"))
            await session.flush()
            pages.append(pending("4"))
        assert (await rows(), await left()) == ({1: ["1", "2", "3", "4"]}, {"1", "2", "3", "4"})

    async def test_after_a_commit_that_expires_nothing(self, engine, track, rows, left):
        async with track(async_sessionmaker(engine, expire_on_commit=False))() as session:
            session.add(album := Album(id=1, pages=[pending("1")]))
            await session.commit()
            album.pages.append(pending("2"))
            await session.commit()
            assert not session.dirty
        assert (await rows(), await left()) == ({1: ["1", "2"]}, {"1", "2"})

    async def test_one_that_no_flush_would_see_says_so(self, sessions, album, rows, left):
        async with sessions() as session:
            found = await session.get(Album, 1)
            pages = found.pages
            await session.commit()
            with pytest.raises(InvalidArgumentException, match=r"Album\.pages does not hold"):
                pages.append(pending("lost"))
            await session.refresh(found)
            with pytest.raises(InvalidArgumentException, match=r"Album\.pages does not hold"):
                pages += [pending("lost")]
            found.pages.append(pending("new"))
            await session.commit()
        assert (await rows(), await left()) == ({1: ["a", "b", "new"]}, {"a", "b", "new"})


class TestAgain:
    async def test_a_new_object_after_a_rollback(self, sessions, rows, left):
        """It holds its content again, and what it got in between, in the order that it has by now."""
        album = Album(id=1, pages=[pending("1")])
        pages = album.pages
        async with sessions() as session:
            session.add(album)
            await session.flush()
            pages.insert(0, pending("2"))
            await session.flush()
            pages.append(pending("3"))
            pages[1:] = pages[:0:-1]
            await session.rollback()
            assert [type(page) for page in pages] == [PendingFile] * 3
            session.add(album)
            await session.commit()
        assert (await rows(), await left()) == ({1: ["2", "3", "1"]}, {"1", "2", "3"})

    async def test_after_an_upload_that_failed(self, sessions, storage, rows, left):
        storage.refused = {"2"}
        album = Album(id=1, pages=[PendingFile(iter([b"1"]), "1"), pending("2")])
        async with sessions() as session:
            session.add(album)
            with pytest.raises(StorageUnavailableException):
                await session.flush()
            await session.rollback()
            assert await left() == set()
            storage.refused = set()
            album.pages[0] = pending("1")  # this content cannot be read again
            session.add(album)
            await session.commit()
        assert (await rows(), await left()) == ({1: ["1", "2"]}, {"1", "2"})


class TestOneFileSeveralTimes:
    async def test_in_one_list(self, sessions, storage, rows, left):
        same = await storage.save(b"", "same")
        async with sessions.begin() as session:
            session.add(Album(id=1, pages=[same, same, same]))
        for count in (2, 1, 0):
            async with sessions.begin() as session:
                album = await session.get(Album, 1)
                album.pages.pop()
            assert (await rows(), await left()) == ({1: ["same"] * count}, {"same"} if count else set())

    @pytest.mark.parametrize("flush", [True, False], ids=["two flushes", "one flush"])
    async def test_moved_to_another_row(self, sessions, album, rows, left, flush):
        async with sessions.begin() as session:
            session.add(Album(id=2, pages=[pending("c")]))
        async with sessions.begin() as session:
            first, second = await session.get(Album, 1), await session.get(Album, 2)
            second.pages.insert(0, first.pages.pop())
            if flush:
                await session.flush()
            first.pages.append(second.pages.pop())
        assert (await rows(), await left()) == ({1: ["a", "c"], 2: ["b"]}, {"a", "b", "c"})

    async def test_a_list_given_to_another_row_is_copied(self, sessions, album, rows):
        async with sessions.begin() as session:
            first = await session.get(Album, 1)
            session.add(second := Album(id=2, pages=first.pages))
            second.pages.pop()
        assert await rows() == {1: ["a", "b"], 2: ["a"]}

    async def test_in_two_rows_of_a_shared_column(self, sessions, storage, left):
        same = await storage.save(b"", "same")
        async with sessions.begin() as session:
            session.add_all([Album(id=1, shared=[same]), Album(id=2, shared=[pending("2"), same])])
        async with sessions.begin() as session:
            album = await session.get(Album, 2)
            album.shared.clear()
        assert await left() == {"same"}
        async with sessions.begin() as session:
            await session.delete(await session.get(Album, 1))
        assert await left() == set()


class TestManager:
    @pytest.mark.parametrize("level", [1], ids=["level 1"], indirect=True)
    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_hybrid(self, engine, track, s3_server, s3_bucket, fastdfs_server):
        """A list of files in several storages, new ones in S3: what leaves it is removed where it is."""
        async with (
            leaving(fastdfs_server, 1),
            StorageManager(
                StorageModeConfig(mode="hybrid"), s3_config(s3_server, s3_bucket), fastdfs_config(fastdfs_server)
            ) as manager,
        ):
            row = row_class(pages=Column(FileListType(manager)))
            async with engine.begin() as connection:
                await connection.run_sync(row.metadata.create_all)
            old = [await manager.fastdfs.upload_bytes(name, b"old") for name in ("1.txt", "2.txt")]
            async with track(async_sessionmaker(engine, expire_on_commit=False))() as session:
                session.add(album := row(id=1, pages=[*old, pending("3.txt")]))
                await session.commit()
                assert [page.scheme for page in album.pages] == ["fastdfs", "fastdfs", "s3"]
                album.pages[1:] = [*album.pages[:0:-1], pending("4.txt")]
                del album.pages[0]
                await session.commit()
                assert [await page.read() for page in album.pages] == [b"3.txt", b"old", b"4.txt"]
                dropped = album.pages.pop(0)
                await session.commit()
                assert not await dropped.exists()

    @only_level_1
    @pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
    async def test_fastdfs(self, track_metadata, fastdfs_server):
        """A storage with its own `save`."""
        async with leaving(fastdfs_server), FastDFSStorage(tracker_servers=[fastdfs_server.tracker]) as storage:
            row = row_class(pages=Column(FileListType(storage)))
            sessions, _ = await track_metadata(row.metadata)
            async with sessions() as session:
                session.add(row(id=1, pages=[pending("1.txt"), await storage.save(b"saved", "2.txt")]))
                await session.flush()


class TestTwoSessions:
    @pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
    async def test_the_list_of_the_last_one_wins_and_nothing_is_left(self, sessions, album, rows, left):
        async with sessions() as one, sessions() as other:
            first, second = await one.get(Album, 1), await other.get(Album, 1)
            first.pages.append(pending("1"))
            second.pages.append(pending("2"))
            await one.commit()
            await other.commit()
        assert (await rows(), await left()) == ({1: ["a", "b", "2"]}, {"a", "b", "2"})


class TestRows:
    async def test_delete(self, sessions, album, rows, left):
        async with sessions.begin() as session:
            await session.delete(await session.get(Album, 1))
        assert (await rows(), await left()) == ({}, set())

    async def test_kept(self, sessions, rows, left):
        async with sessions.begin() as session:
            session.add(album := Album(id=1, kept=[pending("1"), pending("2")]))
            await session.flush()
            album.kept.pop()
        assert await left() == {"1", "2"}

    @pytest.mark.parametrize("end", ["commit", "rollback"])
    async def test_an_expired_object(self, sessions, album, rows, left, end):
        """The files of the row are removed, not those that the session remembers."""
        async with sessions() as session:
            found = await session.get(Album, 1)
            await session.commit()
            found.pages = [pending("new")]
            await session.flush()
            await getattr(session, end)()
        after = ["new"] if end == "commit" else ["a", "b"]
        assert (await rows(), await left()) == ({1: after}, set(after))

    async def test_merge(self, sessions, album, rows, left):
        async with sessions() as session:
            detached = await session.get(Album, 1)
        detached.pages.append(pending("new"))
        async with sessions.begin() as session:
            merged = await session.merge(detached)
            merged.pages.append(pending("more"))
        assert (await rows(), await left()) == ({1: ["a", "b", "new", "more"]}, {"a", "b", "new", "more"})


class TestStatements:
    async def test_insert_update_delete(self, sessions, storage, rows, left):
        one, two = await storage.save(b"", "1"), await storage.save(b"", "2")
        async with sessions.begin() as session:
            await session.execute(insert(Album).values(id=1, pages=[one, one, two]))
        async with sessions.begin() as session:
            await session.execute(update(Album).values(pages=(two, two)))
        assert (await rows(), await left()) == ({1: ["2", "2"]}, {"2"})
        async with sessions.begin() as session:
            await session.execute(delete(Album).where(Album.pages.contains(two)))
        assert (await rows(), await left()) == ({}, set())

    @pytest.mark.parametrize("how", ["evaluate", "auto", "fetch"])
    async def test_objects_of_the_session_follow(self, sessions, album, storage, rows, left, how):
        async with sessions.begin() as session:
            found = await session.get(Album, 1)
            new = await storage.save(b"", "new")
            statement = update(Album).where(Album.pages == list(found.pages)).values(pages=[new.name])
            await session.execute(statement, execution_options={"synchronize_session": how})
            await session.refresh(found)
            found.pages.append(pending("more"))
        assert (await rows(), await left()) == ({1: ["new", "more"]}, {"new", "more"})

    async def test_content_is_refused(self, sessions, album, rows, left):
        async with sessions() as session:
            with pytest.raises(InvalidArgumentException, match="content can be assigned to an object"):
                await session.execute(update(Album).values(pages=[pending("new")]))
        assert (await rows(), await left()) == ({1: ["a", "b"]}, {"a", "b"})
