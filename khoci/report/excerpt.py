"""The few lines of a kernel's log that matter. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from khoci.report.model import Excerpt

MOST = 60
"""Lines of an excerpt."""
_BEFORE = 12
_LONGEST = 400
"""Characters of a line."""


def around(log: str, wanted: Iterable[str], most: int = MOST) -> Excerpt:
    """The lines from a little before the first wanted one on; without any, the last ones.

    Args:
        log: a whole log, as a guest wrote it.
        wanted: lines, without the space around them.
        most: so many lines at most.
    """
    lines = log.splitlines()
    matter = {line.strip() for line in wanted} - {""}
    found = [at for at, line in enumerate(lines) if line.strip() in matter]
    latest = max(0, len(lines) - most)
    first = min(max(0, found[0] - _BEFORE), latest) if found else latest
    part = lines[first : first + most]
    return Excerpt(
        lines=tuple(map(shown, part)),
        first=first + 1,
        total=len(lines),
        marked=tuple(at - first for at in found if at < first + len(part)),
    )


def shown(line: str) -> str:
    """The line without what a terminal would obey, and not longer than anybody reads."""
    plain = "".join(char if char.isprintable() else "?" for char in line.replace("\t", " "))
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
