"""Which formats a kernel writes and reads, and whether one kernel reads what another writes. Pure.

What is known of a kernel may be all of its ABI, or only strings of its image: then two layouts
under the same version cannot be told apart, and it is said that they were not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from khoci.abi.compare import compare
from khoci.abi.findings import Judgement
from khoci.abi.levels import level
from khoci.abi.model import KernelAbi, Layout
from khoci.abi.places import FEATURES, holders, own_versions
from khoci.format.announced import Features
from khoci.format.versions import parse, unknown

ORDER = (
    *("root", "memory map", "scratch", "vmalloc", "block", "reserve_mem", "kho_test"),
    *("luo", "session", "flb", "memfd", "kexec-metadata"),
)
"""Components in the order that they are shown in; those that khoci does not know come last."""

_NAMES: Mapping[str, str] = {
    "kho": "root",
    "luo": "luo",
    "luo-session": "session",
    "luo-flb": "flb",
    "memfd": "memfd",
    "memblock": "reserve_mem",
    "kho-test": "kho_test",
}
"""The component whose version has a name."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "kho_test": ("memory map", "vmalloc"),
    "memfd": ("memory map", "vmalloc", "block"),
    "reserve_mem": ("memory map",),
    "luo": ("memory map",),
    "session": ("memory map", "block"),
    "flb": ("memory map",),
    "kexec-metadata": ("memory map",),
}
"""What else has to be understood for a component to be."""


class Reading(StrEnum):
    """What a consumer makes of a component."""

    UNDERSTOOD = "understood"
    REFUSED = "refused"
    MISREAD = "misread"
    NOBODY = "nobody reads it"


@dataclass(frozen=True, slots=True)
class Format:
    """The versions of a component.

    Attributes:
        writes: the version that is written, empty if it has none of its own.
        reads: the versions that are understood.
        features: bits besides, if there are any.
    """

    writes: str
    reads: tuple[str, ...]
    features: Features | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one kernel writes and reads.

    Attributes:
        name: of the kernel, the image or the machine.
        how: where that is known from.
        formats: by component.
        abi: all of its ABI, None if only versions are known.
        layouts: of structs, where only these are known beside the versions.
        notes: what else a reader should know.
    """

    name: str
    how: str
    formats: Mapping[str, Format]
    abi: KernelAbi | None = None
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """What a consumer makes of a component of a producer, and why."""

    component: str
    reading: Reading
    writes: str
    reads: tuple[str, ...]
    why: str


def of_abi(abi: KernelAbi, how: str) -> Manifest:
    """The manifest of a kernel whose ABI is known."""
    components = {part.component for part in abi.parts.values()} - {"uapi"}
    found = {of: _format(abi, of) for of in _ordered(components)}
    return Manifest(abi.name, how, found, abi)


def of_strings(
    name: str,
    strings: Collection[str],
    announced: Collection[str],
    features: Mapping[str, Features],
    layouts: Mapping[str, Layout],
) -> Manifest:
    """The manifest of an image.

    Args:
        name: of the image.
        strings: all in it that look like versions.
        announced: those that a section of it lists.
        features: feature bits by name, of another such section.
        layouts: of structs, of its BTF.
    """
    known: dict[str, list[str]] = {}
    for text in sorted({*strings, *announced}, key=_newest_first):
        of = _NAMES.get(parse(text).name)
        if of is None and text in announced:
            of = parse(text).name
        if of:
            known.setdefault(of, []).append(text)
    found = {of: Format(texts[0], tuple(texts), features.get(of)) for of, texts in known.items()}
    for of, bits in features.items():
        found.setdefault(of, Format("", (), bits))
    how = "strings in the image" + (" and what it announces" if announced or features else "")
    return Manifest(name, how, {of: found[of] for of in _ordered(found)}, None, layouts)


def read_by(producer: Manifest, consumer: Manifest) -> tuple[Read, ...]:
    """What a consumer makes of all that a producer writes."""
    broken = _broken(producer, consumer)
    return tuple(_read(of, producer, consumer, broken) for of in producer.formats)


def all_understood(reads: Collection[Read]) -> bool:
    """Whether everything that is written is understood."""
    return all(read.reading is Reading.UNDERSTOOD for read in reads)


def layouts_known(producer: Manifest, consumer: Manifest) -> bool:
    """Whether layouts of both were compared, and not only versions."""
    return producer.abi is not None and consumer.abi is not None


def _read(of: str, producer: Manifest, consumer: Manifest, broken: Mapping[str, str]) -> Read:
    own = producer.formats[of]
    theirs = consumer.formats.get(of, Format("", ()))

    def read(reading: Reading, why: str) -> Read:
        return Read(of, reading, own.writes, theirs.reads, why)

    for holder in reversed(holders(of)):
        refused = _refused(holder, producer, consumer)
        if refused:
            return read(*refused)
    if of not in consumer.formats and "root" in consumer.formats and (own.writes or own.features):
        return read(Reading.NOBODY, f"{consumer.name} has no reader of it")
    for needed in (*reversed(holders(of)), *_NEEDS.get(of, ())):
        if needed in broken:
            through = "" if needed == of else f"{needed}: "
            return read(Reading.MISREAD, f"{through}{broken[needed]}")
    version = next((v for each in holders(of) if (v := _writes(producer, each))), "")
    return read(Reading.UNDERSTOOD, version)


def _writes(manifest: Manifest, of: str) -> str:
    return manifest.formats[of].writes if of in manifest.formats else ""


def _refused(holder: str, producer: Manifest, consumer: Manifest) -> tuple[Reading, str] | None:
    """Why nothing is read that is held by a component, None if it is."""
    written = producer.formats.get(holder)
    if written is None or not (written.writes or written.features):
        return None
    reader = consumer.formats.get(holder)
    if reader is None:
        if holder == "root":
            return Reading.NOBODY, f"{consumer.name} has no Kexec HandOver"
        return Reading.NOBODY, f"{consumer.name} has no reader of {holder}"
    if written.writes and not _accepts(written.writes, reader.reads):
        known = [parse(text) for text in reader.reads]
        return Reading.REFUSED, unknown(parse(written.writes), known)
    if written.features and reader.features:
        missing = written.features.missing(reader.features)
        return (Reading.REFUSED, missing) if missing else None
    return None


def _accepts(writes: str, reads: Collection[str]) -> bool:
    return any(set(parse(writes).parts) == set(parse(text).parts) for text in reads)


def _broken(producer: Manifest, consumer: Manifest) -> dict[str, str]:
    """What is misread under an equal version, by component."""
    if producer.abi and consumer.abi:
        found = [
            each
            for each in compare(producer.abi, consumer.abi)
            if each.judgement is Judgement.SILENT
        ]
        return {
            _in_producer(each.component, producer): f"{each.name} {each.what}"
            for each in reversed(found)
        }
    ours = _layouts(producer)
    theirs = _layouts(consumer)
    return {
        _component_of(name, producer, consumer): f"struct {name} has {ours[name].size} bytes, and "
        f"{consumer.name} has {theirs[name].size}"
        for name in sorted(ours.keys() & theirs.keys())
        if ours[name].size != theirs[name].size
    }


def _in_producer(of: str, producer: Manifest) -> str:
    """A component, or what holds it of that which the producer has."""
    return next((each for each in holders(of) if each in producer.formats), of)


def _layouts(manifest: Manifest) -> Mapping[str, Layout]:
    if manifest.abi is None:
        return manifest.layouts
    values = ((name, part.value) for name, part in manifest.abi.structs.items())
    return {name: value for name, value in values if isinstance(value, Layout)}


def _component_of(name: str, *manifests: Manifest) -> str:
    abis = (manifest.abi for manifest in manifests if manifest.abi)
    return next((abi.structs[name].component for abi in abis if name in abi.structs), "memory map")


def _format(abi: KernelAbi, of: str) -> Format:
    own = level(abi, of)
    if own is None:
        return Format("", (), _features(abi, of))
    name = parse(own.value).name
    same = (
        str(part.value)
        for part in abi.versions.values()
        if part.component == of and parse(str(part.value)).name == name
    )
    reads = (own.value, *(text for text in sorted(same) if text != own.value))
    if of == "kexec-metadata" or name == "":
        reads = (own.value,)
    return Format(own.value, tuple(dict.fromkeys(reads)), _features(abi, of))


def _features(abi: KernelAbi, of: str) -> Features | None:
    bits: dict[str, int] = {}
    for name, part in abi.constants.items():
        match = FEATURES.fullmatch(name)
        if match and part.component == of and isinstance(part.value, int):
            bits[match[1]] = part.value
    if not bits:
        return None
    return Features(bits.get("SUPP", 0), bits.get("REQ", 0), bits.get("ACTIVE", 0))


def _ordered(components: Collection[str]) -> Iterator[str]:
    yield from (of for of in ORDER if of in components)
    yield from sorted(set(components) - set(ORDER))


def _newest_first(text: str) -> tuple[int, str]:
    number = parse(text).number
    return (-number if number is not None else 1, text)


def versions_of(abi: KernelAbi) -> dict[str, str]:
    """The version that each component writes, of those that have one of their own."""
    manifest = of_abi(abi, "")
    return {of: each.writes for of, each in manifest.formats.items() if own_versions(of)}
