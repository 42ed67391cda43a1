"""A sample of large matrices, for runs that everybody waits for; continuous integration runs them whole.

A module says ``pytestmark = pytest.mark.matrix``. Of each of its tests some cases run: the first one, and those that
the seed chooses. With ``pytest.mark.matrix("classes")`` the tests of one name in several classes are cases of one test,
such as those of a contract on several servers.
"""

import os
from random import Random

PART = 0.2


def is_whole(config):
    """Whether all cases run: in continuous integration, and when somebody names what is to run."""
    if hasattr(config, "workerinput"):  # a worker is always told by name what to run
        return config.workerinput["is_whole"]
    return bool(os.environ.get("CI")) or config.args_source.name == "ARGS" or bool(config.option.keyword)


def sampled(items, seed):
    """The items that run, and those that do not."""
    kept, left, begun = [], [], set()
    for item in items:
        marker = item.get_closest_marker("matrix")
        test = _test_of(item, marker)
        is_chosen = test not in begun or Random(f"{seed} {item.nodeid}").random() < PART
        begun.add(test)
        (kept if is_chosen or marker is None else left).append(item)
    return kept, left


def _test_of(item, marker):
    test = item.nodeid.partition("[")[0]
    if "classes" not in getattr(marker, "args", ()):
        return test
    file, *_, name = test.split("::")
    return f"{file}::{name}"
