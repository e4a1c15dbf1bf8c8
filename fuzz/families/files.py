"""Sources of bytes: captures, ELF cores, raw dumps, and the files of a running machine."""

from __future__ import annotations

import struct
import tempfile
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz import members, mutate, seeds
from fuzz.family import Family
from khoci.abi import btf
from khoci.decode import live, plain, text
from khoci.format import announced, capture
from khoci.format.errors import DecodeError
from khoci.format.handover import decode
from khoci.format.memory import Pages
from khoci.format.ranges import Range, covers
from khoci.source import debugfs, elfcore, kcore, opener
from tests.source import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.memory import Memory

_STRUCTS = frozenset({"kho_vmalloc"})
_MEMBERS = ("capture.json", "pages", "digests")
_ARCHIVE = 3
_FILES = (
    *(
        "sys/kernel/debug/kho/in/fdt",
        "sys/kernel/debug/kho/in/sub_fdts/LUO",
        "sys/kernel/debug/kho/out/fdt",
        "sys/kernel/debug/kho/out/finalize",
    ),
    *(
        "sys/kernel/debug/kho/out/scratch_phys",
        "sys/kernel/debug/kho/out/scratch_len",
        "sys/kernel/debug/kho/out/sub_fdts/memblock",
    ),
    *(
        "sys/kernel/boot_params/setup_data/0/type",
        "sys/kernel/boot_params/setup_data/0/data",
        "sys/kernel/boot_params/setup_data/1/type",
        "sys/kernel/boot_params/setup_data/1/data",
    ),
)
_FAST = next((path for path in (Path("/dev/shm"),) if path.is_dir()), None)  # noqa: S108
_IOMEM = b"00001000-0009ffff : System RAM\n00100000-001fffff : System RAM\n"


def _capture(data: bytes) -> None:
    """A zip as it is, or its members: a mutator does not get past the checksums of a zip."""
    pieces = members.parse(data)
    file = BytesIO(pieces[_ARCHIVE] if _ARCHIVE in pieces else _zip(pieces))
    loaded = capture.load(file)
    again = BytesIO()
    capture.save(again, loaded)
    kept = capture.load(BytesIO(again.getvalue()))
    assert kept.pages.pages == loaded.pages.pages, "other pages after save and load"
    assert (kept.fdt_addr, kept.scratch) == (loaded.fdt_addr, loaded.scratch)
    assert kept.digests == loaded.digests, "other digests after save and load"
    decode(loaded.pages, loaded.fdt_addr, scratch=loaded.scratch, page_shift=loaded.page_shift)
    capture.compare(loaded, Pages((Range(0, 64 << 20),), {0: b"\x5a" * 4096}))


def _zip(pieces: dict[int, bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, name in enumerate(_MEMBERS):
            if number in pieces:
                archive.writestr(zipfile.ZipInfo(name), pieces[number])
    return file.getvalue()


def _captures() -> Iterator[bytes]:
    for path in seeds.captures():
        yield members.pack({_ARCHIVE: path.read_bytes()})
        yield members.pack(_unzipped(path))
        newest = BytesIO()
        capture.save(newest, capture.load(path))
        yield members.pack(_unzipped(newest))


def _unzipped(file: Path | BytesIO) -> dict[int, bytes]:
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        return {i: archive.read(name) for i, name in enumerate(_MEMBERS) if name in names}


def _elf(data: bytes) -> None:
    pieces = members.parse(data)
    file = BytesIO(pieces.get(0, b""))
    core = elfcore.read_core(file)
    if core.live:
        _look_at(kcore.open_kcore(file, core))
        iomem = pieces.get(1, _IOMEM).decode("ascii", "replace")
        _look_at(kcore.open_kcore(file, core, iomem))
    else:
        memory = elfcore.open_core(file, core)
        assert memory.ram, "no RAM, and no error"
        _look_at(memory)


def _look_at(memory: Memory) -> None:
    """RAM is sorted and apart, data is RAM, and both ends of each can be read."""
    behind = -1
    for extent in memory.ram:
        assert extent.size > 0, "an empty extent"
        assert extent.start > behind, "RAM is not sorted and apart"
        behind = extent.end
    for extent in memory.data():
        assert covers(memory.ram, extent), "data outside RAM"
        size = min(extent.size, 64)
        assert len(memory.read(extent.start, size)) == size
        assert len(memory.read(extent.end - size, size)) == size


def _opener(data: bytes) -> None:
    pieces = members.parse(data)
    layout = pieces[1].decode("utf-8", "replace") if 1 in pieces else None
    with tempfile.NamedTemporaryFile(dir=_FAST) as file:
        file.write(pieces.get(0, b""))
        file.flush()
        with opener.open_source(Path(file.name), layout=layout) as source:
            assert source.kind in {"capture", "elf", "kcore", "raw"}
            if source.kind != "capture":
                _look_at(source.memory)


def _debugfs(data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=_FAST) as folder:
        root = Path(folder)
        for number, content in members.parse(data).items():
            if number < len(_FILES):
                path = root / _FILES[number]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        debugfs.read_setup_data(root / "sys/kernel/boot_params/setup_data")
        for side in debugfs.read_sides(root / "sys/kernel/debug/kho"):
            assert side.scratch_array is None or len(side.scratch_array) == 16 * len(side.scratch)
        _show(root)


def _show(root: Path) -> None:
    """What ``khoci decode --live`` makes of the files."""
    text.render(live.incoming(root))
    with live.outgoing(root=root) as found:
        plain.plain(found)


def _machines() -> Iterator[bytes]:
    root = bytes(next(seeds.wholes()).memory.read(next(seeds.wholes()).fdt_addr, 4096))
    contents = (
        *(root, b"luo-v5\0\0" + bytes(24), root[:144], b"1\n", b"0x1000000\n0x2000000\n"),
        *(b"0x1000000\n0x1000000\n", root, b"0x9\n", bytes(16), b"0xa\n", bytes(range(32))),
    )
    yield members.pack(dict(enumerate(contents)))


def _cores() -> Iterator[bytes]:
    memory = Pages((Range(0, 1 << 20), Range(4 << 30, 1 << 20)), {0x4000: b"\x55" * 4096})
    notes = dumps.vmcoreinfo()
    yield members.pack({0: dumps.elf(memory, notes)})
    yield members.pack({0: dumps.elf(memory, notes, many=True)})
    yield members.pack({0: dumps.elf(memory, notes, machine=dumps.ARM64)})
    yield members.pack({0: _live(notes), 1: _IOMEM})


def _live(notes: bytes) -> bytes:
    """Image, vmalloc and direct map as ``/proc/kcore`` has them, all of the same few bytes."""
    row, direct, offset = dumps.program_header, 0xFFFF_8880_0000_0000, 64 + 5 * 56
    rows = (
        row(dumps.NOTE, offset, 0, 0, len(notes)),
        row(dumps.LOAD, offset, dumps.Kcore.TEXT, 0x10_0000, 64),
        row(dumps.LOAD, offset, direct + dumps.Kcore.VMALLOC, dumps.NOWHERE, 64),
        row(dumps.LOAD, offset, direct, 0, 64),
        row(dumps.LOAD, offset, direct + 0x10_0000, 0x10_0000, 64),
    )
    return dumps.header(len(rows)) + b"".join(rows) + notes


def _dumps() -> Iterator[bytes]:
    yield members.pack({0: bytes(8192)})
    yield members.pack({0: b"\x44" * 8192, 1: b"0x0-0x1000,0x100000000-0x100001000"})
    yield members.pack({0: b"\x44" * 4096, 1: b"2G-2097156k"})
    for head in (b"KDUMP   ", b"makedumpfile", b"\x1f\x8b\x08"):
        yield members.pack({0: head.ljust(4096, b"\0")})
    yield from _cores()
    for path in seeds.captures():
        yield members.pack({0: path.read_bytes()})


def _announced(data: bytes) -> None:
    """What an image says of itself; one of the two readers takes it at most."""
    for reader in (announced.versions, announced.features):
        with suppress(DecodeError):
            assert len(reader(data)) <= len(data) // 48, "more entries than bytes"


def _sections() -> Iterator[bytes]:
    head = struct.pack("<II", announced.MAGIC, announced.VERSION)
    yield head + b"memfd-v2".ljust(48, b"\0")
    yield head + struct.pack("<48sIIQQQ", b"luo", 8, 0, 7, 1, 3)


def _btf(data: bytes) -> None:
    """Layouts lie within their struct, unless that lies about its size."""
    for layout in btf.Types(data).layouts(_STRUCTS).values():
        assert all(field.offset >= 0 for field in layout.fields), "before its struct"


def _types() -> Iterator[bytes]:
    names = b"\0kho_vmalloc\0first\0pages\0u\0"
    word, half = struct.pack("<III", 25, 1 << 24, 8), struct.pack("<III", 25, 1 << 24, 4)
    members = struct.pack("<IIIIII", 13, 1, 0, 19, 2, 64)
    array = struct.pack("<IIIIII", 0, 3 << 24, 0, 1, 2, 4)
    body = word + bytes(4) + half + bytes(4) + struct.pack("<III", 1, 4 << 24 | 2, 16) + members
    body += array + struct.pack("<III", 0, 2 << 24, 3) + struct.pack("<III", 25, 8 << 24, 1)
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(names))
    yield head + body + names


FAMILIES = (
    Family("announced", _announced, _sections, mutate.plain),
    Family("btf", _btf, _types, mutate.plain),
    Family("capture", _capture, _captures, mutate.pieces),
    Family("elf", _elf, _cores, mutate.pieces),
    Family("opener", _opener, _dumps, mutate.pieces),
    Family("debugfs", _debugfs, _machines, mutate.pieces),
)
