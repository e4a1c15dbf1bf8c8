"""What `khoci cost` tells: plain text, Markdown with pictures beside it, one page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from khoci.costs import KernelCost
from khoci.report.costsvg import plots
from khoci.report.costtables import Table, failures, tables
from khoci.report.csp import asset, policy
from khoci.report.markdown import escaped
from khoci.report.templates import rendered

_LEGEND = """\
A block is a folio that is preserved, of 4K or 2M: side by side, or 1/N: one of N that could be.
finalize: asked for by user space; load: of the next kernel, waited for only where it has to come
after that; freeze: what the kernel does by itself before it shuts down; jump: from then to where
the next kernel reads its command line; early boot: from there to its first initcall. Numbers are
guest instructions, counted by QEMU, unless they have another unit. A blackout, all that a virtual
machine waits for, is only called shorter if it is so by more than one wait for a tick."""


def text(costs: Sequence[KernelCost]) -> str:
    """Tables for a terminal."""
    parts = ["\n".join((table.title, "", *_aligned(table))) for table in tables(costs)]
    return "\n\n".join((*parts, _LEGEND, *failures(costs))) + "\n"


def markdown(costs: Sequence[KernelCost]) -> str:
    """Tables for a comment or a document."""
    return "\n".join((*_markdown(costs), ""))


def files(costs: Sequence[KernelCost], templates: Path | None = None) -> Mapping[str, str]:
    """What a folder of it has: Markdown, its pictures, and a page with all of it, by name."""
    pictures = plots(costs)
    shown = [f"![{_title(name)}]({name})" for name in pictures]
    style = asset(rendered("page.css", templates))
    page = rendered(
        "cost.html.j2",
        templates,
        policy=policy(style),
        style=Markup(style),  # noqa: S704  (ours)
        kernels=[cost.kernel for cost in costs],
        tables=tables(costs),
        pictures=[Markup(each) for each in pictures.values()],  # noqa: S704  (escaped inside)
        legend=_LEGEND,
        failures=failures(costs),
    )
    with_pictures = "\n".join((*_markdown(costs), "", "\n\n".join(shown), ""))
    return {**pictures, "cost.md": with_pictures, "cost.html": page}


def _title(name: str) -> str:
    return name.removesuffix(".svg").replace("-", " ")


def _aligned(table: Table) -> Iterable[str]:
    lines = (table.heads, *table.rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = (f"{word:>{width}}" for word, width in zip(others, widths[1:], strict=True))
        yield f"{first:<{widths[0]}}  {'  '.join(cells)}".rstrip()


def _markdown(costs: Sequence[KernelCost]) -> list[str]:
    lines: list[str] = []
    for table in tables(costs):
        rule = "| --- |" + " ---: |" * (len(table.heads) - 1)
        lines += ["", f"**{escaped(table.title)}**", "", _row(table.heads), rule]
        lines += map(_row, table.rows)
    lines += ["", *_LEGEND.splitlines()]
    for line in failures(costs):
        lines += ["", escaped(line)]
    return lines[1:]


def _row(words: Sequence[str]) -> str:
    return f"| {' | '.join(map(escaped, words))} |"
