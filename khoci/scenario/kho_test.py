"""The kernel's own test, lib/test_kho.c (6.17 and later).

The producer fills random folios and hands over their list and a checksum; the consumer restores
each folio, compares the checksum and says so in its log. Orders are random; for chance to decide
nothing in a verdict, there have to be

* more than two folios, as a list of two in 6.17 is as long as the descriptor of 6.18: one of the
  highest order has 4 MiB, so more than 8 MiB, and
* few enough to leave room below 16 MiB, where the kernel takes memory from first and where also a
  reader of 512-byte bitmaps (6.16, 6.17) finds the root FDT: at most two of the highest order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from khoci.scenario.base import Definition, Parameter, Scenario

NAME = "kho-test"
SUMMARY = "folios of random order and content, checked by the kernel's own lib/test_kho.c"


def make(values: Mapping[str, Any]) -> Scenario:
    """The scenario for ``size``."""
    return Scenario(
        name=NAME,
        summary=SUMMARY,
        component="kho_test",
        components=("kho_test",),
        needs=("KEXEC_HANDOVER", "TEST_KEXEC_HANDOVER"),
        cmdline=f"test_kho.max_mem={values['size']}",
    )


SCENARIO = Definition(
    name=NAME,
    summary=SUMMARY,
    make=make,
    parameters={"size": Parameter((8 << 20) + 4096, "of all folios, in bytes")},
)
