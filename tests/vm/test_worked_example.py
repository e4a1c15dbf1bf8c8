"""The example of docs/decoding.md on a real 6.17: finalized, aborted, and finalized again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from khoci.guest.session import Agent
from khoci.kernel.cache import Artifact
from khoci.scenario.base import Scenario
from tests.vm.handovers import Handover, Standing, run
from tests.vm.luo import copy_ram

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

DOC = Path(__file__).parents[2] / "docs" / "decoding.md"
TEST = Scenario("kho-test", "", "kho_test", cmdline=f"test_kho.max_mem={64 << 20}")


def test_an_abort_loses_all_folios_of_the_test(
    kernels: dict[str, Artifact], tmp_path: Path
) -> None:
    dump, kernel = tmp_path / "dump.raw", kernels["6.17"]

    async def prepare(agent: Agent) -> None:
        await agent.command("finalize")
        await agent.command("finalize", value="0")

    def look(standing: Standing[None]) -> None:
        copy_ram(standing.ram, dump)

    run(Handover(kernel, kernel, prepare, look, scenario=TEST), tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "khoci", "decode", "--check", str(dump)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    for line in (
        "FAILED: all that components need is in the map (64.0 MiB of kho_test)",
        "ok: every block has an owner",
    ):
        assert line in done.stdout
        assert line in DOC.read_text()
