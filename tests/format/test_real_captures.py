"""Captures of real kernels, committed in ``captures/``, against what their manifest expects.

``manifest`` of each: ``fdt_addr`` (int), ``scratch`` (hex, optional), and ``expect`` with
``family``, ``version``, ``reserve_mem`` (sizes in bytes by region name), and where there are any,
the messages of the ``problems``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from khoci.format import capture
from khoci.format.handover import Handover, decode, owners
from khoci.format.ranges import Range, covers, merge

FOLDER = Path(__file__).parent / "captures"
CAPTURES = sorted(FOLDER.glob("*.khocap"))


def loaded(path: Path) -> tuple[Handover, dict[str, Any]]:
    pages, manifest = capture.load(path)
    raw = manifest.get("scratch")
    scratch = bytes.fromhex(raw) if raw else None
    return decode(pages, manifest["fdt_addr"], scratch=scratch), manifest["expect"]


def test_there_are_captures() -> None:
    assert CAPTURES, f"no *.khocap in {FOLDER}"


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_decodes_as_its_manifest_expects(path: Path) -> None:
    handover, expect = loaded(path)
    regions = handover.reserve_mem.regions if handover.reserve_mem else ()
    assert [item.message for item in handover.problems] == expect.get("problems", [])
    assert handover.family == expect["family"]
    assert str(handover.version) == expect["version"]
    assert {region.name: region.size for region in regions} == expect["reserve_mem"]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_map_holds_the_root_page(path: Path) -> None:
    handover, _ = loaded(path)
    preserved = merge(block.range for block in handover.blocks)
    assert covers(preserved, Range(handover.fdt_addr, 4096))
    assert "root" in {owner for _, owner in owners(handover)}


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_is_small(path: Path) -> None:
    assert path.stat().st_size < 100_000
