"""From what was seen of one handover to the result of its cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from khoci import __version__
from khoci.abi.patched import known_of
from khoci.compat import loglines
from khoci.compat.atjump import CAPTURE
from khoci.compat.bench import Bench, watched
from khoci.compat.facts import Facts
from khoci.compat.memory import fates, memory_of
from khoci.compat.outlook import ConsumerTraits
from khoci.compat.plan import Cell
from khoci.compat.predict import Prediction, predict, unreadable
from khoci.compat.splats import counted
from khoci.compat.verdict import cell_verdict, judge
from khoci.compat.versions import renamed, versions
from khoci.config.abi import Abi
from khoci.format import capture
from khoci.format.errors import DecodeError
from khoci.format.handover import decode
from khoci.results import CellResult
from khoci.scenario.base import Scenario


def judged(bench: Bench, cell: Cell, facts: Facts, folder: Path) -> CellResult:
    """The result of a cell, with what was predicted from the capture in ``folder``.

    Args:
        bench: what all cells share.
        cell: whose scenario was in the boot, maybe with others.
        facts: of the handover.
        folder: of its capture.
    """
    scenario = bench.scenarios[cell.scenario]
    own = _of_scenario(facts, scenario)
    producer, consumer = _abi(bench, cell.producer), _abi(bench, cell.consumer)
    judgements = judge(own, (*scenario.components, *renamed(own, producer)))
    expected = _prediction(bench, cell, (producer, consumer), folder / CAPTURE)
    return CellResult(
        producer=cell.producer,
        consumer=cell.consumer,
        scenario=cell.scenario,
        verdict=cell_verdict(judgements),
        components=judgements,
        splats=_splats(own),
        details=_details(bench, cell, own),
        prediction=expected and {name: expected[name] for name in judgements if name in expected},
        versions=versions(own, consumer),
        matched=loglines.matched(loglines.shipped(), own),
        memory={owner: asdict(fate) for owner, fate in fates(own).items()},
    )


def _of_scenario(facts: Facts, scenario: Scenario) -> Facts:
    """The facts without what other scenarios of the boot found."""
    consumer = facts.consumer
    if consumer is not None:
        checked = tuple(item for item in consumer.checked if item.scenario == scenario.name)
        consumer = replace(consumer, checked=checked)
    return replace(facts, scenario=scenario.name, consumer=consumer)


def _abi(bench: Bench, name: str) -> Abi | None:
    return bench.releases.find_for(name, bench.kernels[name].release)


def _prediction(
    bench: Bench, cell: Cell, sides: tuple[Abi | None, Abi | None], file: Path
) -> Prediction | None:
    """What was to be expected by the capture alone; None where nobody can tell."""
    producer, consumer = sides
    if consumer is None or cell.fault or not file.exists():
        return None
    kept, scenario = capture.load(file), bench.scenarios[cell.scenario]
    traits = ConsumerTraits(
        watched(bench.kernels[cell.consumer]),
        kho="kho=off" not in scenario.consumer_cmdline.split(),
        crash=scenario.crash,
    )
    try:
        handover = decode(
            kept.pages,
            kept.fdt_addr,
            scratch=kept.scratch,
            page_shift=kept.page_shift,
            known=known_of(producer),
        )
    except DecodeError as error:
        return unreadable(str(error), scenario.components)
    return predict(kept.pages, handover, consumer, traits, scenario.components, producer)


def _splats(facts: Facts) -> tuple[str, ...]:
    """What warned or stumbled, but for what a kernel does at every boot."""
    found = counted(facts, loglines.shipped())
    return tuple(f"{splat.side}: {splat.line}" for splat in found if not splat.usual)


def _details(bench: Bench, cell: Cell, facts: Facts) -> dict[str, Any]:
    kernels = {"producer": bench.kernels[cell.producer], "consumer": bench.kernels[cell.consumer]}
    scenario = bench.scenarios[cell.scenario]
    return {
        "khoci": __version__,
        "kernels": {
            side: {"release": kernel.release, "key": kernel.key} for side, kernel in kernels.items()
        },
        "accelerator": bench.accelerator.name,
        "guest": {**asdict(bench.guest), **_given(asdict(scenario.shape))},
        "handover": asdict(facts.handed) if facts.handed else None,
        "consumer": asdict(facts.consumer) if facts.consumer else None,
        "end": {"how": facts.end.how, "detail": facts.end.detail} if facts.end else None,
        "regions": _regions(facts),
        "phases": [asdict(phase) for phase in facts.phases],
        "misread": [asdict(region) for region in facts.misread],
    }


def _regions(facts: Facts) -> list[dict[str, Any]]:
    """What was seen of each region, with the bytes of each fate that a part of it met."""
    memory = memory_of(facts)
    return [
        {**asdict(region), "fate": {name: size for name, size in asdict(fate).items() if size}}
        for region, fate in ((region, memory.fate(region)) for region in facts.regions)
    ]


def _given(shape: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shape.items() if value is not None}
