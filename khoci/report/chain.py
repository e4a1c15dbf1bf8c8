"""A chain as a table: components down, hops across. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from khoci.report.grid import QUIET, deciding
from khoci.results import CellResult, ChainResult

WIDTH = 75
_LABEL = max(map(len, ("live update number", "kexec-metadata")))
_COLUMN = 9
_ACROSS = (WIDTH - _LABEL) // (_COLUMN + 1)
_NONE = "-"


def table(chain: ChainResult) -> str:
    """The chain's verdicts by hop, the two counters, and what needs words."""
    lines = [f"{chain.scenario}: {_path(chain)}", ""]
    for first in range(0, len(chain.hops), _ACROSS):
        lines += [*_grid(chain, slice(first, first + _ACROSS)), ""]
    lines += _notes(chain)
    left = len(chain.kernels) - 1 - len(chain.hops)
    if left:
        lines.append(f"hops that were not reached: {left}")
    return "\n".join((*lines, f"run it again: {chain.hops[0].reproduce}", ""))


def _path(chain: ChainResult) -> str:
    kernels = [name.removeprefix("v") for name in chain.kernels]
    if len(set(kernels)) == 1:
        return f"{kernels[0]} to itself, {len(kernels) - 1} hops"
    return " -> ".join(kernels)


def _grid(chain: ChainResult, part: slice) -> Iterator[str]:
    hops = chain.hops[part]
    numbers = range(part.start + 1, part.start + 1 + len(hops))
    yield _row("hop", [str(number) for number in numbers])
    yield _row("from", [hop.producer for hop in hops])
    yield _row("to", [hop.consumer for hop in hops])
    for name in _components(chain.hops):
        yield _row(name, [_word(hop, name) for hop in hops])
    yield _row("kexec count", [_count(item) for item in chain.kexecs[part]])
    yield _row("live update number", [_count(item) for item in chain.numbers[part]])


def _components(hops: Sequence[CellResult]) -> list[str]:
    return list(dict.fromkeys(name for hop in hops for name in hop.components))


def _word(hop: CellResult, name: str) -> str:
    judgement = hop.components.get(name)
    if judgement is None:
        return _NONE
    return judgement.verdict if judgement.verdict in QUIET else judgement.verdict.upper()


def _count(number: int | None) -> str:
    return _NONE if number is None else str(number)


def _row(label: str, words: Sequence[str]) -> str:
    return f"{label:<{_LABEL}}{''.join(f' {word:<{_COLUMN}}' for word in words)}".rstrip()


def _notes(chain: ChainResult) -> Iterator[str]:
    for number, hop in enumerate(chain.hops, 1):
        found = deciding(hop)
        if found and hop.verdict not in QUIET:
            name, judgement = found
            yield f"hop {number}, {hop.verdict.upper()}:"
            for item in judgement.evidence[:3]:
                yield from textwrap.wrap(f"  {name}: {item.text}", WIDTH, subsequent_indent="    ")
        yield from (f"hop {number}, splat in the log of the {line}" for line in hop.splats)
    yield from chain.problems
