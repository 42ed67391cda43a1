"""The package of `examples/api` is found as `make api` finds it."""

import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"

if str(EXAMPLES) not in sys.path:
    sys.path.append(str(EXAMPLES))
