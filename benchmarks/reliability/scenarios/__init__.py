"""What is done to rows and files, under the names of the design notes.

Row 1 of `Document` names a file already. A scenario suppresses the errors that it provokes, and no others.
"""

from benchmarks.reliability.scenarios import crashes, endings, neighbours, replacements, statements, trouble, unflushed
from benchmarks.reliability.scenarios.listing import Scenario

__all__ = ["SCENARIOS", "Scenario"]

SCENARIOS: dict[str, Scenario] = {
    **endings.SCENARIOS,
    **trouble.SCENARIOS,
    **replacements.SCENARIOS,
    **statements.SCENARIOS,
    **neighbours.SCENARIOS,
    **unflushed.SCENARIOS,
    **crashes.SCENARIOS,
}
