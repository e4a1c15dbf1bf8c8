"""From facts to one verdict a component. Pure.

``rules`` is the table: for each component its rules in order, of which the first that holds
decides. ``conditions`` and ``content`` say when one holds, and prove it. ``judging`` goes through
the table, and lowers what a warning in a log casts doubt on.
"""

from __future__ import annotations

from khoci.compat.verdict.conditions import death
from khoci.compat.verdict.judging import cell_verdict, judge, judge_one
from khoci.compat.verdict.rules import RULES

__all__ = ["RULES", "cell_verdict", "death", "judge", "judge_one"]
