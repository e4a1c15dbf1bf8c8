"""Live update sessions of every kind: to preserve them, and to check them on the other side.

``python -m tests.vm.luo FOLDER KERNEL...`` leaves a capture of each kernel: ``RELEASE-luo.ram``, a
sparse file of guest RAM at the jump, and ``RELEASE-luo.json``, which says what is in it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from khoci.format.ranges import Range
from khoci.guest.memfd import Memfd, Seal, descriptors
from khoci.guest.session import Agent
from khoci.scenario import preserving, retrieving
from khoci.scenario.base import Outcome
from khoci.scenario.sessions import DEVICE, Files, Preserved, Session
from khoci.vm.ram import GuestRam
from tests.vm.handovers import Handover, Standing, built, run

PAGE, MIB = 4096, 1 << 20


ONE_PAGE = Memfd(PAGE, seed=1)
HOLES = Memfd(MIB, seed=2, holes=(Range(0, 3 * PAGE), Range(5 * PAGE, PAGE), Range(65536, 500_000)))
SEALED = Memfd(
    5 * MIB + 123,
    seed=3,
    position=4711,
    seals=Seal.SHRINK | Seal.GROW | Seal.FUTURE_WRITE,
)
VARIETY = (
    Session("empty"),
    Session("vm-1", (Files(7, ONE_PAGE), Files(8, HOLES), Files(2**63 - 1, SEALED))),
    Session("n" * 63, (Files(0, Memfd(0, seed=4)),)),
    Session("größe", (Files(1, Memfd(1, seed=5, position=1 << 40)),)),
    Session("byte-\udce9", (Files(1, Memfd(8 * PAGE, holes=(Range(0, 8 * PAGE),))),)),
    Session("untouched", (Files(1, Memfd(8 * PAGE + 1, 6, (Range(0, 8 * PAGE),), allocate=True)),)),
    Session("", (Files(1, ONE_PAGE),)),
    Session("files", (Files(1000, Memfd(PAGE, seed=1000), 120),)),
    *(Session(f"many-{i}", (Files(1, Memfd(PAGE + 1, seed=7)),)) for i in range(60)),
)
"""What one guest preserves: more than a kho block of sessions, and of files in one of them."""


async def preserve(agent: Agent, wanted: Sequence[Session] = VARIETY) -> list[Session]:
    """Preserve all that the kernel takes; it may refuse names (EINVAL). Return what it took."""
    return [session for item in wanted for session in await _preserve(agent, item)]


async def _preserve(agent: Agent, item: Session) -> tuple[Session, ...]:
    preserved = await preserving.preserve(agent, [item])
    if preserved.refused.endswith("EINVAL") and not preserved.sessions:
        return ()
    assert preserved == Preserved((item,))
    return preserved.sessions


async def verify(agent: Agent, preserved: list[Session]) -> None:
    """Retrieve everything, compare it, finish and close."""
    found = await retrieving.verify(agent, Preserved(tuple(preserved)))
    assert [item for item in found.checked if item.outcome is not Outcome.SAME] == []
    assert len(found.checked) == len(preserved) + sum(len(_files(item)) for item in preserved)
    await retrieving.release(agent, found.held)


async def open_device(agent: Agent) -> int:
    return descriptors(await agent.command("open", path=DEVICE))[0]


def manifest(standing: Standing[list[Session]], release: str) -> dict[str, Any]:
    """What is in a capture, for who decodes it."""
    return {
        "release": release,
        "memory": standing.ram.size,
        "fdt_addr": standing.fdt_addr,
        "scratch": standing.scratch.hex() if standing.scratch else None,
        "sessions": [
            {"name": os.fsencode(name).hex(), "files": _files(item)}
            for item in standing.prepared
            for name in item.names
        ],
    }


def _files(item: Session) -> list[dict[str, Any]]:
    return [_file(token, memfd) for files in item.files for token, memfd in files.each]


def _file(token: int, memfd: Memfd) -> dict[str, Any]:
    return {
        "token": token,
        "size": memfd.size,
        "position": memfd.position,
        "seals": int(memfd.seals),
        "seed": memfd.seed,
        "holes": [[hole.start, hole.size] for hole in memfd.holes],
        "sha256": memfd.sha256(),
    }


def copy_ram(ram: GuestRam, target: Path) -> None:
    """Write a file in which guest-physical address is offset; a hole is what nobody touched."""
    with target.open("wb") as file:
        file.truncate(ram.ram[-1].end)
        for extent in ram.data():
            file.seek(extent.start)
            file.write(ram.read(extent.start, extent.size))


def _keep(folder: Path, release: str, standing: Standing[list[Session]]) -> None:
    copy_ram(standing.ram, folder / f"{release}-luo.ram")
    text = json.dumps(manifest(standing, release), indent=1)
    (folder / f"{release}-luo.json").write_text(text + "\n")
    (folder / f"{release}-luo.log").write_text(standing.log)


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        kernel = built(name)
        keep = partial(_keep, folder, kernel.release)
        run(Handover(kernel, kernel, preserve, keep), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
