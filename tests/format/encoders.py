"""Writers of every format, as the kernel writes it: the other half of the round trips."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from khoci.format.blocks import Block, Blocks
from khoci.format.fdt import MAGIC, Node
from khoci.format.memory import PAGE_SIZE, Pages
from khoci.format.radix import Geometry
from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from khoci.format.bitmaps import AnyLayout
    from khoci.format.extents import Addresses

MIB = 1 << 20
GIB = 1 << 30


@dataclass
class Image:
    """Guest RAM that is being written; `alloc` hands out pages from ``free`` upwards."""

    ram: tuple[Range, ...] = (Range(0, GIB),)
    free: int = 0x800_0000
    page_size: int = PAGE_SIZE
    pages: dict[int, bytearray] = field(default_factory=dict)

    def alloc(self, size: int = PAGE_SIZE, align: int = PAGE_SIZE) -> int:
        start = -(-self.free // align) * align
        self.free = start + size
        return start

    def write(self, phys: int, content: bytes) -> None:
        while content:
            offset = phys % self.page_size
            page = self.pages.setdefault(phys - offset, bytearray(self.page_size))
            piece, content = content[: self.page_size - offset], content[self.page_size - offset :]
            page[offset : offset + len(piece)] = piece
            phys += len(piece)

    def read(self, phys: int, size: int) -> bytes:
        offset = phys % self.page_size
        if offset + size > self.page_size:
            return self.memory().read(phys, size)
        page = self.pages.get(phys - offset, b"")
        return bytes(page[offset : offset + size]).ljust(size, b"\0")

    def put(self, content: bytes, align: int = PAGE_SIZE) -> int:
        phys = self.alloc(max(len(content), 1), align)
        self.write(phys, content)
        return phys

    def memory(self) -> Pages:
        pages = {address: bytes(page) for address, page in self.pages.items()}
        return Pages(self.ram, pages, self.page_size)


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def node(
    name: str, properties: Mapping[str, bytes] | None = None, children: Sequence[Node] = ()
) -> Node:
    return Node(name, tuple((properties or {}).items()), tuple(children))


def fdt(root: Node, nops: int = 0) -> bytes:
    """A packed DTB; ``nops`` FDT_NOP tags go before each property and node."""
    strings = bytearray()
    nop = struct.pack(">I", 4) * nops
    block = _struct(root, strings, nop) + struct.pack(">I", 9)
    names = 56 + len(block)
    total = names + len(strings)
    numbers = (total, 56, names, 40, 17, 16, 0, len(strings), len(block))
    return MAGIC + struct.pack(">9I", *numbers) + bytes(16) + block + bytes(strings)


def _struct(tree: Node, strings: bytearray, nop: bytes) -> bytes:
    out = nop + struct.pack(">I", 1) + _padded(tree.name.encode() + b"\0")
    for name, value in tree.properties:
        out += nop + struct.pack(">III", 3, len(value), len(strings)) + _padded(value)
        strings += name.encode() + b"\0"
    out += b"".join(_struct(child, strings, nop) for child in tree.children)
    return out + struct.pack(">I", 2)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


def bitmap_map(
    image: Image,
    blocks: Iterable[Block],
    layout: AnyLayout,
    dirt: bytes = b"",
    page_shift: int = 12,
) -> int:
    """Chunks and bitmaps of ``blocks``, each bitmap followed by ``dirt``, as slabs of A are."""
    columns = _columns(blocks, page_shift)
    size = layout.bitmap_size(page_shift)
    groups: list[tuple[int, list[tuple[int, int]]]] = []
    for order in np.unique(columns.order).tolist():
        numbers = columns.phys[columns.order == order] >> np.uint64(order + page_shift)
        groups.append((order, []))
        for index, bits in _parts(numbers, size * 8):
            start = index * layout.coverage(order, page_shift)
            groups[-1][1].append((start, image.put(_bitmap(bits, size), size)))
            image.write(image.alloc(len(dirt), 1), dirt)
    return chunks(image, groups, 1 << page_shift)


def _columns(blocks: Iterable[Block], page_shift: int) -> Blocks:
    return blocks if isinstance(blocks, Blocks) else Blocks.of(blocks, page_shift)


def _parts(numbers: Addresses, width: int) -> Iterator[tuple[int, Addresses]]:
    """Sorted numbers by their quotient through ``width``, with the remainders of each."""
    quotients = numbers // np.uint64(width)
    ends = np.append(np.flatnonzero(np.diff(quotients)) + 1, len(numbers)).tolist()
    for start, end in pairwise([0, *ends] if len(numbers) else []):
        yield int(quotients[start]), numbers[start:end] % np.uint64(width)


def _bitmap(bits: Addresses, size: int) -> bytes:
    flags = np.zeros(size * 8, dtype=np.bool_)
    flags[bits] = True
    return np.packbits(flags, bitorder="little").tobytes()


def chunks(
    image: Image, groups: Sequence[tuple[int, Sequence[tuple[int, int]]]], page_size: int = 4096
) -> int:
    """The chunk list; returns its first page, 0 without any."""
    capacity = (page_size - 16) // 16
    pages: list[tuple[int, Sequence[tuple[int, int]]]] = []
    for order, entries in groups:
        starts = range(0, max(len(entries), 1), capacity)
        pages += [(order, entries[start : start + capacity]) for start in starts]
    following = 0
    for order, entries in reversed(pages):
        body = b"".join(struct.pack("<QQ", *entry) for entry in entries)
        header = struct.pack("<QII", following, order, len(entries))
        following = image.put(header + body, page_size)
    return following


def radix_tree(image: Image, blocks: Iterable[Block], page_shift: int = 12) -> int:
    """A radix tree of ``blocks``; returns its root node."""
    geometry = Geometry(page_shift)
    size = geometry.page_size
    root = image.alloc(size, size)
    image.write(root, bytes(size))
    for leaf, bits in _parts(_keys(_columns(blocks, page_shift)), size * 8):
        address, key = root, leaf << geometry.leaf_bits
        for level in range(geometry.depth - 1, 0, -1):
            index = (key >> geometry.shift(level)) % (size // 8)
            address = _child(image, address + index * 8, size)
        image.write(address, _bitmap(bits, size))
    return root


def _keys(blocks: Blocks) -> Addresses:
    shift = blocks.order.astype(np.uint64) + np.uint64(blocks.page_shift)
    return np.sort(np.uint64(1) << np.uint64(64) - shift | blocks.phys >> shift)


def _child(image: Image, slot: int, size: int) -> int:
    child = int.from_bytes(image.read(slot, 8), "little")
    if not child:
        child = image.alloc(size, size)
        image.write(slot, u64(child))
    return child


def vmalloc_area(image: Image, content: bytes, order: int = 0) -> tuple[bytes, list[Block]]:
    """Content in runs of ``order``; returns the descriptor and all blocks that it preserves."""
    size = PAGE_SIZE << order
    runs = []
    for start in range(0, len(content), size):
        runs.append(image.alloc(size, size))
        image.write(runs[-1], content[start : start + size])
    first, pages = vmalloc_chunks(image, runs)
    descriptor = struct.pack("<QIHH", first, len(runs) << order, 1, order)
    return descriptor, [Block(run, order) for run in runs] + [Block(page, 0) for page in pages]


def vmalloc_chunks(image: Image, runs: Sequence[int]) -> tuple[int, list[int]]:
    """As the kernel does: a chunk that is just full is followed by an empty one."""
    groups = [runs[start : start + 511] for start in range(0, len(runs) + 1, 511)]
    following, pages = 0, []
    for group in reversed(groups):
        following = image.put(u64(following) + b"".join(map(u64, group)))
        pages.append(following)
    return following, pages


def memblock_tree(regions: Mapping[str, tuple[int, int]]) -> bytes:
    children = [
        node(name, {"compatible": b"reserve-mem-v1\0", "start": u64(start), "size": u64(size)})
        for name, (start, size) in regions.items()
    ]
    return fdt(node("", {"compatible": b"memblock-v1\0"}, children))


def kho_test_tree(folios_info: bytes, count: int, csum: int = 0) -> bytes:
    data = node("data", {"nr_folios": u32(count), "folios_info": folios_info, "csum": u32(csum)})
    magic = u32(0x4B484F21)
    return fdt(node("", {"compatible": b"kho-test-v1\0", "magic": magic}, [data]))


def folio_array(folios: Iterable[Block]) -> bytes:
    return b"".join(u64(folio.phys | folio.order) for folio in folios)


def luo_tree(number: int, sessions: int, flbs: int | None) -> bytes:
    header = {"compatible": b"luo-session-v2\0", "luo-session-header": u64(sessions)}
    children = [node("luo-session", header)]
    if flbs is not None:
        children.append(
            node("luo-flb", {"compatible": b"luo-flb-v1\0", "luo-flb-header": u64(flbs)})
        )
    properties = {"compatible": b"luo-v1\0", "liveupdate-number": u64(number)}
    return fdt(node("", properties, children))


def luo_struct(number: int, sessions: int, flbs: int, compatible: bytes = b"luo-v5") -> bytes:
    return struct.pack("<8sQQQ", compatible, number, sessions, flbs)


def kexec_metadata(release: str, count: int, version: int = 1) -> bytes:
    return struct.pack("<I65sI", version, release.encode(), count)


def root_tree(
    version: str, memory_map: int, subtrees: Mapping[str, tuple[int, int | None]]
) -> bytes:
    """A root FDT; a subtree with a size is written as 7.1 does."""
    children = [node(name, _blob(*blob)) for name, blob in subtrees.items()]
    properties = {
        "compatible": version.encode() + b"\0",
        "preserved-memory-map": u64(memory_map),
    }
    return fdt(node("", properties, children))


def _blob(address: int, size: int | None) -> dict[str, bytes]:
    if size is None:
        return {"fdt": u64(address)}
    return {"preserved-data": u64(address), "blob-size": u64(size)}


def setup_data(
    fdt_addr: int, scratch_addr: int = 0x3FF0000, scratch_size: int = 48, fdt_size: int = 4096
) -> bytes:
    return struct.pack("<QIIQQQQ", 0, 10, 32, fdt_addr, fdt_size, scratch_addr, scratch_size)
