"""What a kernel's log says, by the patterns of ``matrix/loglines.toml``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from khoci.compat.facts import Facts
from khoci.config.loglines import Pattern, Patterns, default_file, load_patterns
from khoci.results import CellResult


@cache
def shipped() -> Patterns:
    """The patterns that are used when none are given, read once.

    Raises:
        UsageError: the user's own file is wrong.
    """
    return load_patterns(default_file())


@dataclass(frozen=True)
class Log:
    """A kernel's log, and the patterns it is read by."""

    text: str
    patterns: Patterns

    def find(self, component: str, meaning: str, name: str = "") -> re.Match[str] | None:
        """The first line of a component with this meaning.

        Args:
            component: empty for what tells of the whole kernel.
            meaning: as of the patterns.
            name: which one of the component; a pattern that names none means them all.
        """
        wanted = [
            item.regex
            for item in self.patterns
            if item.component == component and item.meaning == meaning
        ]
        found = (match for line in _lines(self.text) for match in _matches(wanted, line))
        return next((match for match in found if _is_of(match, name)), None)

    def line(self, component: str, meaning: str, name: str = "") -> str | None:
        """The whole line that `find` finds."""
        match = self.find(component, meaning, name)
        return match.string if match else None

    def each(self, meaning: str) -> list[str]:
        """For each pattern with this meaning, in their order, the first line that it finds."""
        wanted = (item.regex for item in self.patterns if item.meaning == meaning)
        return [line for line in (find(regex, self.text) for regex in wanted) if line]


def _matches(wanted: Iterable[re.Pattern[str]], line: str) -> Iterator[re.Match[str]]:
    return (match for match in (regex.search(line) for regex in wanted) if match)


def _is_of(match: re.Match[str], name: str) -> bool:
    return not name or match.groupdict().get("name") in (None, name)


def _lines(log: str) -> Iterator[str]:
    return (line.strip() for line in log.splitlines())


def find(pattern: re.Pattern[str], log: str) -> str | None:
    """The first whole line of ``log`` that matches, without the space around it."""
    return next((line for line in _lines(log) if pattern.search(line)), None)


def last_line(log: str) -> str:
    """The last line that has any text."""
    return next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")


def splats(log: str, patterns: Patterns | None = None) -> tuple[str, ...]:
    """All lines that begin a warning, bug or stall report."""
    regexes = splat_regexes(shipped() if patterns is None else patterns)
    return tuple(line for line in _lines(log) if any(regex.search(line) for regex in regexes))


def splat_regexes(patterns: Patterns) -> list[re.Pattern[str]]:
    """What begins a report of a kernel that warns or stumbles."""
    return [item.regex for item in patterns if item.meaning == "splat"]


def matched(patterns: Patterns, facts: Facts) -> tuple[str, ...]:
    """The names of the patterns that a cell's logs show, each on its own side."""
    return tuple(item.name for item in patterns if any(_shown(item, log) for log in _logs(facts)))


def _logs(facts: Facts) -> tuple[tuple[str, str], ...]:
    return (("producer", facts.producer_log), ("consumer", facts.consumer_log))


def _shown(pattern: Pattern, log: tuple[str, str]) -> bool:
    side, text = log
    return pattern.side in (side, "either") and find(pattern.regex, text) is not None


def never_matched(
    patterns: Patterns, results: Iterable[CellResult], releases: Collection[str]
) -> list[str]:
    """The patterns that no result shows, though one of ``releases`` prints them.

    Those that are rare are left out. On a full matrix of these releases each of them is wrong, or
    guards against what does not happen.
    """
    seen = {name for result in results for name in result.matched}
    return [
        pattern.name
        for pattern in patterns
        if not pattern.rare
        and pattern.name not in seen
        and any(pattern.printed_by(release) for release in releases)
    ]
