"""The few lines of a kernel's log that matter. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from khoci.report.model import Excerpt, Gap

MOST = 60
"""Lines of an excerpt."""
_BEFORE = 12
_AFTER = 2
_LONGEST = 400
"""Characters of a line."""


def around(log: str, wanted: Iterable[str], most: int = MOST) -> Excerpt:
    """The lines from a little before the first wanted one on; without any, the last ones.

    Where the last wanted line is too far away for that, the middle is left out.

    Args:
        log: a whole log, as a guest wrote it.
        wanted: lines, without the space around them.
        most: so many lines at most.
    """
    lines = log.splitlines()
    matter = {line.strip() for line in wanted} - {""}
    found = [at for at, line in enumerate(lines) if line.strip() in matter]
    kept, gap = _kept(len(lines), _telling(lines, found), most)
    return Excerpt(
        lines=tuple(shown(lines[at]) for at in kept),
        first=kept[0] + 1 if kept else 1,
        total=len(lines),
        marked=tuple(place for place, at in enumerate(kept) if lines[at].strip() in matter),
        gap=gap,
    )


def _telling(lines: list[str], found: list[int]) -> list[int]:
    """Those that are in the log only once, if any: a line that comes again shows no place."""
    times = Counter(lines[at].strip() for at in found)
    return [at for at in found if times[lines[at].strip()] == 1] or found


def _kept(total: int, found: list[int], most: int) -> tuple[list[int], Gap | None]:
    """Which lines are shown, by index, and what is left out between them."""
    latest = max(0, total - most)
    first = min(max(0, found[0] - _BEFORE), latest) if found else latest
    whole = list(range(first, min(total, first + most)))
    if most <= _BEFORE or not found or found[-1] in whole:
        return whole, None
    end = min(total, found[-1] + 1 + _AFTER)
    tail = _tail(found, first, end, most)
    head = most - tail
    return [*whole[:head], *range(end - tail, end)], Gap(head, end - tail - whole[head])


def _tail(found: list[int], first: int, end: int, most: int) -> int:
    """How many lines are shown behind the widest stretch in which none is wanted."""
    before, after = max(pairwise(found), key=lambda pair: pair[1] - pair[0])
    room, needed = most - (before + 1 - first), end - after
    usual = most // 3
    return min(max(needed, usual), room) if room >= needed else usual


def shown(line: str) -> str:
    """The line without what a terminal would obey, and not longer than anybody reads."""
    plain = "".join(char if char.isprintable() else "?" for char in line.replace("\t", " "))
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
