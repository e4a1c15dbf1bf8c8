"""Dumps of a real kernel at the jump: whatever takes them, the same handover is in them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from khoci.decode.found import find
from khoci.format.handover import Handover as Decoded
from khoci.format.handover import decode, orphans
from khoci.guest.session import Agent
from khoci.kernel.cache import Artifact
from khoci.scenario.sessions import Files, Session
from khoci.source.opener import open_source
from khoci.vm.guest import start_guest
from tests.vm import handovers, luo
from tests.vm.handovers import Handover, Standing

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

WANTED = (Session("vm", (Files(7, luo.ONE_PAGE), Files(8, luo.HOLES))),)


def test_raw_ram_and_an_elf_core_are_read_alike(
    kernels: dict[str, Artifact], tmp_path: Path
) -> None:
    raw, core = tmp_path / "dump.raw", tmp_path / "dump.elf"
    whole = asyncio.run(asyncio.wait_for(dumped(kernels["7.3"], tmp_path, raw, core), 120))
    assert whole.luo
    assert whole.luo.sessions == 1
    assert not len(orphans(whole))
    for path, kind in ((raw, "raw"), (core, "elf")):
        with open_source(path) as source:
            assert source.kind == kind
            found = find(source).handover
            assert (found.fdt_addr, found.root) == (whole.fdt_addr, whole.root)
            assert found.map.blocks == whole.map.blocks
            assert found.components[0].owned == whole.components[0].owned
            assert found.problems == ()


async def dumped(kernel: Artifact, folder: Path, raw: Path, core: Path) -> Decoded:
    """Both dumps of a producer at the jump, and what is decoded from its own RAM."""

    async def prepare(agent: Agent) -> None:
        await luo.preserve(agent, WANTED)

    handover = Handover(kernel, kernel, prepare)
    async with start_guest(handovers._machine(handover), folder / "qemu.log") as guest:
        standing: Standing[None] = await handovers._bring_to_jump(handover, guest)
        area = {"val": 0, "size": handover.guest.memory, "filename": str(raw)}
        await guest._qmp.execute("pmemsave", area)
        dump = {"paging": False, "protocol": f"file:{core}"}
        await guest._qmp.execute("dump-guest-memory", dump)
        return decode(standing.ram, standing.fdt_addr, scratch=standing.scratch)
