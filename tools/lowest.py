"""Print the lower bounds of the package's dependencies, extras included, as exact pins for `pip --constraint`."""

import re
import tomllib
from itertools import chain
from pathlib import Path

_LEFT_OUT = {"boto3"}  # the tests need aioboto3, which needs a later one

_LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)(\[.*\])?>=(?P<version>[^,;\s]+)")


def main() -> None:
    """Read pyproject.toml beside this folder."""
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]
    requirements = chain(project["dependencies"], *project["optional-dependencies"].values())
    found = [bound for requirement in requirements if (bound := _LOWER_BOUND.match(requirement))]
    pins = {f"{bound['name']}=={bound['version']}" for bound in found if bound["name"] not in _LEFT_OUT}
    print("\n".join(sorted(pins)))


if __name__ == "__main__":
    main()
