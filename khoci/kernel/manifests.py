"""The manifest of whatever a user names: a kernel, a tree, an image, or this machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.abi import btf
from khoci.abi.formats import Manifest, of_abi, of_strings, versions_of
from khoci.config.abi import extracted_folders
from khoci.config.kernels import release_number
from khoci.errors import UsageError
from khoci.format import announced, fdt
from khoci.format.errors import DecodeError, Place
from khoci.format.metadata import parse as parse_metadata
from khoci.kernel.abis import find_abi, shipped
from khoci.source import debugfs
from khoci.source.kernelimage import is_image, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from khoci.abi.model import KernelAbi, Layout
    from khoci.config.kernels import Kernels
    from khoci.progress import Progress
    from khoci.source.kernelimage import KernelImage

_VERSION = re.compile(
    rb"(?<![!-~])((?:kho|luo|luo-session|luo-flb|memfd|memblock|kho-test)-v\d{1,9}"
    rb"(?:;[a-z][a-z0-9_-]{0,40}-v\d{1,9}){0,20})\0"
)
_STRUCTS = frozenset(
    {
        *("kho_mem_phys_bits", "khoser_mem_chunk", "khoser_mem_chunk_hdr", "kho_radix_node"),
        *("kho_radix_leaf", "kho_vmalloc", "kho_vmalloc_chunk", "kho_scratch", "kho_data"),
        *("kho_block_header_ser", "kho_kexec_metadata", "luo_ser", "luo_file_ser"),
        *("luo_file_set_ser", "luo_session_ser", "luo_session_header_ser", "luo_flb_ser"),
        *("luo_flb_header_ser", "memfd_luo_ser", "memfd_luo_folio_ser"),
    }
)
_RELEASE = re.compile(r"Linux version (\S+)")
_SHORT_STRING = 48


def manifest(
    name: str, kernels: Callable[[], Kernels], progress: Progress, *, fresh: bool = False
) -> Manifest:
    """What a kernel writes and reads: by its name, of a tree, of an image, or of an ABI file.

    Args:
        name: of a kernel, or a path.
        kernels: gives the known ones, where they are needed.
        progress: who is told how far it is.
        fresh: whether to read the sources of a kernel whose ABI is kept.

    Raises:
        UsageError: it is none of these, or damaged.
        HarnessError: the sources cannot be had.
    """
    path = Path(name)
    if path.is_file() and path.suffix != ".json":
        if not is_image(path):
            raise UsageError(f"{name}: is neither a bzImage nor a vmlinux")
        return of_image(read_image(path))
    abi = find_abi(name, kernels, progress, fresh=fresh)
    return of_abi(abi, abi.provenance.get("source", "its sources"))


def of_image(image: KernelImage) -> Manifest:
    """What an image tells: strings, BTF, what it announces; with the ABI of the release it is."""
    strings = {match[1].decode("ascii") for match in _VERSION.finditer(image.data)}
    try:
        listed = image.section(announced.VERSIONS)
        bits = image.section(announced.FEATURES)
        said = announced.versions(listed) if listed else ()
        features = announced.features(bits) if bits else {}
        layouts = _layouts(image.section(btf.SECTION))
    except DecodeError as error:
        raise UsageError(f"{image.path}: {error}") from None
    found = of_strings(str(image.path), strings, said, features, layouts)
    if not found.formats:
        return replace(found, notes=("no version of a handover is in it: it has no KHO",))
    return _with_release(found, image.release)


def _layouts(section: bytes | None) -> dict[str, Layout]:
    return btf.Types(section).layouts(_STRUCTS) if section else {}


def _with_release(found: Manifest, release: str) -> Manifest:
    """With the ABI of the release that this says to be, if its versions are those."""
    abi = release_abi(release)
    if abi is None:
        note = f"it is Linux {release or 'of a release that it does not tell'}"
        return replace(found, notes=(f"{note}: no ABI is kept of that, layouts are not compared",))
    known = versions_of(abi)
    ours = {of: each.writes for of, each in found.formats.items() if of in known}
    strange = sorted(of for of, text in ours.items() if text != known[of])
    if strange:
        note = f"it says to be Linux {release}, and has other versions than {abi.name}"
        return replace(found, notes=(f"{note} ({', '.join(strange)}): layouts are not compared",))
    note = f"layouts are those of {abi.name}: it says to be Linux {release}, with these versions"
    components = of_abi(abi, "").formats
    kept = {
        of: found.formats.get(of, each)
        for of, each in components.items()
        if of in found.formats or not each.writes or of == "kexec-metadata"
    }
    others = {of: each for of, each in found.formats.items() if of not in kept}
    return replace(found, abi=abi, formats={**kept, **others}, notes=(note,))


def release_abi(release: str) -> KernelAbi | None:
    """The ABI that is kept of a release by its ``uname -r``, or of the newest of its series."""
    number = re.match(r"\d+(?:\.\d+)+", release)
    if number is None:
        return None
    exact = shipped(f"v{number[0]}")
    series = release_number(number[0])[:2]
    kept = (path for folder in extracted_folders() for path in folder.glob("v*.json"))
    same = [path for path in kept if release_number(path.stem)[:2] == series]
    newest = max(same, key=lambda path: release_number(path.stem), default=None)
    return exact or (shipped(newest.stem) if newest else None)


def running(root: Path = Path("/")) -> Manifest:
    """What this machine will hand over, from debugfs and /proc.

    Args:
        root: the machine's ``/``, or where copies of its files are.

    Raises:
        UsageError: it hands over nothing, or its files cannot be read.
    """
    below = root / debugfs.KHO.relative_to("/")
    sides = {side.name: side for side in debugfs.read_sides(below)}
    out = sides.get("out")
    if out is None:
        raise UsageError(f"{below}/out: is not there: this machine hands over nothing (kho=on?)")
    strings = set(_written(out.fdt, out.blobs))
    release = _RELEASE.search((root / "proc/version").read_text(errors="replace"))
    told = release[1] if release else ""
    if not any(text.startswith("kho-v") for text in strings):
        abi = release_abi(told)
        strings |= {versions_of(abi)["root"]} if abi else set()
    name = f"this machine (Linux {told})"
    found = replace(of_strings(name, strings, (), {}, {}), how="debugfs and /proc")
    return _with_release(found, told)


def _written(root: bytes | None, blobs: Mapping[str, bytes]) -> Iterator[str]:
    """The versions that debugfs shows: of the root FDT, and of each blob."""
    for name, data in [("root", root or b""), *blobs.items()]:
        if data.startswith(fdt.MAGIC):
            yield from _compatible(data, name)
        elif name == "kexec-metadata":
            yield f"kexec-metadata-v{parse_metadata(data, Place(name)).version}"
        elif data:
            yield data[:_SHORT_STRING].partition(b"\0")[0].decode("ascii", "replace")


def _compatible(data: bytes, name: str) -> Iterator[str]:
    try:
        tree = fdt.parse_truncated(data, Place(name))
    except DecodeError as error:
        raise UsageError(f"{debugfs.KHO}: {error}") from None
    for node in (tree.root, *tree.root.children):
        value = node.get("compatible")
        if value:
            yield value.partition(b"\0")[0].decode("ascii", "replace")
