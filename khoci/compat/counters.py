"""What is counted from kernel to kernel: kexecs, and live updates. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from khoci.compat.facts import Facts, Handed


def wrong_counts(hops: Sequence[Facts]) -> list[str]:
    """One line for each number that does not follow from the one before.

    A producer that was given a number hands over the next one; the first of a chain, and one that
    was given none that it reads, begins anew. From kernel/liveupdate/kexec_handover.c
    (``kho_in_kexec_metadata``) and luo_core.c (``luo_early_startup``).
    """
    handed = [facts.handed for facts in hops if facts.handed]
    lines: list[str] = []
    for number, (before, after) in enumerate(pairwise(handed), 2):
        lines += _wrong(number, before, after)
    return lines


def _wrong(hop: int, before: Handed, after: Handed) -> list[str]:
    pairs = (
        ("kexec count", before.kexecs, after.kexecs),
        ("live update number", before.luo_number, after.luo_number),
    )
    return [
        f"hop {hop}: the {what} is {new}, {old} was handed over"
        for what, old, new in pairs
        if old is not None and new is not None and new != old + 1
    ]
