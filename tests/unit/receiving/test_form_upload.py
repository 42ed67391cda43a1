"""Values of a form by their fields; how forms are stored is in tests/integration."""

import pytest

from async_storages.receiving.form_upload import FormItems


def test_a_field_that_comes_several_times():
    items = FormItems([("photo", 1), ("title", 2), ("photo", 3)])
    assert (items["photo"], items.getlist("photo"), items.getlist("missing")) == (3, [1, 3], [])
    assert items.multi_items() == [("photo", 1), ("title", 2), ("photo", 3)]
    assert (list(items), len(items), "title" in items) == (["photo", "title"], 2, True)
    assert repr(items) == "FormItems([('photo', 1), ('title', 2), ('photo', 3)])"
    with pytest.raises(KeyError):
        items["missing"]
