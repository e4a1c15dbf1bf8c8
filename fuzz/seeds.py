"""Valid inputs: the guests that the encoders of the tests write, and captures of real kernels."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.guest import Guest
from khoci.format import capture
from khoci.format import root as roots
from khoci.format.memory import Pages, Recorder
from tests.format import guests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from khoci.format.memory import Memory
    from khoci.format.root import Root

CAPTURES = Path(__file__).parent.parent / "tests" / "format" / "captures"
WRITTEN = (("A", "kho-v1"), ("B", "kho-v1"), ("radix", "kho-v3"), ("radix", "kho-v4"))
"""Families of maps, and versions of them."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A guest with a whole handover in it."""

    memory: Pages
    fdt_addr: int
    scratch: bytes

    @property
    def root(self) -> Root:
        """Its root FDT."""
        return roots.read(self.memory, self.fdt_addr)

    @property
    def arguments(self) -> list[int]:
        """Where the root is, and the words of the scratch array."""
        return [self.fdt_addr, *(word for (word,) in struct.iter_unpack("<Q", self.scratch))]


def captures() -> Iterator[Path]:
    """Files of real kernels."""
    yield from sorted(CAPTURES.glob("*.khocap"))


def wholes() -> Iterator[Whole]:
    """Handovers of every kind."""
    for family, version in WRITTEN:
        made = guests.guest(family, None if family == "B" else version, luo=family != "A")
        yield Whole(made.memory, made.fdt_addr, guests.scratch_array())
    for path in captures():
        loaded = capture.load(path)
        pages = Pages(loaded.pages.ram, loaded.pages.pages, loaded.pages.page_size)
        yield Whole(pages, loaded.fdt_addr, loaded.scratch or b"")


def read_by(decode: Callable[[Memory], object], memory: Pages, arguments: Sequence[int]) -> bytes:
    """A guest of only the pages that ``decode`` reads: nothing else is worth a mutation."""
    recorder = Recorder(memory, memory.page_size)
    decode(recorder)
    return Guest.of(recorder.recorded(), arguments).pack()
