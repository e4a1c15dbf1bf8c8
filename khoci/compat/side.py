"""A kernel that takes part in a boot, and what both sides of a handover are asked alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from khoci.format.known import NOTHING, Known
from khoci.guest.session import Agent
from khoci.vm.guest import Guest
from khoci.vm.symbols import address_of

JUMP = "machine_kexec"


@dataclass(frozen=True)
class Side:
    """One of the kernels of a boot.

    Attributes:
        name: for messages.
        image: the kernel image.
        release: what ``uname -r`` must say in it, empty if unknown.
        key: of the kernel.
        cmdline: its kernel command line.
        has: its kconfig symbols, as far as they are known and matter.
        system_map: where the address of the jump is; None to ask the running kernel.
        known: of what it hands over, if it is patched.
    """

    name: str
    image: Path
    release: str
    key: str
    cmdline: str
    has: Mapping[str, bool]
    system_map: Path | None
    known: Known = NOTHING

    async def jump_address(self, agent: Agent) -> int:
        """The virtual address at which the running kernel starts the next one.

        Raises:
            AgentError, HarnessError: it cannot be found.
        """
        if self.system_map is not None:
            return address_of(JUMP, self.system_map)
        answer = await agent.command("symbol", name=JUMP)
        return int(str(answer["address"]), 16)


async def log_completed(agent: Agent, guest: Guest, what: str) -> None:
    """Wait until all that the kernel has logged so far is on its console."""
    mark = f"khoci: {what}"
    await agent.command("mark", text=mark)
    await guest.until_logged(mark)
