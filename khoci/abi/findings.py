"""Differences between the ABI of two kernels, and what each means. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from khoci.abi.model import Part


class Judgement(StrEnum):
    """What a difference means to who reads what the other kernel wrote."""

    SAME = "same"
    COMPATIBLE = "compatible"
    NEEDLESS = "needless bump"
    DECLARED = "declared break"
    SILENT = "silent break"

    @property
    def rank(self) -> int:
        """How bad it is: 0 for the same."""
        return list(Judgement).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference.

    Attributes:
        judgement: what it means.
        component: what it is a part of.
        name: of what differs.
        what: in words, what differs.
        old: as it was, None if it is new or about code.
        new: as it is, None if it is gone or about code.
        version: the governing version in words: ``kho-v1`` or ``kho-v3 -> kho-v4``.
        places: ``file:line`` on both sides.
        hint: whether it is from a pattern over code, and no proof.
        reason: why it is let pass, empty if it is not.
    """

    judgement: Judgement
    component: str
    name: str
    what: str
    old: Part | None = None
    new: Part | None = None
    version: str = ""
    places: tuple[str, ...] = ()
    hint: bool = False
    reason: str = ""

    @property
    def key(self) -> str:
        """What a suppression names it by."""
        return f"{self.component}:{self.name}"


def worst(findings: tuple[Finding, ...]) -> Judgement:
    """The verdict on all; what is let pass does not count."""
    counted = (finding.judgement for finding in findings if not finding.reason)
    return max(counted, key=lambda judgement: judgement.rank, default=Judgement.SAME)


def suppressed(findings: tuple[Finding, ...], reasons: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings with the reason for each that is let pass: by ``component:name``."""
    return tuple(replace(each, reason=reasons.get(each.key, "")) for each in findings)
