"""What the page shows of a cell when it is opened. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from khoci.report.grid import notable
from khoci.report.model import CellEvidence, CellKey, Excerpt, Report, key_of
from khoci.report.ramsvg import memory_svg
from khoci.report.timeline import timeline_svg
from khoci.results import CellResult

MOST_EVIDENCE = 12 << 20
"""Bytes of logs, trees and pictures in one page; cells that need words come first."""


def page_data(report: Report) -> dict[str, Any]:
    """The data of the page; texts that several cells have are there once, and named by number."""
    texts = _Texts()
    looked_up = _evidence(report, texts)
    forbidden = _by_cell((each.cell, each.text) for each in report.violations)
    known = _by_cell(
        (key_of(cell), reason) for reason, cells in report.known.items() for cell in cells
    )
    cells = [
        {
            **_cell(result),
            "forbidden": forbidden.get(key_of(result), []),
            "known": known.get(key_of(result), []),
            "evidence": looked_up.get(key_of(result)),
        }
        for result in report.results
    ]
    return {"run": report.run, "cells": cells, "texts": texts.all}


class _Texts:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.size = 0

    @property
    def all(self) -> list[str]:
        """The texts in the order of their numbers."""
        return list(self._numbers)

    def number(self, text: str) -> int:
        """That of a text, which is added if it is not there."""
        if text not in self._numbers:
            self._numbers[text] = len(self._numbers)
            self.size += len(text)
        return self._numbers[text]


def _evidence(report: Report, texts: _Texts) -> dict[CellKey, dict[str, Any]]:
    """The evidence of cells, as long as there is room; of those that need words first."""
    first = notable(report.results)
    named = {key_of(result) for result in first}
    rest = [result for result in report.results if key_of(result) not in named]
    found: dict[CellKey, dict[str, Any]] = {}
    size = 0
    for result in (*first, *rest):
        if size + texts.size > MOST_EVIDENCE:
            break
        plain = _plain(result, report.evidence(result), texts)
        size += len(json.dumps(plain))
        found[key_of(result)] = plain
    return found


def _plain(result: CellResult, evidence: CellEvidence, texts: _Texts) -> dict[str, Any]:
    name = f"{result.producer} to {result.consumer}, {result.scenario}"
    memory = memory_svg(evidence.memory, f"guest memory, {name}") if evidence.memory else ""
    return {
        "producer": _log(evidence.producer_log),
        "consumer": _log(evidence.consumer_log),
        "before": texts.number(evidence.before) if evidence.before else None,
        "after": texts.number(evidence.after) if evidence.after else None,
        "memory": texts.number(memory) if memory else None,
        "time": texts.number(timeline_svg(evidence.phases)) if evidence.phases else None,
        "notes": list(evidence.notes),
    }


def _log(excerpt: Excerpt) -> dict[str, Any] | None:
    if not excerpt.lines:
        return None
    return {
        "first": excerpt.first,
        "total": excerpt.total,
        "lines": list(excerpt.lines),
        "marked": list(excerpt.marked),
        "gap": asdict(excerpt.gap) if excerpt.gap else None,
    }


def _cell(result: CellResult) -> dict[str, Any]:
    agreement = result.agreement
    return {
        "producer": result.producer,
        "consumer": result.consumer,
        "scenario": result.scenario,
        "fault": result.fault,
        "verdict": result.verdict,
        "components": [
            {
                "name": name,
                "verdict": judgement.verdict,
                "proof": [[item.kind, item.text] for item in judgement.evidence],
                "predicted": str(expected)
                if (expected := (result.prediction or {}).get(name))
                else "",
                "agrees": agreement.get(name),
                "versions": _versions(result, name),
            }
            for name, judgement in result.components.items()
        ],
        "splats": list(result.splats),
        "memory": {owner: _met(fate) for owner, fate in result.memory.items() if _met(fate)},
        "reproduce": result.reproduce,
        "seconds": result.seconds,
        "retries": list(result.retries),
        "joint": list(result.joint),
    }


def _versions(result: CellResult, name: str) -> str:
    found = result.versions.get(name)
    if found is None:
        return ""
    wanted = f", {found.understood} understood" if found.understood is not None else ""
    return f"{found.handed} handed over{wanted}"


def _met(fate: Mapping[str, int]) -> dict[str, int]:
    return {name.replace("_", " "): size for name, size in fate.items() if size}


def _by_cell(pairs: Iterable[tuple[CellKey, str]]) -> dict[CellKey, list[str]]:
    found: dict[CellKey, list[str]] = {}
    for cell, text in pairs:
        found.setdefault(cell, []).append(text)
    return found
