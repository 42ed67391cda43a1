"""Originals: let in or refused by their content, never by their name, before anything is decoded."""

import pytest

from async_storages import FileNotFoundException, InvalidFileTypeException
from async_storages.images.size import ImageSize
from async_storages.imaging.limits import ImageLimits
from async_storages.imaging.originals import inspected
from tests.support.images import HAS_AVIF, NO_IMAGES, SIZE, camera_jpeg, encode


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "gif", *(["avif"] if HAS_AVIF else [])])
def test_images_are_known_by_their_content(tmp_path, name):
    path = tmp_path / "image.svg"
    path.write_bytes(encode(name.upper()))
    original = inspected(path, ImageLimits())
    assert (original.format, original.size, original.content_type) == (name, ImageSize(*SIZE), f"image/{name}")


def test_formats_may_be_added_and_left_out(tmp_path):
    path = tmp_path / "image.jpg"
    path.write_bytes(encode("TIFF"))
    with pytest.raises(InvalidFileTypeException, match="image/tiff is not among the formats allowed: jpeg, png"):
        inspected(path, ImageLimits())
    assert inspected(path, ImageLimits(formats=["tiff"])).format == "tiff"
    path.write_bytes(encode("PNG"))
    with pytest.raises(InvalidFileTypeException, match="image/png is not among"):
        inspected(path, ImageLimits(formats=["tiff"]))


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_is_refused(tmp_path, name):
    path = tmp_path / "image.jpg"
    path.write_bytes(NO_IMAGES[name])
    with pytest.raises(InvalidFileTypeException, match="is not among the formats allowed"):
        inspected(path, ImageLimits())


def test_a_decoder_may_turn_the_image_itself(tmp_path):
    path = tmp_path / "image.jpg"
    path.write_bytes(camera_jpeg())
    original = inspected(path, ImageLimits())
    assert original.size == ImageSize(21, 37, orientation=6)
    assert original.turned().size == ImageSize(21, 37)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundException, match="the original cannot be read"):
        inspected(tmp_path / "nothing", ImageLimits())
    with pytest.raises(FileNotFoundException, match="Is a directory"):
        inspected(tmp_path, ImageLimits())
