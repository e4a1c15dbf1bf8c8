"""A report as JSON, for programs; its schema is published. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import resources
from typing import Any

from khoci.report.model import CellKey, Report, key_of
from khoci.report.outcome import outcome
from khoci.results import SCHEMA as RESULT_SCHEMA
from khoci.results import CellResult
from khoci.rundiff import Change

SCHEMA = 1
"""Raised when a reader of older reports would misunderstand new ones; new keys alone do not."""


def render(report: Report) -> str:
    """The report as one JSON document."""
    return json.dumps(plain(report), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON schema of `render`."""
    text = resources.files("khoci.report").joinpath("schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def plain(report: Report) -> dict[str, Any]:
    """The report as plain JSON values."""
    return {
        "schema": SCHEMA,
        "run": report.run,
        "matrix": report.matrix,
        "began": report.began or None,
        "khoci": report.khoci or None,
        "accelerator": report.accelerator or None,
        "guest": dict(report.guest),
        "kernels": [asdict(kernel) for kernel in report.kernels],
        "scenarios": list(report.scenarios),
        "verdicts": dict(Counter(str(each.verdict) for each in report.results)),
        "cells": [_cell(report, each) for each in report.results],
        "missing": [_key(cell) for cell in report.missing],
        "violations": [{**_key(each.cell), "text": each.text} for each in report.violations],
        "known": _known(report.known),
        "series": asdict(report.series) if report.series else None,
        "against": report.against or None,
        "changes": [_change(report, each) for each in report.changes],
    }


def _cell(report: Report, result: CellResult) -> dict[str, Any]:
    """A result as it is stored, and what it is for a CI."""
    stored = result.to_json()
    stored.pop("schema")
    agreement = result.agreement
    return {
        "outcome": outcome(report, result),
        "result_schema": RESULT_SCHEMA,
        **stored,
        "as_predicted": all(agreement.values()) if agreement else None,
    }


def _key(cell: CellKey) -> dict[str, str]:
    names = ("producer", "consumer", "scenario", "fault")
    return dict(zip(names, cell, strict=True))


def _known(known: Mapping[str, Iterable[CellResult]]) -> list[dict[str, Any]]:
    return [
        {"reason": reason, "cells": [_key(key_of(cell)) for cell in cells]}
        for reason, cells in known.items()
    ]


def _change(report: Report, change: Change) -> dict[str, Any]:
    cell = change.cell
    causes = report.causes.get((cell.producer, cell.consumer, cell.scenario), ())
    return {**change.to_json(), "causes": list(causes)}
