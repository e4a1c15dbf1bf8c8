"""What differs between architectures when a kernel is built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arch:
    """An architecture: its folder and make name (``srcarch``), image target and image file."""

    srcarch: str
    target: str
    image: str


ARCHES = {"x86_64": Arch("x86", "bzImage", "arch/x86/boot/bzImage")}
