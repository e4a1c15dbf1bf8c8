"""Which machine this is."""

from __future__ import annotations

import platform
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_boot() -> str:
    """What tells this machine, since it was booted, from all others."""
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.is_file() else platform.node()
