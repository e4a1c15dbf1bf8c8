"""What sources say of each pair, beside what was predicted from captures and what was seen. Pure.

Sources tell what can go wrong with a component; whether it does depends on what is handed over. So
of all scenarios of a pair the worst counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from khoci.abi.formats import Manifest, Read, Reading, read_by
from khoci.results import CellResult
from khoci.verdicts import Verdict, worst

NOT_PLAIN = frozenset({"unfinalized", "kho-off", "crash", "empty"})
"""Scenarios in which nobody takes over what was written as usual."""

_USED_BY_OTHERS = frozenset({"vmalloc", "block"})
"""Components that are read by those whose data they hold."""

_GOOD = frozenset({Verdict.RESTORED, Verdict.ACCEPTED})
_DEAD = frozenset({Verdict.PANIC, Verdict.RESET, Verdict.HANG})
_BAD = _DEAD | {Verdict.CORRUPT, Verdict.DROPPED}
_FITS: Mapping[Reading, frozenset[Verdict]] = {
    Reading.UNDERSTOOD: _GOOD,
    Reading.REFUSED: frozenset({Verdict.REFUSED}),
    Reading.MISREAD: _BAD,
    Reading.NOBODY: frozenset({Verdict.DROPPED, Verdict.ACCEPTED, Verdict.REFUSED}),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A component of a pair.

    Attributes:
        producer: name of the kernel that hands over.
        consumer: name of the kernel that takes over.
        component: of the handover.
        static: what sources say.
        why: in words.
        predicted: the worst that was predicted, None if nothing was.
        observed: the worst that was seen.
        explained: why the sources' word and what was seen differ, empty if they do not, or if
            nobody knows.
    """

    producer: str
    consumer: str
    component: str
    static: Reading
    why: str
    predicted: Verdict | None
    observed: Verdict
    explained: str = ""

    @property
    def agrees(self) -> bool:
        """Whether what was seen is what sources say."""
        return self.observed in _FITS[self.static]


def agreement(results: Iterable[CellResult], manifests: Mapping[str, Manifest]) -> tuple[Row, ...]:
    """A row for each component of each pair whose kernels' ABI is known."""
    seen: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        pair = (result.producer, result.consumer)
        plain = result.scenario.partition(":")[0] not in NOT_PLAIN and not result.fault
        if plain and result.verdict is not Verdict.ERROR and {*pair} <= manifests.keys():
            seen.setdefault(pair, []).append(result)
    return tuple(
        row
        for (producer, consumer), cells in seen.items()
        for row in _rows(cells, read_by(manifests[producer], manifests[consumer]))
    )


def _rows(cells: list[CellResult], reads: tuple[Read, ...]) -> Iterable[Row]:
    misread = [read.component for read in reads if read.reading is Reading.MISREAD]
    refused = [read for read in reads if read.reading is Reading.REFUSED]
    unread = [read.component for read in reads if read.reading is Reading.NOBODY]
    for read in reads:
        observed = _seen(cells, read.component)
        if observed is Verdict.ABSENT:
            continue
        row = Row(
            producer=cells[0].producer,
            consumer=cells[0].consumer,
            component=read.component,
            static=read.reading,
            why=read.why,
            predicted=_predicted(cells, read.component),
            observed=observed,
        )
        if not row.agrees:
            row = replace(row, explained=_unread(row, unread) or _explained(row, misread, refused))
        yield row


def _seen(cells: list[CellResult], component: str) -> Verdict:
    return worst(
        judgement.verdict
        for cell in cells
        for name, judgement in cell.components.items()
        if _is(name, component)
    )


def _predicted(cells: list[CellResult], component: str) -> Verdict | None:
    found = [
        expected.verdict
        for cell in cells
        for name, expected in (cell.prediction or {}).items()
        if _is(name, component)
    ]
    return worst(found) if found else None


def _is(name: str, component: str) -> bool:
    return name == component or name.startswith((f"{component} ", f"{component}:"))


def _unread(row: Row, unread: list[str]) -> str:
    """Why a part of others was dropped: they are read by nobody."""
    if row.component in _USED_BY_OTHERS and row.observed is Verdict.DROPPED and unread:
        return f"nobody reads what it belongs to: {', '.join(unread)}"
    return ""


def _explained(row: Row, misread: list[str], refused: list[Read]) -> str:
    """Why a component was seen otherwise than sources say, empty if that is not known."""
    others = [of for of in misread if of != row.component]
    if row.static is Reading.UNDERSTOOD and row.observed in _BAD and others:
        died = "the machine dies" if row.observed in _DEAD else "it is lost"
        return f"{died} of what is misread: {', '.join(others)}"
    if row.static is Reading.MISREAD and row.observed in _GOOD:
        return "nothing that was handed over lies where the layouts differ"
    if row.static is Reading.REFUSED and row.observed in _DEAD and row.component != "root":
        own = next((read for read in refused if read.component == "root"), None)
        return "" if own else "its reader panics at a version that it does not know"
    if row.static is Reading.NOBODY and row.observed in _BAD and others:
        return f"and what would keep its memory is misread: {', '.join(others)}"
    if row.static is Reading.NOBODY and row.observed is Verdict.RESTORED:
        return "its memory is kept; nothing in it was asked for"
    return ""
