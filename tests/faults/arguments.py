"""Arguments of the programs that kill processes for as long as somebody lets them."""

import argparse
import logging
from random import SystemRandom


def parsed(prog, doc, kinds):
    """The options, and the names of the kinds of places that are chosen; the library logs errors alone."""
    parser = argparse.ArgumentParser(prog=prog, description=doc.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="at least so many, beyond one at each step")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="", help="the kinds of places whose names contain this")
    options = parser.parse_args()
    chosen = [name for name in kinds if options.only in name]
    if not chosen:
        parser.error(f"no kind contains {options.only!r}: {', '.join(kinds)}")
    logging.getLogger("async_storages").setLevel(logging.ERROR)
    return options, chosen
