"""The kernel's own test, lib/test_kho.c (6.17 and later).

The producer fills random folios and hands over their list and a checksum; the consumer restores
each folio, compares the checksum and says so in its log. Folios have up to 4 MiB, so 12 MiB are at
least three: with two, a list of 6.17 is as long as the descriptor of 6.18, and chance would decide
what a reader makes of it.
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
    parameters={"size": Parameter(12 << 20, "of all folios, in bytes")},
)
