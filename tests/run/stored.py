"""A run on disk, made of committed captures of real kernels."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from khoci.compat.plan import Cell
from khoci.config.matrix import GuestConfig
from khoci.results import CellResult, Evidence, Judgement, SeriesInRun
from khoci.run.folder import RunFolder, new_run
from khoci.run.matrix import Plan
from khoci.verdicts import Verdict

OLD, NEW, SCENARIO = "v6.18.15", "v7.2.12", "kho-test"
CAPTURES = Path(__file__).parents[1] / "format" / "captures"
PLAN = Plan(
    kernels=(OLD, NEW),
    pairs="all",
    scenarios=(SCENARIO,),
    guest=GuestConfig(),
    matrix="default",
)
REFUSAL = "[    0.10] KHO: incompatible FDT version <kho-v1>"


def result(producer: str, consumer: str, verdict: Verdict) -> CellResult:
    judgement = Judgement(verdict, (Evidence("log", REFUSAL),))
    return CellResult(
        producer,
        consumer,
        SCENARIO,
        verdict,
        {"kho_test": judgement},
        details=_details(producer, consumer),
        reproduce=f"khoci cell run {producer} {consumer} {SCENARIO}",
    )


def store(run: RunFolder, found: CellResult, *, capture: str = "", log: str = "") -> CellResult:
    """Store a result with its evidence; ``capture`` is the name of a committed one."""
    name = Cell(found.producer, found.consumer, found.scenario, found.fault).name
    folder = run.evidence(name)
    files = {}
    if capture:
        shutil.copy(CAPTURES / f"{capture}.khocap", folder / "handover.khocap")
        files["handover.khocap"] = f"evidence/{name}/handover.khocap"
    if log:
        for side in ("producer", "consumer"):
            (folder / f"{side}.log").write_text(log)
            files[f"{side}.log"] = f"evidence/{name}/{side}.log"
    stored = replace(found, files=files)
    run.store(name, stored)
    return stored


def begin(parent: Path, plan: Plan = PLAN) -> RunFolder:
    return new_run(parent / "runs", plan.to_json())


def whole(parent: Path) -> RunFolder:
    """All cells of `PLAN`: upwards it is refused, all else is restored."""
    run = begin(parent)
    for cell in PLAN.cells:
        verdict = Verdict.REFUSED if cell.pair == (OLD, NEW) else Verdict.RESTORED
        capture = f"{cell.producer}-{SCENARIO}"
        store(run, result(*cell.pair, verdict), capture=capture, log=f"hello\n{REFUSAL}\nbye\n")
    return run


def around_series() -> Plan:
    """The plan of a series on the newer kernel."""
    series = SeriesInRun(
        label="kho-words:v1",
        title="kho: say it better",
        msgid="1@example.org",
        kernel="kho-words-v1",
        base=NEW,
        changed={"kho-words-v1": NEW},
        patches={"kho-words-v1": "1/1 kho: say it better"},
    )
    kernels = (OLD, NEW, series.kernel)
    return replace(PLAN, kernels=kernels, series=series, only=((series.kernel, OLD), (NEW, OLD)))


def _details(producer: str, consumer: str) -> dict[str, Any]:
    return {
        "khoci": "0.1.0",
        "accelerator": "tcg",
        "kernels": {
            "producer": {"release": producer.removeprefix("v"), "key": f"key of {producer}"},
            "consumer": {"release": consumer.removeprefix("v"), "key": f"key of {consumer}"},
        },
        "handover": {"scratch": [[16 << 20, 8 << 20]]},
        "consumer": {"scratch": [[16 << 20, 8 << 20]]},
        "regions": [
            {"owner": "root", "start": 1 << 20, "size": 4096, "fate": {"kept": 4096}},
            {
                "owner": "kho_test",
                "start": 2 << 20,
                "size": 1 << 20,
                "fate": {"lost": 8, "kept": 9},
            },
        ],
        "phases": [{"name": "boot", "start": 0.0, "seconds": 1.5}],
    }
