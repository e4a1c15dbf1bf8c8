"""Lines of the kernel log that tell something, over all releases from 6.16 on.

From kernel/kexec_handover.c (6.16 - 6.18), kernel/liveupdate/ (6.19 and later), mm/memblock.c,
lib/test_kho.c and arch/x86/kernel/setup.c.
"""

from __future__ import annotations

import re

ROOT_FOUND = re.compile(r"KHO: found kexec handover data")
ROOT_REFUSED = re.compile(
    r"KHO: setup: handover FDT .* is (incompatible with|invalid)"
    r"|KHO: disabling KHO revival"
    r"|Passed KHO data, but CONFIG_KEXEC_HANDOVER not set"
)
MAP_FAILED = re.compile(
    r"KHO: failed to get preserved (memory|KHO memory)"
    r"|KHO: failed to restore folio for KHO fdt"
)
EXEC_FROM = re.compile(r"KHO: exec from: (?P<release>\S+) \(count (?P<count>\d+)\)")
METADATA_REFUSED = re.compile(r"KHO: kexec-metadata (blob too small|version \d+ not supported)")
TEST_RESTORED = re.compile(r"test_kho: KHO restore succeeded")
TEST_FAILED = re.compile(r"test_kho: (KHO restore failed|failed to retrieve kho_test FDT)")
LUO_RETRIEVED = re.compile(r"luo: Retrieved live update data, liveupdate number: (?P<number>\d+)")
LUO_REFUSED = re.compile(
    r"luo: (FDT 'LUO' is incompatible|LUO state is (incompatible|too small)"
    r"|Session node incompatible|Unable to get \w+ node|FLB node is incompatible"
    r"|Block (contains invalid|set is corrupted))"
)
PANIC = re.compile(r"Kernel panic - not syncing|PANIC: (early exception|double fault)")
CAUSES = (
    re.compile(r"BUG: unable to handle|general protection fault|kernel BUG at|divide error"),
    re.compile(r"\bRIP: \S"),
    LUO_REFUSED,
)
"""What the log says, before a panic, of where it came from."""

SPLAT = re.compile(
    r"(?<!\w)WARNING: (CPU: |at |.*:\d+ at )|kernel BUG at |BUG: |Oops: |Oops\[|KASAN: "
    r"|rcu: INFO: .*stall|UBSAN: |INFO: task .* blocked|general protection fault"
)


def revived(name: str) -> re.Pattern[str]:
    """The line that says that the reserved region ``name`` was taken over."""
    return re.compile(rf"Revived memory reservation '{re.escape(name)}' from KHO")


def revival_refused(name: str) -> re.Pattern[str]:
    """The lines that say that the reserved region ``name`` was not taken over, and why."""
    label = re.escape(name)
    return re.compile(
        rf"FDT 'memblock' (has no child '{label}'|is incompatible|from KHO: )"
        rf"|Node '{label}' is incompatible|KHO reserve-mem '{label}' has wrong"
    )


def find(pattern: re.Pattern[str], log: str) -> str | None:
    """The first whole line of ``log`` that matches, without its trailing space."""
    return next((line.strip() for line in log.splitlines() if pattern.search(line)), None)


def last_line(log: str) -> str:
    """The last line that has any text."""
    return next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "")


def splats(log: str) -> tuple[str, ...]:
    """All lines that begin a warning, bug or stall report."""
    return tuple(line.strip() for line in log.splitlines() if SPLAT.search(line))
