"""The ABI of a kernel, put together of what a compiler and its readers' code say. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from khoci.abi.dwarf import Found
from khoci.abi.model import KernelAbi, Layout, Part, Value
from khoci.abi.needs import governed, needs, writes
from khoci.abi.places import VERSIONS, chain, own_versions
from khoci.abi.probe import SHIFTS, STRUCT, Probe

_VERSION = re.compile(r"[a-z][a-z0-9_-]*-v\d+(;[a-z][a-z0-9_-]*-v\d+)*", re.ASCII)
_CALLED = re.compile(r"\w*COMPAT(IBLE)?", re.ASCII)


def extracted(
    name: str,
    files: Mapping[str, str],
    probe: Probe,
    found: Found,
    unknown: frozenset[str],
    provenance: Mapping[str, str],
) -> KernelAbi:
    """The ABI of the kernel ``name``.

    Args:
        name: of the kernel.
        files: what defines its handover, by path.
        probe: that was made of them.
        found: what a compiler made of it.
        unknown: what it could not make anything of.
        provenance: for the file.
    """
    parts = {name: _part(name, probe, found) for name in sorted(probe.defined)}
    there = {name: part for name, part in parts.items() if part.values}
    versions = {name for name, part in there.items() if _is_version(name, part.value)}
    governors = {
        part.component: _governor(part.component, versions, there) for part in there.values()
    }
    there = {
        name: Part(
            name=name,
            component=part.component,
            governor=_outer(name, part.component, versions, governors),
            file=part.file,
            line=part.line,
            values=part.values,
        )
        for name, part in there.items()
    }
    structs = {name for name, of in probe.defined.items() if of.kind == STRUCT}
    values = {name: part.value for name, part in there.items() if name not in structs}
    plain = {name: value for name, value in values.items() if not isinstance(value, Layout)}
    asked = needs(files, plain)
    missing = {need.component for need in asked} - governors.keys()
    governors |= {of: _governor(of, versions, there) for of in missing}
    return KernelAbi(
        name=name,
        provenance=provenance,
        versions={name: there[name] for name in there if name in versions},
        constants={name: there[name] for name in plain if name not in versions},
        structs={name: there[name] for name in there if name in structs},
        needs=governed(asked, governors),
        writes=writes(files, plain),
        unknown=tuple(sorted(unknown)),
        shifts=SHIFTS,
    )


def _part(name: str, probe: Probe, found: Found) -> Part:
    of = probe.defined[name]
    values = {shift: found[name, shift] for shift in SHIFTS if (name, shift) in found}
    return Part(name, of.component, "", of.file, of.line, _once(values))


def _once(values: Mapping[int, Value | Layout]) -> dict[int, Value | Layout]:
    """Only the first, if all others are the same."""
    each = list(values.items())
    return dict(each[:1]) if all(value == each[0][1] for _, value in each) else dict(each)


def _is_version(name: str, value: Value | Layout) -> bool:
    if name in VERSIONS:
        return True
    if not isinstance(value, str):
        return False
    return bool(_VERSION.fullmatch(value) or (_CALLED.fullmatch(name) and value))


def _governor(of: str, versions: set[str], parts: Mapping[str, Part]) -> str:
    """The version of a component: of one that khoci does not know, the first in its header."""
    own = next((name for name in own_versions(of) if name in versions), None)
    other = (name for name in sorted(versions) if parts[name].component == of)
    last = (name for name in chain(of) if name in versions)
    return own or next(other, None) or next(last, "")


def _outer(name: str, of: str, versions: set[str], governors: Mapping[str, str]) -> str:
    """The governor of a part; that of a version is the one that is looked at before it."""
    if name not in versions:
        return governors[of]
    before = [each for each in chain(of) if each in versions and each != name]
    return before[-1] if before else ""
