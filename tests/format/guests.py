"""Whole handovers of each family, with every component that the family has."""

from __future__ import annotations

from dataclasses import dataclass, replace

from khoci.format.bitmaps import Layout
from khoci.format.blocks import Block
from khoci.format.memory import PAGE_SIZE, Pages
from tests.format import encoders
from tests.format.encoders import MIB, Image
from tests.format.payloads import Memfd, Session, Writer, plain_flbs

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


def guest(
    family: str, version: str | None = None, base: int = 0x1234_5000, *, luo: bool = False
) -> Guest:
    """A guest of family ``A``, ``B`` or ``radix``; the root FDT is the page at ``base``.

    With the radix tree there is always a LUO, in B on demand.
    """
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
    if sized or luo:
        writer = Writer(image)
        add("LUO", _luo(writer, version or family))
        blocks += writer.blocks
    if sized:
        add("kexec-metadata", encoders.kexec_metadata("7.3.4", 1))
    memory_map = _memory_map(image, family, blocks)
    name = version or ("kho-v4" if sized else "kho-v1")
    image.write(fdt_addr, encoders.root_tree(name, memory_map, subtrees))
    return Guest(image, fdt_addr, tuple(sorted(blocks)), folios)


def _luo(writer: Writer, version: str) -> bytes:
    """The blob of the release: 7.0 for B, 7.1 for ``kho-v3``, later ones else."""
    number = 1 if version == "B" else 2
    flbs = writer.flbs(plain_flbs(3))
    sessions = [
        replace(item, files=tuple(replace(file, version=number) for file in item.files))
        for item in _sessions(writer.image)
    ]
    if version in {"B", "kho-v3"}:
        return writer.luo_tree(sessions, flbs)
    return writer.luo_struct(sessions, flbs)


def _sessions(image: Image) -> tuple[Session, ...]:
    """None, one, and two files: an empty one, one of large folios, and one that was sealed."""
    folios = _file_folios(image, (0, 9, 0, 3))
    large = Memfd(0x1A, sum(folio.size for _, folio in folios) - 100, folios, pos=4711)
    one = Memfd(0, PAGE_SIZE, _file_folios(image, (0,)), seals=0x16)
    return (
        Session(b"empty"),
        Session(b"vm-1", (large, Memfd(2**63 - 1, 0))),
        Session(b"n" * 63, (one,)),
    )


def _file_folios(image: Image, orders: tuple[int, ...]) -> tuple[tuple[int, Block], ...]:
    found, index = [], 0
    for order in orders:
        size = PAGE_SIZE << order
        found.append((index, Block(image.alloc(size, size), order)))
        index += 1 << order
    return tuple(found)


def _folios(image: Image) -> list[Block]:
    sizes = [(order, PAGE_SIZE << order) for order in (5, 2, 6, 0, 10, 1, 0, 7, 3)]
    return [Block(image.alloc(size, size), order) for order, size in sizes]


def _memory_map(image: Image, family: str, blocks: list[Block]) -> int:
    image.alloc(32 * PAGE_SIZE)
    if family == "radix":
        return encoders.radix_tree(image, blocks)
    dirt = b"\xa5" * 0x600 if family == "A" else b""
    return encoders.bitmap_map(image, blocks, Layout[family], dirt)
