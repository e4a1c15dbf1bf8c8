"""What differs between two runs, or two kernels of one run. Pure; knows results only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from khoci.results import CellResult
from khoci.verdicts import Verdict

_CHANCE = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")
_UNJUDGED = (Verdict.ABSENT, Verdict.ERROR)
_JUDGED = len(_UNJUDGED)


class Kind(StrEnum):
    """How a cell changed.

    ``new`` and ``gone`` cells were judged in one run only: in the other they were not run, absent,
    or the harness failed. A cell is ``changed`` if none of its verdicts is better or worse: it was
    predicted otherwise, or has other components.
    """

    REGRESSED = "regressed"
    FIXED = "fixed"
    CHANGED = "changed"
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True)
class Change:
    """One cell that is not what it was.

    Attributes:
        kind: how it changed.
        before: its result in the first run, None if there is none.
        after: the same of the second run.
    """

    kind: Kind
    before: CellResult | None
    after: CellResult | None

    @property
    def cell(self) -> CellResult:
        """One of both, for the names."""
        found = self.after or self.before
        assert found is not None  # noqa: S101  (there is no change of nothing)
        return found

    @property
    def components(self) -> dict[str, tuple[Verdict, Verdict]]:
        """The verdicts of each component that has another one."""
        return _components(self.before, self.after)

    @property
    def splats(self) -> tuple[list[str], list[str]]:
        """First lines of reports that are there no more, and that were not there."""
        before, after = (result.splats if result else () for result in (self.before, self.after))
        return _missing(before, after), _missing(after, before)

    @property
    def predictions(self) -> dict[str, bool]:
        """Components with the same verdict: whether it is as predicted now, and was not before."""
        return _predictions(self.before, self.after)

    def to_json(self) -> dict[str, Any]:
        """The change as plain JSON values."""
        gone, new = self.splats
        return {
            "kind": self.kind,
            "producer": self.cell.producer,
            "consumer": self.cell.consumer,
            "scenario": self.cell.scenario,
            "fault": self.cell.fault,
            "before": self.before and self.before.verdict,
            "after": self.after and self.after.verdict,
            "components": {name: list(words) for name, words in self.components.items()},
            "splats": {"gone": gone, "new": new},
            "as predicted": self.predictions,
            "reproduce": self.cell.reproduce,
        }


def compare(
    before: Iterable[CellResult], after: Iterable[CellResult], order: Sequence[str]
) -> list[Change]:
    """The cells that are not the same in both runs, by kind, scenario and pair.

    Args:
        before: results of the first run.
        after: of the second.
        order: kernel names, oldest first.
    """
    old, new = ({_cell(result): result for result in run} for run in (before, after))
    pairs = [(old.get(cell), new.get(cell)) for cell in old | new]
    found = [Change(kind, *pair) for pair in pairs if (kind := _kind(*pair))]
    return sorted(found, key=lambda change: _position(change, order))


def against(
    results: Iterable[CellResult], changed: Mapping[str, str], order: Sequence[str]
) -> list[Change]:
    """What kernels do otherwise than those they were made of, worst first.

    A cell in which a changed kernel hands over to the one it was made of, or the other way round,
    is held against the one where that one hands over to itself. One that is absent now was lost:
    it regressed.

    Args:
        results: of one run.
        changed: what each kernel was made of, by its name.
        order: kernel names, oldest first.
    """
    run = list(results)
    found = [
        replace(change, kind=Kind.REGRESSED) if _is_lost(change) else change
        for kernel, made_of in changed.items()
        for change in compare(*_sides(run, kernel, made_of), order)
    ]
    return sorted(found, key=lambda change: (list(Kind).index(change.kind), -_rank(change)))


def _sides(
    run: Iterable[CellResult], kernel: str, made_of: str
) -> tuple[list[CellResult], list[CellResult]]:
    """The cells with the changed kernel, and before them those without it under their names."""
    by_pair = {(result.producer, result.consumer, _what(result)): result for result in run}
    before, after = [], []
    for (producer, consumer, what), result in by_pair.items():
        if kernel in (producer, consumer):
            after.append(result)
            old, new = (made_of if name == kernel else name for name in (producer, consumer))
            if was := by_pair.get((old, new, what)):
                before.append(replace(was, producer=producer, consumer=consumer))
    return before, after


def _is_lost(change: Change) -> bool:
    return (
        change.kind is Kind.GONE
        and change.after is not None
        and change.after.verdict is Verdict.ABSENT
        and _verdict(change.before) is not Verdict.ERROR
    )


def _what(result: CellResult) -> tuple[str, str]:
    return result.scenario, result.fault


def _rank(change: Change) -> int:
    return _verdict(change.after).rank


def _cell(result: CellResult) -> tuple[str, str, str, str]:
    return result.scenario, result.producer, result.consumer, result.fault


def _position(change: Change, order: Sequence[str]) -> tuple[int, str, int, int, str]:
    cell, kinds = change.cell, list(Kind)
    pair = (_age(cell.producer, order), _age(cell.consumer, order))
    return (kinds.index(change.kind), cell.scenario, *pair, cell.fault)


def _age(kernel: str, order: Sequence[str]) -> int:
    """The place in ``order``; that of an unknown one is the last."""
    return order.index(kernel) if kernel in order else len(order)


def _kind(before: CellResult | None, after: CellResult | None) -> Kind | None:
    was, now = _verdict(before), _verdict(after)
    if _seen(was) != _seen(now):
        return Kind.NEW if _seen(now) > _seen(was) else Kind.GONE
    if was is not now:
        return Kind.REGRESSED if now.rank > was.rank else Kind.FIXED
    return _inside(Change(Kind.CHANGED, before, after)) if _seen(now) == _JUDGED else None


def _inside(change: Change) -> Kind | None:
    """What became of a cell whose verdict hides what changed in it."""
    steps = [
        now.rank - was.rank for was, now in change.components.values() if _comparable(was, now)
    ]
    gone, new = change.splats
    if new or any(step > 0 for step in steps):
        return Kind.REGRESSED
    if gone or steps:
        return Kind.FIXED
    return Kind.CHANGED if change.components or change.predictions else None


def _comparable(was: Verdict, now: Verdict) -> bool:
    return Verdict.ABSENT not in (was, now)


def _seen(verdict: Verdict) -> int:
    """How much is known of a cell: nothing, that it could not be run, or all."""
    return _UNJUDGED.index(verdict) if verdict in _UNJUDGED else _JUDGED


def _verdict(result: CellResult | None) -> Verdict:
    return result.verdict if result else Verdict.ABSENT


def _components(
    before: CellResult | None, after: CellResult | None
) -> dict[str, tuple[Verdict, Verdict]]:
    if before is None or after is None:
        return {}
    names = dict.fromkeys((*after.components, *before.components))
    both = {name: (_of(before, name), _of(after, name)) for name in names}
    return {name: (was, now) for name, (was, now) in both.items() if was is not now}


def _of(result: CellResult, component: str) -> Verdict:
    judgement = result.components.get(component)
    return judgement.verdict if judgement else Verdict.ABSENT


def _missing(lines: Iterable[str], others: Iterable[str]) -> list[str]:
    """The lines that are not among the others; numbers and addresses do not matter."""
    known = {_CHANCE.sub("#", line) for line in others}
    return [line for line in lines if _CHANCE.sub("#", line) not in known]


def _predictions(before: CellResult | None, after: CellResult | None) -> dict[str, bool]:
    if before is None or after is None:
        return {}
    changed = _components(before, after)
    was, now = before.agreement, after.agreement
    return {
        name: agrees
        for name, agrees in now.items()
        if name not in changed and was.get(name, agrees) is not agrees
    }
