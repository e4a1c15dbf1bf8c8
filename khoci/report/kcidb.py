"""KCIDB, the kernel's common database of results. Pure.

The format is version 5.3 of the schema of ``kcidb-io``. A test there is of one build and a cell of
two kernels: ``build_id`` is the consumer's, as it is its reader that is tested, and the producer's
is in ``misc``. docs/reports.md has an example.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from khoci.report.model import CellKey, KernelInRun, Report, key_of
from khoci.report.outcome import Outcome, complaints, outcome, title, why
from khoci.results import CellResult

ORIGIN = "khoci"
VERSION = {"major": 5, "minor": 3}
_MOST_LOG = 16384
_NO_WORD = re.compile(r"[^a-zA-Z0-9_-]+")
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_ARCHITECTURE = "x86_64"
_STATUS = {
    Outcome.PASS: "PASS",
    Outcome.FAIL: "FAIL",
    Outcome.SKIP: "SKIP",
    Outcome.ERROR: "MISS",
}
"""There, ``ERROR`` means that the tested code kept the test from ending."""


def render(report: Report) -> str:
    """The whole report as one submission."""
    kernels = {kernel.name: kernel for kernel in report.kernels}
    tests = [_test(report, result, kernels) for result in report.results]
    data = {
        "version": VERSION,
        "checkouts": _each_once(_checkout(report, kernel) for kernel in report.kernels),
        "builds": _each_once(_build(kernel) for kernel in report.kernels),
        "tests": [*tests, *(_not_run(report, cell, kernels) for cell in report.missing)],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _each_once(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two kernels may be the same bytes under two names."""
    return list({item["id"]: item for item in items}.values())


def _checkout(report: Report, kernel: KernelInRun) -> dict[str, Any]:
    series = report.series
    message = {}
    if series and series.kernel == kernel.name and _ADDRESS.fullmatch(series.msgid):
        message = {"message_id": series.msgid, "comment": _plain(series.title)}
    return {
        "id": _id(kernel),
        "origin": ORIGIN,
        "git_commit_name": _plain(kernel.base or kernel.name),
        "valid": True,
        **message,
        "misc": {"kernel": kernel.name, "base": kernel.base, "patch": kernel.patch},
    }


def _build(kernel: KernelInRun) -> dict[str, Any]:
    return {
        "id": _id(kernel),
        "origin": ORIGIN,
        "checkout_id": _id(kernel),
        "architecture": _ARCHITECTURE,
        "comment": _plain(kernel.release or kernel.name),
        "status": "PASS" if kernel.key else "MISS",
        "misc": {"kernel": kernel.name},
    }


def _test(report: Report, result: CellResult, kernels: dict[str, KernelInRun]) -> dict[str, Any]:
    return {
        **_cell(report, key_of(result), kernels, outcome(report, result)),
        "duration": result.seconds,
        "log_excerpt": _excerpt([*complaints(report, result), *why(result)]),
        "misc": {
            **_producer(key_of(result), kernels),
            "verdict": result.verdict,
            "components": {name: each.verdict for name, each in result.components.items()},
            "predicted": {name: each.verdict for name, each in (result.prediction or {}).items()},
            "splats": list(result.splats),
            "reproduce": result.reproduce,
        },
    }


def _not_run(report: Report, cell: CellKey, kernels: dict[str, KernelInRun]) -> dict[str, Any]:
    return {**_cell(report, cell, kernels, Outcome.ERROR), "misc": _producer(cell, kernels)}


def _cell(
    report: Report, cell: CellKey, kernels: dict[str, KernelInRun], found: Outcome
) -> dict[str, Any]:
    """What every test has."""
    return {
        "id": f"{ORIGIN}:{_plain('/'.join((report.run, *filter(None, cell))))}",
        "origin": ORIGIN,
        "build_id": _id(kernels[cell[1]]),
        "path": ".".join((ORIGIN, _NO_WORD.sub("_", cell[2]), _NO_WORD.sub("_", cell[0]))),
        "comment": _plain(f"{cell[2]}: {title(cell)}"),
        "status": _STATUS[found],
        "environment": {"comment": f"QEMU ({report.accelerator or 'accelerator not known'})"},
        **({"start_time": report.began} if report.began else {}),
    }


def _producer(cell: CellKey, kernels: dict[str, KernelInRun]) -> dict[str, Any]:
    return {"producer": cell[0], "producer_build_id": _id(kernels[cell[0]]), "fault": cell[3]}


def _id(kernel: KernelInRun) -> str:
    """Kernels of the same bytes have the same; one that nobody built is named."""
    return f"{ORIGIN}:{_plain(kernel.key or kernel.name)}"


def _excerpt(lines: Iterable[str]) -> str:
    return _plain("\n".join(lines))[:_MOST_LOG]


def _plain(text: str) -> str:
    return text.replace("\0", "?")
