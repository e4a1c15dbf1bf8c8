"""What differs between two runs, in words; at most 75 columns. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from khoci.report.grid import QUIET, deciding
from khoci.results import CellResult
from khoci.rundiff import Change, Kind

WIDTH = 75
_MOST_EVIDENCE = 2

Causes = Mapping[tuple[str, str, str], Sequence[str]]
"""Lines by producer, consumer and scenario."""


def render(changes: Sequence[Change], causes: Causes | None = None) -> str:
    """The changes by kind, worst first, and how many there are of each.

    Cells that are new or gone are counted by scenario; of the new ones those that are not right are
    told like a regression. ``causes`` has lines for some cells.
    """
    lines = [line for kind in Kind for line in _of_kind(kind, changes, causes or {})]
    counts = [(sum(item.kind is kind for item in changes), kind) for kind in Kind]
    total = ", ".join(f"{count} {kind}" for count, kind in counts if count)
    return "\n".join((*lines, total or "nothing changed", ""))


def _of_kind(kind: Kind, changes: Sequence[Change], causes: Causes) -> Iterator[str]:
    mine = [change for change in changes if change.kind is kind]
    if not mine:
        return
    yield from (kind.upper(), "")
    for change in (item for item in mine if not _is_brief(item)):
        yield from (*_told(change, causes), "")
    brief = _counted([item for item in mine if _is_brief(item)])
    yield from (*brief, "") if brief else ()


def _is_brief(change: Change) -> bool:
    return change.kind is Kind.GONE or (change.kind is Kind.NEW and _word(change.after) in QUIET)


def _told(change: Change, causes: Causes) -> Iterator[str]:
    """One change: what it was and is, what in it, the proof, and the command."""
    cell = change.cell
    fault = f" with {cell.fault}" if cell.fault else ""
    what = f"{cell.producer} -> {cell.consumer} {cell.scenario}{fault}"
    yield from _wrapped(f"{what}: {_words(change)}", "")
    for cause in causes.get((cell.producer, cell.consumer, cell.scenario), ()):
        yield from _wrapped(cause, "  ")
    for line in _details(change):
        yield from _wrapped(line, "  ")
    if cell.reproduce:
        yield f"  {cell.reproduce}"


def _details(change: Change) -> Iterator[str]:
    for name, (was, now) in change.components.items():
        yield f"{name}: {was} -> {now}"
    gone, new = change.splats
    yield from (f"new in the log of the {line}" for line in new)
    yield from (f"gone from the log of the {line}" for line in gone)
    for name, agrees in change.predictions.items():
        yield f"{name} is {'as predicted now' if agrees else 'not as predicted any more'}"
    if change.kind in (Kind.REGRESSED, Kind.NEW):
        yield from _proof(change)


def _proof(change: Change) -> Iterator[str]:
    """What proves the worst of the components that got worse, or else the one that decides."""
    after = change.cell
    worse = {name: now for name, (was, now) in change.components.items() if now.rank > was.rank}
    decision = deciding(after)
    name = max(worse, key=lambda each: worse[each].rank) if worse else decision and decision[0]
    if name and name in after.components:
        proof = after.components[name].evidence[:_MOST_EVIDENCE]
        yield from (f"{name}: {item.text}" for item in proof)


def _counted(changes: Sequence[Change]) -> list[str]:
    """How many cells of each scenario came or went, by their words."""
    found: dict[str, dict[str, int]] = {}
    for change in changes:
        words = found.setdefault(change.cell.scenario, {})
        words[_words(change)] = words.get(_words(change), 0) + 1
    return [
        line
        for scenario, words in found.items()
        for word, count in words.items()
        for line in _wrapped(f"{scenario}: {count} {'cell' if count == 1 else 'cells'} {word}", "")
    ]


def _words(change: Change) -> str:
    before, after = _word(change.before), _word(change.after)
    return f"still {after}" if before == after else f"{before} -> {after}"


def _word(result: CellResult | None) -> str:
    return result.verdict if result else "not run"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )
