"""Stored files without await."""

import pytest

from async_storages import FileNotFoundException, InvalidArgumentException, LocalStorage, StoredFile, StoredImage
from tests.support.images import encode


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path / "files", base_url="http://files.example", secret_key="secret")


def test_all_that_a_file_can_do(storage, tmp_path):
    file = storage.sync.save(b"hello", "hello.txt").sync
    assert (file.read(), file.open().read(), file.get_size(), file.exists()) == (b"hello", b"hello", 5, True)
    assert list(file.stream(1, 3, chunk_size=2)) == [b"el", b"l"]
    assert file.download_to(tmp_path / "copy.txt") == 5
    assert file.get_path().startswith("http://files.example/")
    assert "signature" in file.get_presigned_url(60) or "token" in file.get_presigned_url(60)
    file.upload(b"other")
    assert file.get_info().file_size == 5
    file.delete()
    assert not file.exists()
    with pytest.raises(FileNotFoundException):
        file.read()


def test_an_image(storage):
    stored = storage.sync.save(encode("PNG", (3, 2)), "dot.png")
    assert StoredImage.of(stored).sync.get_dimensions() == (3, 2)


async def test_within_a_running_event_loop(storage):
    stored = StoredFile("file:nothing.txt", storage)
    with pytest.raises(InvalidArgumentException, match="event loop"):
        stored.sync.read()
    with pytest.raises(InvalidArgumentException, match="event loop"):
        next(stored.sync.stream())


def test_how_it_shows_itself(storage):
    assert repr(StoredFile("file:a.txt", storage).sync) == "<StoredFile 'file:a.txt'>.sync"
