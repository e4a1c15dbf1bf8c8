"""A prediction as a table: component, verdict, reason. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from khoci.results import Expected
from khoci.verdicts import Verdict

_LEAST = 24
_VERDICT = max(map(len, Verdict))


def describe(
    consumer: str, verdict: Verdict, prediction: Mapping[str, Expected], width: int
) -> str:
    """The table for one consumer, in lines of ``width`` characters where that is possible."""
    label = max(map(len, prediction), default=0)
    lines, above = [f"{consumer}: {verdict}"], ""
    for name, expected in prediction.items():
        head = f"  {name:<{label}}  {expected.verdict:<{_VERDICT}}  "
        reason = "as above" if expected.reason == above else expected.reason
        room = max(width - len(head), _LEAST)
        lines += _row(head, textwrap.wrap(reason, room, break_on_hyphens=False))
        above = expected.reason
    return "\n".join((*lines, ""))


def _row(head: str, texts: list[str]) -> list[str]:
    first, *rest = texts or [""]
    return [f"{head}{first}".rstrip(), *(" " * len(head) + text for text in rest)]
