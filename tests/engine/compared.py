"""Results of two runs, without what differs between any two boots of the same kernels.

That is times, and where the guest's own allocator puts things: addresses, and with them the digests
of what holds addresses. Two local runs differ in these too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CHANCE = re.compile(r"\b(?:0x[0-9a-f]{5,64}|[0-9a-f]{8,64})\b")
_REGION = ("owner", "size", "fate")


def found_in(run: Path) -> dict[str, str]:
    """What each cell of a run found, as canonical JSON by the cell's name."""
    return {path.stem: _canonical(json.loads(path.read_text())) for path in run.glob("*.json")}


def _canonical(result: dict[str, Any]) -> str:
    details = dict(result["details"])
    if details:
        details["phases"] = [each["name"] for each in details["phases"]]
        details["regions"] = sorted(map(_region, details["regions"]))
        details["misread"] = len(details["misread"])
    plain = {**result, "seconds": 0, "details": details}
    return without_addresses(json.dumps(plain, sort_keys=True))


def without_addresses(text: str) -> str:
    """A text in which no two boots differ by where something lies, or by the digest of that."""
    return _CHANCE.sub("#", text)


def _region(region: Mapping[str, Any]) -> str:
    return json.dumps([region.get(name) for name in _REGION])


def verdicts_in(run: Path) -> dict[str, str]:
    """What each cell of a run ended with, by component, with the prediction and the versions."""
    results = {path.stem: json.loads(path.read_text()) for path in run.glob("*.json")}
    return {name: json.dumps(_verdicts(result)) for name, result in results.items()}


def _verdicts(result: dict[str, Any]) -> list[Any]:
    components = {name: each["verdict"] for name, each in sorted(result["components"].items())}
    expected = {name: each["verdict"] for name, each in (result["prediction"] or {}).items()}
    return [result["verdict"], components, sorted(expected.items()), result["versions"]]
