"""The kernel's own test, lib/test_kho.c (6.17 and later).

The producer fills random folios and hands over their list and a checksum; the consumer restores
each folio, compares the checksum and says so in its log.
"""

from __future__ import annotations

from khoci.scenario.base import Scenario

SCENARIO = Scenario(
    name="kho-test",
    summary="folios of random order and content, checked by the kernel's own lib/test_kho.c",
    needs=("KEXEC_HANDOVER", "TEST_KEXEC_HANDOVER"),
    cmdline="",
    component="kho_test",
)
