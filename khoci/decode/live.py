"""The handovers of the running machine: what it will hand over, and what it was given.

debugfs shows the root FDT (from 6.19 on only its beginning, and after a handover not at all) and
the blob of each component. The rest is in memory: of the outgoing side all of it. Of the incoming
side what the memory map listed is in use again, so only the blobs are decoded.
"""

from __future__ import annotations

import mmap
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.decode.blobs import NO_ROOT, decode_blobs
from khoci.decode.found import Found, candidates, choose, told_release
from khoci.decode.words import printable
from khoci.errors import UsageError
from khoci.format import locate, memorymap
from khoci.format import root as roots
from khoci.format.errors import DecodeError, Place
from khoci.format.handover import decode, decode_root
from khoci.format.ranges import Range
from khoci.source import debugfs, kcore
from khoci.source.opener import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from khoci.format.handover import Handover
    from khoci.format.root import Root
    from khoci.source.debugfs import Side
    from khoci.source.opener import Source

NAME = "this machine"
MAP_IS_GONE = "the memory map was used up when this kernel started: only the blobs are decoded"
ONLY_BLOBS = "so only the blobs of debugfs are decoded: there is no memory map"

_OFF = {"off", "0", "n", "no", "f", "false"}
_PAGE_SHIFT = mmap.PAGESIZE.bit_length() - 1
_ALL = (Range(0, 1 << 52),)


def incoming(root: Path = Path("/")) -> Found:
    """What this machine was given, as far as it is still there.

    Args:
        root: the machine's ``/``, or where copies of its files are.

    Raises:
        UsageError: it was given nothing, or its files cannot be read.
    """
    sides = _sides(root)
    side = sides.get("in")
    if side is None or side.fdt is None:
        raise UsageError(f"{_kho(root)}/in: no root FDT is there: this boot was no handover")
    told = debugfs.read_setup_data(_below(root, debugfs.SETUP_DATA))
    out = sides.get("out")
    handover, memory = decode_blobs(
        _tree(side) or NO_ROOT,
        side.blobs,
        _ram(root),
        _PAGE_SHIFT,
        fdt_addr=told.fdt_addr if told else None,
        scratch=out.scratch_array if out else None,
    )
    return Found(handover, memory, NAME, "in", told_release(handover), (MAP_IS_GONE,))


@contextmanager
def outgoing(address: int | None = None, root: Path = Path("/")) -> Iterator[Found]:
    """What this machine will hand over; its memory can be read while the context lasts.

    Args:
        address: physical address of the root FDT, if the user says it.
        root: see `incoming`.

    Raises:
        UsageError: there is nothing yet, or its files cannot be read.
    """
    side = _sides(root).get("out")
    if side is None:
        raise UsageError(f"{_kho(root)}/out: is not there: this kernel hands nothing over")
    if side.finalized is False and side.fdt is None:
        way = f"echo 1 > {_kho(root)}/out/finalize"
        raise UsageError(f"{_kho(root)}/out: nothing is handed over before it is finalized: {way}")
    release = _text(root / "proc/sys/kernel/osrelease").strip() or None
    try:
        source = open_source(_below(root, Path(kcore.KCORE)))
    except UsageError as error:
        yield _without_memory(side, root, release, str(error))
        return
    with source:
        tree = _tree(side)
        page = address or _root_page(tree, source, root)
        handover = _with_memory(side, tree, source, page)
        yield Found(handover, source.memory, NAME, "out", release)


def _without_memory(side: Side, root: Path, release: str | None, why: str) -> Found:
    handover, memory = decode_blobs(
        _tree(side) or NO_ROOT, side.blobs, _ram(root), _PAGE_SHIFT, scratch=side.scratch_array
    )
    return Found(handover, memory, NAME, "out", release, (why, ONLY_BLOBS))


def _with_memory(side: Side, tree: Root | None, source: Source, address: int | None) -> Handover:
    shift, scratch = source.page_shift, side.scratch_array
    try:
        if address is not None:
            return decode(source.memory, address, scratch=scratch, page_shift=shift)
    except DecodeError as error:
        raise UsageError(f"{source.path}: {printable(str(error))}") from None
    if tree is None:
        raise UsageError(f"{source.path}: no root FDT of what it hands over is in it")
    return decode_root(source.memory, tree, scratch=scratch, page_shift=shift)


def _root_page(tree: Root | None, source: Source, root: Path) -> int | None:
    """Where the whole root FDT is: in a page that its own map lists, or else in all memory."""
    if tree and tree.memory_map:
        place = Place(f"root/{roots.MEMORY_MAP}", tree.memory_map)
        listed, _ = memorymap.read(source.memory, tree, (), place, source.page_shift)
        pages = [
            page
            for page in locate.roots_among(source.memory, listed.blocks)
            if _map_of(source, page) == tree.memory_map
        ]
        if len(pages) == 1:
            return pages[0]
    told = debugfs.read_setup_data(_below(root, debugfs.SETUP_DATA))
    given = told.fdt_addr if told else None
    left = [item for item in candidates(source) if item.fdt_addr != given]
    return choose(source, left).fdt_addr if left else None


def _map_of(source: Source, page: int) -> int | None:
    try:
        return roots.read(source.memory, page, 1 << source.page_shift).memory_map
    except DecodeError:
        return None


def _sides(root: Path) -> dict[str, Side]:
    found = debugfs.read_sides(_kho(root))
    if not found:
        raise UsageError(_why_nothing(root))
    return {side.name: side for side in found}


def _why_nothing(root: Path) -> str:
    folder = _kho(root)
    if not folder.parent.is_dir() or not any(folder.parent.iterdir()):
        return f"{folder.parent}: is empty: mount -t debugfs debugfs {folder.parent}"
    words = _text(root / "proc/cmdline").split()
    given = next((word for word in reversed(words) if word.startswith("kho=")), None)
    if given is None:
        return f"{folder}: is not there: boot with kho=on a kernel that has KHO and its debugfs"
    if given.removeprefix("kho=").lower() in _OFF:
        return f"{folder}: is not there: {given} is given, boot with kho=on"
    return f"{folder}: is not there: the kernel has no KHO, or not its debugfs"


def _tree(side: Side) -> Root | None:
    if side.fdt is None:
        return None
    try:
        return roots.parse_blob(side.fdt, Place(f"{side.name}/fdt"))
    except DecodeError as error:
        raise UsageError(f"{NAME}: {printable(str(error))}") from None


def _ram(root: Path) -> Sequence[Range]:
    """The machine's RAM; all there can be, if it does not say it."""
    try:
        return kcore.system_ram(_text(_below(root, Path(kcore.IOMEM))))
    except DecodeError:
        return _ALL


def _kho(root: Path) -> Path:
    return _below(root, debugfs.KHO)


def _below(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
