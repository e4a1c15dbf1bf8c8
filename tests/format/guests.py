"""Whole handovers of each family, with every component that the family has."""

from __future__ import annotations

from dataclasses import dataclass

from khoci.format.bitmaps import Layout
from khoci.format.blocks import Block
from khoci.format.memory import PAGE_SIZE, Pages
from tests.format import encoders
from tests.format.encoders import MIB, Image

REGION = (0x2000_0000, 64 * MIB)
SCRATCH = ((16 * MIB, 16 * MIB), (32 * MIB, 16 * MIB), (64 * MIB, 32 * MIB))


@dataclass(frozen=True)
class Guest:
    image: Image
    fdt_addr: int
    blocks: tuple[Block, ...]
    folios: tuple[Block, ...]

    @property
    def memory(self) -> Pages:
        return self.image.memory()


def scratch_array() -> bytes:
    return b"".join(encoders.u64(start) + encoders.u64(size) for start, size in SCRATCH)


def decompose(start: int, size: int) -> list[Block]:
    """Largest aligned blocks first fit, as ``kho_preserve_pages`` does."""
    pfn, end, blocks = start >> 12, (start + size) >> 12, []
    while pfn < end:
        order = (end - pfn).bit_length() - 1
        while pfn % (1 << order):
            order -= 1
        blocks.append(Block(pfn << 12, order))
        pfn += 1 << order
    return blocks


def guest(family: str, version: str | None = None, base: int = 0x1234_5000) -> Guest:
    """A guest of family ``A``, ``B`` or ``radix``; the root FDT is the page at ``base``."""
    image = Image(free=base)
    fdt_addr = image.alloc()
    folios = tuple(_folios(image))
    blocks = [Block(fdt_addr, 0), *folios, *decompose(*REGION)]
    sized = family == "radix"
    subtrees: dict[str, tuple[int, int | None]] = {}

    def add(name: str, content: bytes) -> None:
        address = image.put(content)
        blocks.append(Block(address, 0))
        subtrees[name] = (address, len(content) if sized else None)

    add("memblock", encoders.memblock_tree({"data": REGION}))
    info = encoders.folio_array(folios)
    if family != "A":
        info, owned = encoders.vmalloc_area(image, info)
        blocks += owned
    add("kho_test", encoders.kho_test_tree(info, len(folios), 0x1234))
    if sized:
        sessions = image.put(encoders.u64(0) + encoders.u64(3))
        flbs = image.put(encoders.u64(1) + encoders.u64(0))
        blocks += [Block(sessions, 0), Block(flbs, 0)]
        add("LUO", encoders.luo_struct(4, sessions, flbs))
        add("kexec-metadata", encoders.kexec_metadata("7.3.4", 1))
    memory_map = _memory_map(image, family, blocks)
    name = version or ("kho-v4" if sized else "kho-v1")
    image.write(fdt_addr, encoders.root_tree(name, memory_map, subtrees))
    return Guest(image, fdt_addr, tuple(sorted(blocks)), folios)


def _folios(image: Image) -> list[Block]:
    sizes = [(order, PAGE_SIZE << order) for order in (5, 2, 6, 0, 10, 1, 0, 7, 3)]
    return [Block(image.alloc(size, size), order) for order, size in sizes]


def _memory_map(image: Image, family: str, blocks: list[Block]) -> int:
    image.alloc(32 * PAGE_SIZE)
    if family == "radix":
        return encoders.radix_tree(image, blocks)
    dirt = b"\xa5" * 0x600 if family == "A" else b""
    return encoders.bitmap_map(image, blocks, Layout[family], dirt)
