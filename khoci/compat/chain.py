"""From a chain of kernels to what became of each component, hop by hop."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from khoci.compat.bench import Bench, route
from khoci.compat.counters import wrong_counts
from khoci.compat.judged import judged
from khoci.compat.observe import Observed, observe
from khoci.compat.plan import Cell
from khoci.errors import HarnessError
from khoci.results import CellResult, ChainResult, Evidence, Judgement
from khoci.scenario.base import NotPossibleError
from khoci.verdicts import Verdict


async def run_chain(
    bench: Bench, kernels: Sequence[str], scenario: str, folder: Path
) -> ChainResult:
    """Run a chain and judge each hop; a failure of the harness is a result too.

    Args:
        bench: what all chains share.
        kernels: names, two or more.
        scenario: what travels.
        folder: for logs and captures; it exists.
    """
    try:
        way = await asyncio.to_thread(route, bench, kernels, [bench.scenarios[scenario]], folder)
        observed = await observe(way)
    except NotPossibleError as error:
        return _without_hops(kernels, scenario, Verdict.ABSENT, str(error))
    except HarnessError as error:
        return _without_hops(kernels, scenario, Verdict.ERROR, str(error))
    hops = await asyncio.to_thread(_hops, bench, kernels, scenario, observed, way.hop_folder)
    handed = [facts.handed for facts in observed.hops]
    return ChainResult(
        kernels=tuple(kernels),
        scenario=scenario,
        hops=hops,
        kexecs=tuple(item.kexecs if item else None for item in handed),
        numbers=tuple(item.luo_number if item else None for item in handed),
        problems=tuple(wrong_counts(observed.hops)),
    )


def reproduce(kernels: Sequence[str], scenario: str) -> str:
    """The command that runs the chain again."""
    return shlex.join(["khoci", "chain", "run", *kernels, "--scenarios", scenario])


def _hops(
    bench: Bench,
    kernels: Sequence[str],
    scenario: str,
    observed: Observed,
    folder_of: Callable[[int], Path],
) -> tuple[CellResult, ...]:
    results = []
    for number, (facts, pair) in enumerate(zip(observed.hops, pairwise(kernels), strict=False)):
        result = judged(bench, Cell(*pair, scenario), facts, folder_of(number))
        results.append(replace(result, reproduce=reproduce(kernels, scenario)))
    return tuple(results)


def _without_hops(
    kernels: Sequence[str], scenario: str, verdict: Verdict, text: str
) -> ChainResult:
    """A chain that did not begin: its first hop says why."""
    evidence = Evidence("harness" if verdict is Verdict.ERROR else "guest", text)
    hop = CellResult(
        producer=kernels[0],
        consumer=kernels[1],
        scenario=scenario,
        verdict=verdict,
        components={"root": Judgement(verdict, (evidence,))},
        reproduce=reproduce(kernels, scenario),
    )
    return ChainResult(tuple(kernels), scenario, (hop,))
