"""KHO is on, and nobody preserves anything: what every handover has is handed over."""

from __future__ import annotations

from khoci.scenario.base import Definition, Scenario

NAME = "empty"
SUMMARY = "nothing preserved: the root, the memory map, the scratch areas"

SCENARIO = Definition(
    name=NAME,
    summary=SUMMARY,
    make=lambda _: Scenario(
        name=NAME,
        summary=SUMMARY,
        component="root",
        needs=("KEXEC_HANDOVER",),
        cmdline="initcall_blacklist=kho_test_init",
    ),
)
