from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat.counters import wrong_counts
from khoci.compat.facts import Facts, Handed

HANDED = Handed("kho-v4", "radix", ("root",), 1, 4096)


def hops(*counts: tuple[int | None, int | None]) -> list[Facts]:
    return [
        Facts("s", replace(HANDED, kexecs=kexecs, luo_number=number), "")
        for kexecs, number in counts
    ]


def test_numbers_that_go_up_by_one_are_right() -> None:
    assert wrong_counts(hops((1, 1), (2, 2), (3, 3))) == []


@pytest.mark.parametrize("new", [1, 3])
def test_a_number_that_stays_or_jumps_is_told(new: int) -> None:
    assert wrong_counts(hops((1, 1), (new, 2))) == [
        f"hop 2: the kexec count is {new}, 1 was handed over"
    ]
    assert wrong_counts(hops((1, 1), (2, 2), (3, new - 1 if new == 3 else 5))) == [
        f"hop 3: the live update number is {2 if new == 3 else 5}, 2 was handed over"
    ]


def test_a_number_that_nobody_hands_over_begins_anew() -> None:
    assert wrong_counts(hops((None, 1), (1, 2), (2, None), (3, 1))) == []


def test_a_hop_without_a_handover_is_left_out() -> None:
    assert wrong_counts([*hops((1, 1)), Facts("s", None, "")]) == []
