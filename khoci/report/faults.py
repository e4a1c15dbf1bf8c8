"""How each kernel takes each fault: rows are faults, columns kernels. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from khoci.report.text import BRIEF_WORDS
from khoci.results import CellResult
from khoci.verdicts import MEANING, Verdict

_GAP = 1


def table(results: Sequence[CellResult], order: Sequence[str], summaries: Mapping[str, str]) -> str:
    """The table, what each fault is, and the meaning of the words.

    Args:
        results: of fault cells, each a kernel to itself.
        order: kernel names, oldest first.
        summaries: of the faults, in the order of the rows.
    """
    found = {(result.fault, result.producer): result for result in results}
    kernels = [name for name in order if any(key[1] == name for key in found)]
    faults = [name for name in summaries if any(key[0] == name for key in found)]
    label = max((len(name) for name in (*faults, "fault")), default=0)
    heads = [name.removeprefix("v") for name in kernels]
    lines = [_line("fault", heads, label)]
    for fault in faults:
        cells = [found.get((fault, kernel)) for kernel in kernels]
        lines.append(_line(fault, [_word(cell) for cell in cells], label))
    lines += ["", *(f"{name:<{label}} {summaries[name]}" for name in faults), ""]
    return "\n".join((*lines, *_legend(results), ""))


def _word(result: CellResult | None) -> str:
    return BRIEF_WORDS[result.verdict] if result else ""


def _line(label: str, cells: Sequence[str], width: int) -> str:
    column = max(map(len, BRIEF_WORDS.values())) + _GAP
    return f"{label:<{width}} {''.join(f'{cell:<{column}}' for cell in cells)}".rstrip()


def _legend(results: Sequence[CellResult]) -> list[str]:
    used = {result.verdict for result in results}
    return [
        f"  {BRIEF_WORDS[verdict]:<9} {_meaning(verdict)}" for verdict in Verdict if verdict in used
    ]


def _meaning(verdict: Verdict) -> str:
    if verdict is Verdict.ABSENT:
        return "this kernel hands over nothing that could be broken so"
    if verdict is Verdict.RESTORED:
        return "taken over as if nothing were wrong, content as it was written"
    return MEANING[verdict]
