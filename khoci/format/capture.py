"""Capture files (``*.khocap``): the pages that a decoder needs, to be read years later.

A zip with the members ``capture.json``, ``pages`` and ``digests``; docs/capture-format.md tells
every byte of it. Version 1, without digests and with what is known in a ``manifest``, is read too.
Equal content gives equal bytes.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from khoci.format import digests
from khoci.format.digests import Digests
from khoci.format.errors import Place
from khoci.format.memory import Pages
from khoci.format.ranges import Range, merge, touched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from khoci.format.memory import Memory

FORMAT = "khoci-capture"
VERSION = 2
MAX_INDEX = 16 << 20
MAX_PAGES = 256 << 20
MAX_DIGESTS = 128 << 20
_SHAPE = ("format", "version", "page_size", "ram", "pages", "manifest")
_TEXTS = ("producer", "release", "key", "scenario", "source", "khoci", "created")
_KNOWN = frozenset((*_SHAPE, *_TEXTS, "fdt_addr", "scratch"))
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PLACE = Place("capture")
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The producer: its name in the matrix, ``uname -r``, and khoci's key of its bytes."""

    name: str = ""
    release: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Capture:
    """A handover at the jump, and where it comes from; what is not known is empty or None.

    Attributes:
        pages: the memory; best from `memory.Recorder.recorded`.
        fdt_addr: physical address of the root FDT.
        scratch: the scratch array as it is in memory.
        producer: the kernel that hands over.
        scenario: what it was made to preserve.
        source: what the memory was read from, such as ``qemu`` or ``vmcore``.
        khoci: the version of the writer.
        created: ISO 8601 time.
        digests: of the preserved blocks.
        extra: further keys of ``capture.json``, kept as they are; they never stand for known ones.
    """

    pages: Pages
    fdt_addr: int
    scratch: bytes | None = None
    producer: Kernel = Kernel()
    scenario: str = ""
    source: str = ""
    khoci: str = ""
    created: str = ""
    digests: Digests = field(default_factory=Digests)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def page_shift(self) -> int:
        """Log2 of the page size in bytes."""
        return self.pages.page_size.bit_length() - 1


def compare(capture: Capture, memory: Memory) -> list[tuple[int, int]]:
    """Address and order of each block whose content in ``memory`` is not the captured one.

    Raises:
        DecodeError: the digests are of blocks that hold more bytes than RAM.
    """
    return digests.changed(capture.digests, memory, capture.page_shift)


def save(target: Path | BinaryIO, capture: Capture) -> None:
    """Write a capture to a path (not atomically) or to a file open for writing.

    Raises:
        DecodeError: it is larger than `load` would take.
    """
    index = json.dumps(_index(capture), indent=1, sort_keys=True).encode()
    with zipfile.ZipFile(target, "w") as archive:
        _add(archive, "capture.json", index, MAX_INDEX)
        _add(archive, "pages", b"".join(capture.pages.pages.values()), MAX_PAGES)
        _add(archive, "digests", capture.digests.packed, MAX_DIGESTS)


def load(source: Path | BinaryIO) -> Capture:
    """Read a capture of version 1 or 2.

    A page that is not in it cannot be read from its memory: nobody knows what it held.

    Raises:
        OSError: the path cannot be opened.
        DecodeError: it is no capture, of another version, cut off or inconsistent.
    """
    if isinstance(source, Path):
        with source.open("rb") as file:
            return load(file)
    try:
        with zipfile.ZipFile(source) as archive:
            index = json.loads(_member(archive, "capture.json", MAX_INDEX))
            content = _member(archive, "pages", MAX_PAGES)
            has_digests = "digests" in archive.namelist()
            records = _member(archive, "digests", MAX_DIGESTS) if has_digests else b""
    except zipfile.BadZipFile:
        raise _PLACE.error("it is no whole capture: cut off, or changed; copy it again") from None
    except _BROKEN as error:
        raise _PLACE.error(f"cannot be read: {error}") from None
    return _capture(index, content, records)


def _index(capture: Capture) -> dict[str, Any]:
    pages = capture.pages
    return {
        **{key: value for key, value in capture.extra.items() if key not in _KNOWN},
        "format": FORMAT,
        "version": VERSION,
        "page_size": pages.page_size,
        "ram": [[item.start, item.size] for item in pages.ram],
        "pages": list(pages.pages),
        "fdt_addr": capture.fdt_addr,
        "scratch": capture.scratch.hex() if capture.scratch else None,
        "producer": capture.producer.name,
        "release": capture.producer.release,
        "key": capture.producer.key,
        "scenario": capture.scenario,
        "source": capture.source,
        "khoci": capture.khoci,
        "created": capture.created,
    }


def _add(archive: zipfile.ZipFile, name: str, content: bytes, limit: int) -> None:
    _require(len(content) <= limit, f"{name} has more than {limit} bytes")
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, content, compresslevel=9)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """The member's content; the sizes in the archive are not trusted."""
    info = archive.getinfo(name)
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise _PLACE.error(f"{name} is compressed in an unknown way")
    if info.file_size > limit:
        raise _PLACE.error(f"{name} has more than {limit} bytes")
    with archive.open(info) as file:
        content = file.read(limit + 1)
    _require(len(content) == info.file_size, f"{name} is cut off")
    return content


def _capture(index: object, content: bytes, records: bytes) -> Capture:
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise _PLACE.error("is no khoci capture")
    version = index.get("version")
    known = type(version) is int and version in {1, VERSION}
    _require(known, f"has version {version!r}, this khoci reads 1 and {VERSION}")
    pages = _pages(index, content)
    facts = _manifest(index) if version == 1 else index
    (fdt_addr,) = _numbers([facts.get("fdt_addr")], "fdt_addr")
    name, release, key, scenario, source, khoci, created = (_text(facts, key) for key in _TEXTS)
    shift = pages.page_size.bit_length() - 1
    return Capture(
        pages=pages,
        fdt_addr=fdt_addr,
        scratch=_scratch(facts),
        producer=Kernel(name, release, key),
        scenario=scenario,
        source=source,
        khoci=khoci,
        created=created,
        digests=Digests.parse(records, _PLACE / "digests", shift),
        extra={key: value for key, value in facts.items() if key not in _KNOWN},
    )


def _pages(index: dict[str, Any], content: bytes) -> Pages:
    (page_size,) = _numbers([index.get("page_size")], "page_size")
    _require(page_size in {1 << 12, 1 << 14, 1 << 16}, f"page_size is {page_size}")
    addresses = _numbers(index.get("pages"), "pages")
    _require(not any(address % page_size for address in addresses), "pages are not aligned")
    _require(sorted(set(addresses)) == addresses, "pages are not ascending")
    _require(len(addresses) * page_size == len(content), "has another number of pages than listed")
    ram = _ram(index.get("ram"))
    inside = (touched(ram, Range(address, page_size)) for address in addresses)
    _require(all(inside), "has pages outside RAM")
    data = BytesIO(content)
    kept = {address: data.read(page_size) for address in addresses}
    return Pages(ram, kept, page_size, partial=True)


def _ram(value: object) -> tuple[Range, ...]:
    pairs = [_numbers(pair, "ram") for pair in value] if isinstance(value, list) else []
    _require(bool(pairs) and all(len(pair) == 2 for pair in pairs), "ram is no list of pairs")
    return merge(Range(*pair) for pair in pairs)


def _scratch(facts: dict[str, Any]) -> bytes | None:
    try:
        return bytes.fromhex(facts.get("scratch") or "") or None
    except (TypeError, ValueError):
        raise _PLACE.error("scratch is not written in hex") from None


def _numbers(values: object, name: str) -> list[int]:
    if isinstance(values, list) and all(_is_u64(value) for value in values):
        return values
    raise _PLACE.error(f"{name} is not made of 64-bit numbers")


def _is_u64(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 64


def _text(facts: dict[str, Any], key: str) -> str:
    value = facts.get(key, "")
    if not isinstance(value, str):
        raise _PLACE.error(f"{key} is no text")
    return value


def _manifest(index: dict[str, Any]) -> dict[str, Any]:
    manifest = index.get("manifest")
    if not isinstance(manifest, dict):
        raise _PLACE.error("manifest is no object")
    return manifest


def _require(fact: bool, message: str) -> None:
    if not fact:
        raise _PLACE.error(message)
