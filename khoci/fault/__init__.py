"""Faults: what can be broken in a handover on purpose; one file a family of formats.

A module of this package that defines ``FAULTS`` has faults; there is no other list.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from khoci.config.toml import did_you_mean
from khoci.errors import UsageError
from khoci.fault.base import Fault


def faults() -> dict[str, Fault]:
    """All faults by name, family by family."""
    modules = (
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    )
    found = [fault for module in modules for fault in getattr(module, "FAULTS", ())]
    return {fault.name: fault for fault in found}


def select(names: Iterable[str]) -> tuple[Fault, ...]:
    """The faults of these names, in this order; all if none is named.

    Raises:
        UsageError: there is none of such a name.
    """
    known = faults()
    wanted = list(names) or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        near = did_you_mean(unknown[0], known)
        raise UsageError(f"unknown fault '{unknown[0]}'{near}: khoci fault run --list has them all")
    return tuple(known[name] for name in wanted)
