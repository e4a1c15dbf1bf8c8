"""The verdict on a series, patch by patch, for people, a maintainer's tools and b4. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from khoci.abi import text
from khoci.abi.findings import Finding, Judgement, worst
from khoci.abi.model import KernelAbi


@dataclass(frozen=True, slots=True)
class Checked:
    """What a patch changes.

    Attributes:
        title: ``2/3 kho: ...``.
        before: the ABI without it.
        after: the ABI with it.
        findings: what differs.
    """

    title: str
    before: KernelAbi
    after: KernelAbi
    findings: tuple[Finding, ...]

    @property
    def judgement(self) -> Judgement:
        """The verdict on the patch."""
        return worst(self.findings)


@dataclass(frozen=True, slots=True)
class SeriesCheck:
    """What a series changes: ``whole`` against its base, and each patch against the one before."""

    title: str
    base: str
    whole: Checked
    patches: tuple[Checked, ...]

    @property
    def judgement(self) -> Judgement:
        """The verdict on all of it."""
        return self.whole.judgement

    @property
    def later(self) -> tuple[Checked, ...]:
        """The patches that break silently what a later one declares."""
        if self.judgement is Judgement.SILENT:
            return ()
        return tuple(each for each in self.patches if each.judgement is Judgement.SILENT)


def described(check: SeriesCheck) -> list[str]:
    """A line a patch, then what breaks."""
    lines = [f"{check.title}, on {check.base}: {check.judgement}"]
    lines += [f"  {each.title}: {each.judgement}" for each in check.patches]
    for each in _breaking(check):
        lines += ["", each.title, *text.described(each.before, each.after, each.findings)[1:]]
    return [*lines, *_late(check)]


def in_markdown(check: SeriesCheck) -> list[str]:
    """The same for a comment."""
    lines = [f"### {check.title}, on {check.base}: {check.judgement}", "", "| patch | ABI |"]
    lines += ["| --- | --- |", *(f"| {_cell(e.title)} | {e.judgement} |" for e in check.patches)]
    for each in _breaking(check):
        lines += ["", *text.in_markdown(each.before, each.after, each.findings)]
    return [*lines, *_late(check)]


def plain(check: SeriesCheck) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "schema": text.SCHEMA,
        "title": check.title,
        "base": check.base,
        "verdict": check.judgement,
        "whole": text.plain(check.whole.before, check.whole.after, check.whole.findings),
        "patches": [
            {"title": each.title, **text.plain(each.before, each.after, each.findings)}
            for each in check.patches
        ],
    }


def for_b4(check: SeriesCheck) -> dict[str, str]:
    """An entry of what ``b4 review`` reads."""
    status = {Judgement.SILENT: "fail", Judgement.NEEDLESS: "warn"}.get(check.judgement, "pass")
    if check.later:
        status = "warn"
    at = next((each.title for each in check.patches if each.judgement is check.judgement), "")
    where = f": {at}" if at and check.judgement.rank > Judgement.COMPATIBLE.rank else ""
    return {
        "tool": "khoci-abi",
        "status": status,
        "summary": f"handover ABI against {check.base}: {check.judgement}{where}",
        "url": "",
        "details": "\n".join(described(check)),
    }


def _breaking(check: SeriesCheck) -> Iterator[Checked]:
    return (each for each in check.patches if each.judgement.rank > Judgement.COMPATIBLE.rank)


def _late(check: SeriesCheck) -> Iterator[str]:
    for each in check.later:
        yield ""
        yield f"{each.title}: breaks silently until a later patch declares it: move the bump here"


def _cell(title: str) -> str:
    return title.replace("|", "\\|")
