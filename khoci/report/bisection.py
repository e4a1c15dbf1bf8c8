"""What a bisection found, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from khoci.bisection import Bisection, Candidate, Change, Mark
from khoci.report.cell import component_lines
from khoci.results import CellResult
from khoci.rundiff import Change as Difference
from khoci.rundiff import Kind

_MANY = {"commit": "commits", "patch": "patches"}


def render(found: Bisection) -> str:
    """The change, the evidence of both sides of it, and what came of reverting it.

    Of the cells only the components are shown that are not the same on both sides.
    """
    lines = _one(found) if found.found else _several(found)
    return "\n".join((*lines, ""))


def _one(found: Bisection) -> Iterator[str]:
    change = found.suspects[0]
    yield f"{change.id} is the first bad {change.what}"
    yield from _change(change)
    yield from _sides(found)
    yield from _reverted(found)


def _several(found: Bisection) -> Iterator[str]:
    what = found.suspects[0].what
    yield f"There are only 'skip'ped {_MANY[what]} left to test."
    yield f"The first bad {what} could be any of:"
    for change in found.suspects:
        yield f"  {change.id} {change.subject}".rstrip()
    yield ""
    for tested in found.skipped:
        yield f"skipped {tested.kernel}: {tested.result.reason}"
    yield from _sides(found)


def _change(change: Change) -> Iterator[str]:
    named = {"Author": change.author, "Date": change.date}
    yield from (f"{name + ':':8}{value}" for name, value in named.items() if value)
    yield from ("", f"    {change.subject}")
    if change.link:
        yield from ("", f"    Link: {change.link}")


def _sides(found: Bisection) -> Iterator[str]:
    names = _different(found)
    yield from ("", f"good: {_cell(found.good.result)}", *_evidence(found.good, names))
    yield from ("", f"bad: {_cell(found.bad.result)}", *_evidence(found.bad, names))


def _reverted(found: Bisection) -> Iterator[str]:
    """What reverting proves."""
    reverted = found.reverted
    if reverted is None:
        return
    yield ""
    if reverted.tested is None or reverted.tested.mark is Mark.SKIP:
        yield f"Not verified by reverting it: {reverted.why}"
        return
    if reverted.tested.mark is Mark.GOOD:
        yield "Verified: with it reverted from the bad end, the cell is good again."
    else:
        yield "Still bad with it reverted from the bad end: another change breaks the cell too."
    yield f"reverted: {_cell(reverted.tested.result)}"
    yield from _evidence(reverted.tested, _different(found))


def _different(found: Bisection) -> list[str]:
    """The components that turned; all if none did alone."""
    good, bad = found.good.result, found.bad.result
    turned = Difference(Kind.REGRESSED, good, bad).components
    return list(turned or dict.fromkeys((*good.components, *bad.components)))


def _evidence(tested: Candidate, names: Iterable[str]) -> Iterator[str]:
    result = tested.result
    for name in names:
        if name in result.components:
            yield from component_lines(result, name)
        else:
            yield f"  {name}: not handed over"
    yield from (f"  splat in the log of the {line}" for line in result.splats)
    if result.reproduce:
        yield f"  run it again: {result.reproduce}"


def _cell(result: CellResult) -> str:
    return f"{result.producer} -> {result.consumer} {result.scenario}: {result.verdict}"
