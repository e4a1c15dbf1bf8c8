"""Kernel command lines of the two sides of a cell. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from khoci.config.matrix import GuestConfig
from khoci.scenario.base import Scenario

BASE = (
    "console=ttyS0,115200",
    "earlyprintk=serial,ttyS0,115200",  # a consumer may die before its console is up
    "ignore_loglevel",
    "nokaslr",  # the breakpoint is at the address in System.map
    "panic=-1",  # a panic resets at once, and the reset is seen at once
    "reboot=t",
    "no_timer_check",  # on a busy host emulated ticks come late, and that is no kernel's fault
    "kho=on",
)


def kernel_cmdline(
    guest: GuestConfig, scenarios: Sequence[Scenario], extra: str = "", *, consumer: bool = False
) -> str:
    """The command line of one side.

    Args:
        guest: the machine's shape.
        scenarios: that share the boot; their shapes are the same.
        extra: what this kernel asks for.
        consumer: whether it is started by another kernel, and hands over to none.
    """
    shape = scenarios[0].shape
    base = (word for word in BASE if not (shape.kaslr and word == "nokaslr"))
    timer = "nolapic_timer" if guest.cpus == 1 else ""  # calibrating it spins for 0.1 s and more
    scratch = shape.scratch if shape.scratch is not None else guest.scratch
    nodes = f"numa=fake={shape.nodes}" if shape.nodes > 1 else ""
    wanted = [scenario.cmdline for scenario in scenarios]
    if consumer:
        wanted += [scenario.consumer_cmdline for scenario in scenarios]
    own = dict.fromkeys(word for text in wanted for word in text.split())
    own_scratch = f"kho_scratch={scratch}" if scratch else ""
    words = (*base, timer, own_scratch, guest.cmdline, nodes, *own, extra)
    return " ".join(word for word in words if word)
