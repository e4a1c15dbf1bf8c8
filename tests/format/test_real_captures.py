"""Captures of real kernels, committed in ``captures/``, against what they say is expected.

The extra key ``expect`` of each has ``family``, ``version`` and ``reserve_mem`` (sizes in bytes by
region name). Those of ``luo`` have ``sessions``: by name, the files that the guest was told to
preserve. Those of 6.16 to 6.19 are files of version 1, but for ``luo``; of their time are the
``problems`` that they expect, when the layout of one map was not certain: now all are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from khoci.format import capture
from khoci.format.components import Component
from khoci.format.handover import Handover, decode, lost, orphans, owners
from khoci.format.memfd import Memfd
from khoci.format.ranges import Range

FOLDER = Path(__file__).parent / "captures"
CAPTURES = sorted(FOLDER.glob("*.khocap"))


def loaded(path: Path) -> tuple[Handover, dict[str, Any]]:
    found = capture.load(path)
    return decode(found.pages, found.fdt_addr, scratch=found.scratch), found.extra["expect"]


def test_there_are_captures() -> None:
    assert CAPTURES, f"no *.khocap in {FOLDER}"


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_decodes_as_its_manifest_expects(path: Path) -> None:
    handover, expect = loaded(path)
    regions = handover.reserve_mem.regions if handover.reserve_mem else ()
    assert handover.problems == ()
    assert handover.family == expect["family"]
    assert str(handover.version) == expect["version"]
    assert {region.name: region.size for region in regions} == expect["reserve_mem"]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_map_holds_the_root_page(path: Path) -> None:
    handover, _ = loaded(path)
    assert handover.fdt_addr is not None
    assert handover.map.blocks.extents.covers(Range(handover.fdt_addr, 4096))
    assert "root" in {owner for _, owner in owners(handover)}


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_block_has_an_owner_and_nothing_is_lost(path: Path) -> None:
    handover, _ = loaded(path)
    assert list(orphans(handover)) == []
    assert lost(handover) == {}


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_the_layout_of_every_map_is_certain(path: Path) -> None:
    decision = loaded(path)[0].map.decision
    assert decision is None or decision.sure


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*-luo.khocap")), ids=lambda path: path.stem)
def test_every_file_of_every_session_is_the_one_that_was_preserved(path: Path) -> None:
    handover, expect = loaded(path)
    (luo,) = (item for item in handover.components if item.name == "luo")
    sessions = {item.label: files(item) for item in luo.children if item.name == "session"}
    if path.stem < "v7.1":  # memfd-v1 has no place for them
        for told in expect["sessions"].values():
            told[:] = [{**file, "seals": 0} for file in told]
    assert sessions == expect["sessions"]
    assert sum(map(len, sessions.values())) >= 187


def files(session: Component) -> list[dict[str, int]]:
    """What the guest was told of each file; seals are 0 where the version has none."""
    found = [(int(item.label, 16), item.value) for item in session.children if item.name == "memfd"]
    return [
        {"token": token, "size": file.size, "position": file.pos, "seals": file.seals or 0}
        for token, file in found
        if isinstance(file, Memfd)
    ]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_is_small(path: Path) -> None:
    assert path.stat().st_size < 100_000


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_says_where_it_comes_from(path: Path) -> None:
    found = capture.load(path)
    release, _, scenario = path.stem.removeprefix("v").partition("-")
    assert (found.producer.name, found.producer.release) == (f"v{release}", release)
    assert (found.scenario, found.khoci) == (scenario, "0.1.0")
    assert len(found.producer.key) == 64
    assert found.scratch is not None
