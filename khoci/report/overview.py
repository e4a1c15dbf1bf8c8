"""A run at a glance: its kernels, and what its pairs ended with. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from khoci.report.model import KernelInRun, Report
from khoci.report.text import WIDTH, counts, heading
from khoci.results import CellResult
from khoci.verdicts import Verdict

_KEY = 12
"""Characters of a kernel's key that tell it from all others."""


def overview(report: Report) -> str:
    """The run, its kernels, a line or more for each pair, worst verdicts first, and the policy."""
    parts = [
        [heading(report), counts(report.results)],
        list(_kernels(report)),
        [line for pair in _pairs(report) for line in pair],
        [line for each in report.violations for line in _wrapped(f"policy: {each}", 2)],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if any(lines)) + "\n"


def _kernels(report: Report) -> Iterator[str]:
    width = max((len(kernel.name) for kernel in report.kernels), default=0)
    for kernel in report.kernels:
        yield f"{kernel.name:<{width}}  {_identity(kernel)}".rstrip()


def _identity(kernel: KernelInRun) -> str:
    told = (
        kernel.release,
        kernel.key and f"key {kernel.key[:_KEY]}",
        kernel.base and f"{kernel.base} with patches",
    )
    return ", ".join(filter(None, told))


def _pairs(report: Report) -> Iterator[list[str]]:
    pairs: dict[tuple[str, str], list[CellResult]] = {}
    for result in report.results:
        pairs.setdefault((result.producer, result.consumer), []).append(result)
    width = max((len(_arrow(*pair)) for pair in pairs), default=0)
    for pair, results in pairs.items():
        yield _wrapped(f"{_arrow(*pair):<{width}}  {_ended(results)}", 4)


def _arrow(producer: str, consumer: str) -> str:
    return f"{producer} -> {consumer}"


def _ended(results: list[CellResult]) -> str:
    """``panic kho-test; restored memfd, empty``, worst first."""
    each = [
        (verdict, [_named(result) for result in results if result.verdict is verdict])
        for verdict in reversed(Verdict)
    ]
    return "; ".join(f"{verdict} {', '.join(names)}" for verdict, names in each if names)


def _named(result: CellResult) -> str:
    return result.scenario + (f" with {result.fault}" if result.fault else "")


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)
