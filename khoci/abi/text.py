"""Differences between two ABIs, for people and for programs. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from khoci.abi.findings import Finding, Judgement, worst
from khoci.abi.model import Field, KernelAbi, Layout, Part

_WIDTH = 100
_LOUD = (Judgement.SILENT, Judgement.DECLARED, Judgement.NEEDLESS)
SCHEMA = 1


def described(
    old: KernelAbi, new: KernelAbi, findings: Sequence[Finding], *, every: bool = False
) -> list[str]:
    """The verdict in a line, then each break with both layouts; ``every`` difference if asked."""
    verdict = worst(tuple(findings))
    lines = [f"{old.name} -> {new.name}: {verdict}"]
    for finding in findings:
        if every or finding.judgement in _LOUD:
            lines += ["", *_finding(finding, old, new)]
    quiet = [each for each in findings if each.judgement not in _LOUD]
    if quiet and not every:
        lines += ["", *_quiet(quiet)]
    return lines


def in_markdown(old: KernelAbi, new: KernelAbi, findings: Sequence[Finding]) -> list[str]:
    """As `described`, for a comment or a page."""
    lines = [f"**{old.name} → {new.name}: {worst(tuple(findings))}**"]
    for finding in findings:
        if finding.judgement in _LOUD:
            first, *rest = _finding(finding, old, new)
            lines += ["", f"* {first}", "", "  ```", *(f"  {line}" for line in rest), "  ```"]
    quiet = [each for each in findings if each.judgement not in _LOUD]
    return [*lines, "", *_quiet(quiet)] if quiet else lines


def plain(old: KernelAbi, new: KernelAbi, findings: Sequence[Finding]) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "schema": SCHEMA,
        "old": old.name,
        "new": new.name,
        "verdict": worst(tuple(findings)),
        "findings": [_plain(finding) for finding in findings],
    }


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "judgement": finding.judgement,
        "component": finding.component,
        "name": finding.name,
        "what": finding.what,
        "version": finding.version,
        "places": list(finding.places),
        "hint": finding.hint,
        "reason": finding.reason,
        "old": _drawn(finding.old),
        "new": _drawn(finding.new),
    }


def _finding(finding: Finding, old: KernelAbi, new: KernelAbi) -> Iterator[str]:
    passed = f" (let pass: {finding.reason})" if finding.reason else ""
    hint = " [hint: by pattern, from code]" if finding.hint else ""
    head = f"{finding.judgement}: {finding.component}: {finding.name} {finding.what}"
    yield f"{head}{hint}{passed}"
    governed = _governed(finding)
    if governed:
        yield f"  {governed}"
    left, right = _drawn(finding.old), _drawn(finding.new)
    if left and right and finding.judgement is not Judgement.SAME:
        width = max(
            len(line) for line in [*left, f"{old.name} {finding.old and finding.old.place}"]
        )
        yield from _beside(old, new, finding, min(width, _WIDTH))
    else:
        yield from (f"  {place}" for place in finding.places)


def _beside(old: KernelAbi, new: KernelAbi, finding: Finding, width: int) -> Iterator[str]:
    """Both layouts side by side, each below where it stands."""
    left = [f"{old.name} {finding.places[0]}", *_drawn(finding.old)]
    right = [f"{new.name} {finding.places[-1]}", *_drawn(finding.new)]
    for one, other in zip_longest(left, right, fillvalue=""):
        yield f"  {one:<{width}}  {other}".rstrip()


def _governed(finding: Finding) -> str:
    if not finding.version:
        return "no version governs it" if finding.judgement is Judgement.SILENT else ""
    if " -> " in finding.version:
        return f"declared by {finding.version}"
    changed = ", which did not change" if finding.judgement is Judgement.SILENT else ""
    return f"governed by {finding.version}{changed}"


def _quiet(findings: Sequence[Finding]) -> Iterator[str]:
    """What is no break, a line each."""
    for finding in findings:
        word = "hint" if finding.hint else str(finding.judgement)
        text = f"{word}: {finding.component}: {finding.name} {finding.what}"
        yield from textwrap.wrap(text, _WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _drawn(part: Part | None) -> list[str]:
    """A part as pahole draws a struct: offset and size behind each member."""
    if part is None:
        return []
    if len(part.values) > 1 and not isinstance(part.value, Layout):
        return [
            f"{part.name} = {value}  /* pages of {1 << shift >> 10} KiB */"
            for shift, value in part.values.items()
        ]
    return drawn(part.name, part.value)


def drawn(name: str, value: object) -> list[str]:
    """A struct or a constant as C, with offsets and sizes."""
    if not isinstance(value, Layout):
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        return [f"{name} = {shown}"]
    members = [_member(field) for field in value.fields]
    width = max((len(text) for text, _ in members), default=0)
    body = [f"    {text:<{width}}  /* {where} */" for text, where in members]
    return [f"struct {name} {{", *body, f"}};  /* {value.size} bytes */"]


def _member(field: Field) -> tuple[str, str]:
    base, bracket, rest = field.type.partition("[")
    array = f"{bracket}{rest}"
    to = f"  /* -> {field.to} */" if field.to else ""
    if field.bits is not None:
        return f"{base} {field.name}:{field.bits};", f"{field.offset} bit {field.bit}"
    return f"{base} {field.name}{array};{to}", f"{field.offset} {field.size}"


def listed(abi: KernelAbi) -> list[str]:
    """What one kernel's ABI is, for people."""
    lines = [f"{abi.name}  ({abi.provenance.get('source', '')})"]
    for title, parts in (("versions", abi.versions), ("constants", abi.constants)):
        lines += ["", f"{title}:"]
        lines += [f"  {line}" for part in parts.values() for line in _drawn(part)]
    lines += ["", "structs:"]
    for part in abi.structs.values():
        governor = part.governor or "no version"
        lines += ["", f"  {part.component}, governed by {governor}; {part.place}"]
        lines += [f"  {line}" for line in _drawn(part)]
    needs = [need for need in abi.needs if need.what != "check"]
    lines += ["", "what readers look for (by pattern):"]
    for need in needs:
        word = "required" if need.required else "optional"
        read_as = f" as {need.type}" if need.type else ""
        lines.append(f"  {need.what} {need.name}{read_as}: {word}, {need.function} ({need.place})")
    return lines
