"""Warnings, bugs and stalls in the logs: which count, and whose they are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from khoci.compat.facts import Facts
from khoci.compat.loglines import Log, splat_regexes
from khoci.config.loglines import Patterns

_LONGEST = 80
_FUNCTION = re.compile(r"\b([A-Za-z_]\w*)(?:\.\w+)*\+0x[0-9a-f]+")
_END = re.compile(r"---\[ end ")
_CHANCE = re.compile(r"0x[0-9a-f]+|\d+")
_BLAME = (
    ("memfd_luo", "memfd"),
    ("luo_flb", "flb"),
    ("luo_session", "session"),
    ("luo_", "luo"),
    ("liveupdate_", "luo"),
    ("kho_block", "block"),
    ("kho_test", "kho_test"),
    ("reserve_mem", "reserve_mem"),
    ("reserved_mem", "reserve_mem"),
    ("kho_", "memory map"),
    ("deserialize_bitmap", "memory map"),
    ("memblock_", "memory map"),
)
"""How the names of a component's functions begin, without underscores in front."""


@dataclass(frozen=True)
class Splat:
    """One report.

    Attributes:
        side: in whose log it is.
        line: its first.
        functions: those it names, innermost first.
        usual: whether the other side says the same: then it is not of the handover.
    """

    side: str
    line: str
    functions: tuple[str, ...] = ()
    usual: bool = False

    @property
    def component(self) -> str | None:
        """Whose code it was in; None if no function tells."""
        found = (_blamed(name) for name in self.functions)
        return next((component for component in found if component), None)


def counted(facts: Facts, patterns: Patterns) -> list[Splat]:
    """The reports of a cell: the consumer's, and the producer's since its user space began.

    Of a consumer that died there are none here: how it died says it already.
    """
    booted = {_kind(splat) for splat in _reports("producer", facts.producer_log, patterns)}
    consumer = [] if facts.end else _reports("consumer", facts.consumer_log, patterns)
    seen = {_kind(splat) for splat in consumer}
    own = _reports("producer", _since_ready(facts.producer_log, patterns), patterns)
    pairs = ((consumer, booted), (own, seen))
    return [
        Splat(splat.side, splat.line, splat.functions, usual=_kind(splat) in other)
        for splats, other in pairs
        for splat in splats
    ]


def _since_ready(log: str, patterns: Patterns) -> str:
    line = Log(log, patterns).line("", "ready")
    return log.partition(line)[2] if line else ""


def _reports(side: str, log: str, patterns: Patterns) -> list[Splat]:
    regexes = splat_regexes(patterns)
    lines = [line.strip() for line in log.splitlines()]
    starts = [at for at, line in enumerate(lines) if any(regex.search(line) for regex in regexes)]
    ends = [*starts[1:], len(lines)]
    return [
        Splat(side, lines[start], tuple(_functions(lines[start : min(end, start + _LONGEST)])))
        for start, end in zip(starts, ends, strict=False)
    ]


def _functions(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if _END.search(line):
            return
        yield from _FUNCTION.findall(line)


def _kind(splat: Splat) -> str:
    """The same for what differs by chance only: addresses, CPUs, numbers of processes."""
    return _CHANCE.sub("#", splat.line)


def _blamed(function: str) -> str | None:
    name = function.lstrip("_")
    return next((component for prefix, component in _BLAME if name.startswith(prefix)), None)
