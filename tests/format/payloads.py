"""Writers of what LUO leaves behind, as the kernels write it: sessions, files, FLBs, memfds."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from khoci.format.blocks import Block
from khoci.format.memory import PAGE_SIZE
from tests.format import encoders
from tests.format.encoders import u64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.format.encoders import Image

SESSION = struct.Struct("<64sQQ")
FILE = struct.Struct("<48sQQ")
FLB = struct.Struct("<48sQQ")


@dataclass(frozen=True)
class Memfd:
    """A file to write: each of ``folios`` with its index in pages."""

    token: int
    size: int
    folios: tuple[tuple[int, Block], ...] = ()
    pos: int = 0
    seals: int = 0
    version: int = 2


@dataclass(frozen=True)
class Session:
    name: bytes
    files: tuple[Memfd, ...] = ()


@dataclass
class Writer:
    """Writes into an image, and collects the blocks that it preserves."""

    image: Image
    blocks: list[Block] = field(default_factory=list)

    def put(self, content: bytes, order: int = 0) -> int:
        """Content in a folio of its own."""
        size = PAGE_SIZE << order
        phys = self.image.put(content.ljust(size, b"\0"), size)
        self.blocks.append(Block(phys, order))
        return phys

    def kho_blocks(self, entries: Sequence[bytes]) -> int:
        """A list of KHO blocks; 0 without an entry."""
        most = (PAGE_SIZE - 16) // (len(entries[0]) if entries else 1)
        following = 0
        for start in reversed(range(0, len(entries), most)):
            part = entries[start : start + most]
            following = self.put(u64(following) + u64(len(part)) + b"".join(part))
        return following

    def memfd(self, file: Memfd) -> int:
        """The struct with all that it points to."""
        words = [folio_words(index, folio) for index, folio in file.folios]
        descriptor = bytes(16)
        if words:
            descriptor, owned = encoders.vmalloc_area(self.image, b"".join(words))
            self.blocks += [*owned, *(folio for _, folio in file.folios)]
        return self.put(memfd_struct(file, descriptor))

    def file(self, file: Memfd) -> bytes:
        return FILE.pack(b"memfd-v%d" % file.version, self.memfd(file), file.token)

    def session_in_blocks(self, session: Session) -> bytes:
        files = self.kho_blocks([self.file(file) for file in session.files])
        return SESSION.pack(session.name, files, len(session.files))

    def session_in_arrays(self, session: Session) -> bytes:
        entries = b"".join(self.file(file) for file in session.files)
        files = self.put(entries, 1) if session.files else 0
        return SESSION.pack(session.name, files, len(session.files))

    def luo_struct(self, sessions: Sequence[Session], flbs: int, number: int = 4) -> bytes:
        """The blob of 7.2 and 7.3."""
        entries = [self.session_in_blocks(session) for session in sessions]
        return encoders.luo_struct(number, self.kho_blocks(entries), flbs)

    def luo_tree(self, sessions: Sequence[Session], flbs: int | None, number: int = 4) -> bytes:
        """The blob of 7.0 and 7.1, and without FLBs of 6.19."""
        entries = [self.session_in_arrays(session) for session in sessions]
        header = self.put(u64(len(entries)) + b"".join(entries), 4)
        return encoders.luo_tree(number, header, flbs)

    def flbs(self, objects: Sequence[tuple[bytes, int, int]]) -> int:
        """The page of objects: name, data, count of each."""
        return self.put(flb_page(objects))


def flb_page(objects: Sequence[tuple[bytes, int, int]], pages: int = 1) -> bytes:
    return u64(pages) + u64(len(objects)) + b"".join(FLB.pack(*item) for item in objects)


def folio_words(index: int, folio: Block, flags: int = 3) -> bytes:
    return u64(folio.phys >> folio.page_shift | flags << 52) + u64(index)


def memfd_struct(file: Memfd, descriptor: bytes) -> bytes:
    head = u64(file.pos) + u64(file.size)
    if file.version > 1:
        head += struct.pack("<II", file.seals, 0)
    return head + u64(len(file.folios)) + descriptor


def plain_flbs(count: int) -> tuple[tuple[bytes, int, int], ...]:
    """What CONFIG_LIVEUPDATE_TEST leaves behind for ``count`` files."""
    base = 0xFEEDF00DCAFEBEE0
    return tuple((b"liveupdate-test-flb-v%d" % n, base + n, count) for n in range(3))
