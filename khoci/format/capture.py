"""Capture files (``*.khocap``): the pages that a decoder needs, to be read years later.

A zip with two members. ``capture.json`` is an object with ``format`` (``khoci-capture``),
``version`` (1), ``page_size`` in bytes, ``ram`` as pairs of start and size, ``pages`` as the
ascending physical addresses of the kept pages, and ``manifest``, an object of the writer's.
``pages`` is their content in that order. Equal content gives equal bytes.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from khoci.format.errors import Place
from khoci.format.memory import Pages
from khoci.format.ranges import Range, merge, touched

FORMAT = "khoci-capture"
VERSION = 1
MAX_INDEX = 16 << 20
MAX_PAGES = 256 << 20
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


def save(target: Path | BinaryIO, pages: Pages, manifest: dict[str, Any]) -> None:
    """Write a capture of ``pages`` to a path (not atomically) or a file open for writing.

    Args:
        target: where to.
        pages: what to keep, best from `memory.Recorder.recorded`.
        manifest: anything that JSON can hold, returned by `load`.
    """
    index = {
        "format": FORMAT,
        "version": VERSION,
        "page_size": pages.page_size,
        "ram": [[item.start, item.size] for item in pages.ram],
        "pages": list(pages.pages),
        "manifest": manifest,
    }
    with zipfile.ZipFile(target, "w") as archive:
        _add(archive, "capture.json", json.dumps(index, indent=1, sort_keys=True).encode())
        _add(archive, "pages", b"".join(pages.pages.values()))


def load(source: Path | BinaryIO) -> tuple[Pages, dict[str, Any]]:
    """Read a capture and its manifest.

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
    except _BROKEN as error:
        raise _PLACE.error(f"cannot be read: {error}") from None
    _require(isinstance(index, dict) and index.get("format") == FORMAT, "is no khoci capture")
    _require(index.get("version") == VERSION, f"has version {index.get('version')!r}, not 1")
    return _pages(index, content), _manifest(index)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
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
    return Pages(ram, {address: data.read(page_size) for address in addresses}, page_size)


def _ram(value: object) -> tuple[Range, ...]:
    pairs = [_numbers(pair, "ram") for pair in value] if isinstance(value, list) else []
    _require(bool(pairs) and all(len(pair) == 2 for pair in pairs), "ram is no list of pairs")
    return merge(Range(*pair) for pair in pairs)


def _numbers(values: object, name: str) -> list[int]:
    if isinstance(values, list) and all(_is_u64(value) for value in values):
        return values
    raise _PLACE.error(f"{name} is not made of 64-bit numbers")


def _is_u64(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 64


def _manifest(index: dict[str, Any]) -> dict[str, Any]:
    manifest = index.get("manifest")
    if not isinstance(manifest, dict):
        raise _PLACE.error("manifest is no object")
    return manifest


def _require(fact: bool, message: str) -> None:
    if not fact:
        raise _PLACE.error(message)
