"""What machine a guest is, and the QEMU command line for it. Pure."""

from __future__ import annotations

import shlex
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path

from khoci.vm.ram import LOW_LIMIT

QEMU = {"x86_64": "qemu-system-x86_64"}
CONSOLE = {"x86_64": "ttyS0"}


@dataclass(frozen=True)
class Accelerator:
    """How guest code is run, and what that means for time limits.

    Attributes:
        name: QEMU's word for it.
        cpu: the CPU model that works with it.
        silence: seconds of guest CPU time without a sign of life after which a guest hangs.
        options: more for QEMU.
    """

    name: str
    cpu: str
    silence: float
    options: str = ""


TCG = Accelerator("tcg", "max", 20.0, ",tb-size=64")
"""QEMU keeps up to so many MiB of translated code; by itself it would take up to a gigabyte."""
KVM = Accelerator("kvm", "host", 5.0)
ACCELERATORS = {accelerator.name: accelerator for accelerator in (TCG, KVM)}


@dataclass(frozen=True)
class Machine:
    """One guest as it is started.

    Attributes:
        kernel: the image that QEMU loads (bzImage).
        initrd: its initramfs.
        cmdline: its kernel command line.
        memory: RAM in bytes.
        cpus: number of virtual CPUs.
        counted: whether guest time is the number of its instructions, a nanosecond each; only
            where they are emulated, and with one CPU.
    """

    kernel: Path
    initrd: Path
    cmdline: str
    memory: int
    cpus: int
    accelerator: Accelerator
    arch: str = "x86_64"
    counted: bool = False


@dataclass(frozen=True)
class Channels:
    """File descriptors that the QEMU process inherits.

    Attributes:
        console: a pipe.
        agent, qmp, gdb: sockets.
        ram: the RAM file.
        state: the devices of a parked guest, whose RAM the RAM file has; None to boot.
    """

    console: int
    agent: int
    qmp: int
    gdb: int
    ram: int
    state: int | None = None

    @property
    def inherited(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(fd for fd in astuple(self) if fd is not None)


def _common(machine: Machine) -> list[str]:
    return [
        QEMU[machine.arch],
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", f"pc,max-ram-below-4g={LOW_LIMIT:#x},memory-backend=ram"),
        *("-accel", f"{machine.accelerator.name}{machine.accelerator.options}"),
        *("-cpu", machine.accelerator.cpu),
        *("-smp", str(machine.cpus), "-m", f"{machine.memory >> 20}M"),
        *("-kernel", str(machine.kernel), "-initrd", str(machine.initrd)),
        *("-append", machine.cmdline),
        *(("-icount", "shift=0,sleep=off") if machine.counted else ()),
    ]


def driven_command(machine: Machine, channels: Channels) -> list[str]:
    """The command khoci runs: stopped at the start, every channel on an inherited descriptor.

    A guest that resets or powers off stays paused, so that its memory can still be read.
    """
    waiting = ["-incoming", "defer"] if channels.state is not None else []
    sockets = {"agent": channels.agent, "qmp": channels.qmp, "gdb": channels.gdb}
    file = f"/proc/self/fd/{channels.ram}"
    ram = f"memory-backend-file,id=ram,size={machine.memory},share=on,mem-path={file}"
    chardevs = [("-chardev", f"socket,id={name},fd={fd}") for name, fd in sockets.items()]
    return [
        *_common(machine),
        *("-object", ram),
        *("-chardev", f"file,id=console,path=/proc/self/fd/{channels.console}"),
        *chain.from_iterable(chardevs),
        *("-serial", "chardev:console", "-serial", "chardev:agent"),
        *("-mon", "chardev=qmp,mode=control", "-gdb", "chardev:gdb"),
        *("-action", "reboot=shutdown,shutdown=pause", "-S"),
        *waiting,
    ]


def bare_command(machine: Machine) -> list[str]:
    """The same guest without khoci: kernel log on the terminal, the agent at a Unix socket."""
    return _for_a_person(machine, "unix:khoci-agent.sock,server=on,wait=off", [])


def interactive_command(machine: Machine, agent: int) -> list[str]:
    """The same guest on the terminal, its agent on the inherited socket ``agent``."""
    return _for_a_person(machine, "chardev:agent", ["-chardev", f"socket,id=agent,fd={agent}"])


def _for_a_person(machine: Machine, agent: str, more: list[str]) -> list[str]:
    ram = f"memory-backend-memfd,id=ram,size={machine.memory},share=on"
    serial = ["-serial", "mon:stdio", "-serial", agent]
    return [*_common(machine), "-object", ram, *more, *serial, "-no-reboot"]


def shell_line(command: list[str]) -> str:
    """A command as one line that can be pasted into a shell."""
    return shlex.join(command)
