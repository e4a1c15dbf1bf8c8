"""Kernel command lines of the two sides of a cell. Pure."""

from __future__ import annotations

from khoci.config.matrix import GuestConfig
from khoci.scenario.base import Scenario

BASE = (
    "console=ttyS0,115200",
    "earlyprintk=serial,ttyS0,115200",  # a consumer may die before its console is up
    "ignore_loglevel",
    "nokaslr",  # the breakpoint is at the address in System.map
    "panic=-1",  # a panic resets at once, and the reset is seen at once
    "reboot=t",
    "kho=on",
)


def kernel_cmdline(guest: GuestConfig, scenario: Scenario, extra: str) -> str:
    """The command line of one side; ``extra`` is what its kernel asks for."""
    scratch = f"kho_scratch={guest.scratch}" if guest.scratch else ""
    words = (*BASE, scratch, guest.cmdline, scenario.cmdline, extra)
    return " ".join(word for word in words if word)
