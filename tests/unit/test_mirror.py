"""The tests mirror the package: who looks for the tests of a module finds them by its name, or in a short list."""

import pytest

from tools.mirror import RUN_BY, run_by, untested
from tools.package import ROOT

UNTESTED = untested()


def test_every_module_has_tests_of_its_name_or_is_run_by_others():
    missing = [module for module in UNTESTED if not run_by(module)]
    assert not missing, "give them tests of their names, or say in tools/mirror.py which tests run them"


@pytest.mark.parametrize("pattern", RUN_BY)
def test_a_pattern_of_the_list_is_needed(pattern):
    assert pattern in {run_by(module) for module in UNTESTED}, "it fits no module, or only such as have tests"


@pytest.mark.parametrize("tests", sorted(set(RUN_BY.values())))
def test_the_tests_that_the_list_names_exist(tests):
    assert (ROOT / "tests" / tests).exists()
