"""Which accelerator works here: found by booting with it, once, and remembered.

That ``/dev/kvm`` opens says little: there are hosts where QEMU then asserts, and some where real
mode runs and a kernel hangs. So a kernel is booted to its user space under a short limit.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from khoci.errors import HarnessError, UnfitError
from khoci.files import write_atomic
from khoci.host import this_boot
from khoci.proc import require_tool
from khoci.vm.guest import Guest, GuestEndedError, start_guest
from khoci.vm.machine import KVM, QEMU, TCG, Accelerator, Machine

LIMIT = 8.0
SLOW_LIMIT = 120.0
"""Of a guest that is emulated, on a machine that has more to do."""
_MEMORY = 512 << 20

Greeted = Callable[[Guest], Awaitable[object]]


async def working_accelerator(machine: Machine, greeted: Greeted, cache: Path) -> Accelerator:
    """KVM if a guest comes up with it here, else TCG.

    Args:
        machine: a guest that comes up by itself; its accelerator is not looked at.
        greeted: waits until it is up.
        cache: where the answer is remembered, for this host, its kernel and its QEMU.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return TCG
    memory, host = cache / "accelerator.json", _host(machine.arch)
    known = _remembered(memory)
    if host not in known:
        known[host] = KVM.name if await _comes_up(machine, greeted) else TCG.name
        write_atomic(memory, json.dumps(known, indent=2) + "\n")
    return KVM if known[host] == KVM.name else TCG


async def check_accelerator(machine: Machine, greeted: Greeted) -> None:
    """Boot a guest to its user space with its own accelerator.

    Raises:
        UnfitError: it does not come up.
    """
    try:
        await _boot(machine, greeted, LIMIT if machine.accelerator == KVM else SLOW_LIMIT)
    except (HarnessError, GuestEndedError, TimeoutError) as error:
        why = str(error) or "it takes too long"
        raise UnfitError(
            f"{platform.node()}: no guest comes up with {machine.accelerator.name}: {why}"
        ) from None


async def _comes_up(machine: Machine, greeted: Greeted) -> bool:
    try:
        await _boot(replace(machine, accelerator=KVM), greeted, LIMIT)
    except (HarnessError, GuestEndedError, TimeoutError):
        return False
    return True


async def _boot(machine: Machine, greeted: Greeted, limit: float) -> None:
    small = replace(machine, memory=_MEMORY)
    with tempfile.TemporaryDirectory(prefix="khoci-") as folder:
        async with start_guest(small, Path(folder) / "qemu.log") as guest:
            await guest.run()
            await asyncio.wait_for(greeted(guest), limit)


def _remembered(memory: Path) -> dict[str, str]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
        return {str(host): str(name) for host, name in known.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _host(arch: str) -> str:
    return f"{this_boot()} {platform.release()} {qemu_version(arch)}"


def qemu_version(arch: str) -> str:
    """The first line of ``qemu-system-ARCH --version``.

    Raises:
        HarnessError: it is not installed, or does not run.
    """
    command = [require_tool(QEMU[arch]), "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise HarnessError(f"{command[0]} does not run: {result.stderr.strip()}")
    return result.stdout.splitlines()[0]
