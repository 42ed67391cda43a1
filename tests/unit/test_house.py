"""The tools that read the package see what they are to see: imports, docstrings, patches."""

import pytest

from tools.house import patches
from tools.package import Package

SHOP = {
    "__init__.py": "from shop.front.till import Till\n",
    "stock.py": """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from shop.front import till
        PRICE = 3
        'What it costs.'
        class Ware:
            'A thing.'
            weight: float = 1.0
            'Kilograms.'
            def sell(self):
                'Whether: it is sold.'
                'no docstring'
    """,
    "front/__init__.py": "",
    "front/till.py": "import shop.stock\nfrom shop.front import coins\nclass Till: ...\n",
    "front/coins.py": "def count():\n    from shop.stock import Ware\n",
}


@pytest.fixture
def shop(tmp_path):
    for name, text in SHOP.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix("        ") for line in text.splitlines()))
    return Package(tmp_path / "shop")


def test_imports_anywhere_are_arrows_but_for_those_of_type_checkers(shop):
    assert shop.arrows() == {("shop", "front"), ("front", "shop")}
    assert shop.imports("stock") == set()
    assert shop.arrows_within("front") == {"till": {"coins"}, "coins": set()}


def test_docstrings_are_those_of_modules_classes_functions_and_attributes(shop):
    found = [(doc.place, doc.first_word) for doc in shop.docstrings()]
    assert found == [
        ("shop/stock.py:6", "What"),
        ("shop/stock.py:8", "A"),
        ("shop/stock.py:10", "Kilograms"),
        ("shop/stock.py:12", "Whether"),
    ]


def test_patches_of_the_package_are_told_from_others(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(
        "from async_storages import events, registry\n"
        "def test(monkeypatch, storage):\n"
        "    monkeypatch.setattr(registry, '_storages', {})\n"
        "    monkeypatch.setattr('async_storages.content.crc32', None)\n"
        "    monkeypatch.setattr(storage._client, 'find', None)\n"
        "    monkeypatch.setattr(events, 'hooks', [])\n"
        "    monkeypatch.setattr(time, 'time', None)\n"
    )
    assert [(patch.target, patch.is_internal) for patch in patches(tmp_path)] == [
        ("registry._storages", True),
        ("async_storages.content.crc32", True),
        ("storage._client.find", True),
        ("events.hooks", False),
        ("time.time", False),
    ]
