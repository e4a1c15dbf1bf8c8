"""Scenarios: what is preserved, how it is filled, how it is checked; one file each.

A module of this package that defines ``SCENARIO`` is a scenario; there is no other list.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from khoci.errors import UsageError
from khoci.scenario.base import Scenario


def scenarios() -> dict[str, Scenario]:
    """All scenarios by name."""
    modules = (
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    )
    found = [module.SCENARIO for module in modules if hasattr(module, "SCENARIO")]
    return {scenario.name: scenario for scenario in found}


def select(names: Iterable[str]) -> tuple[Scenario, ...]:
    """The scenarios of these names, in this order.

    Raises:
        UsageError: there is none of such a name.
    """
    known = scenarios()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"unknown scenario '{unknown[0]}': there are {', '.join(sorted(known))}")
    return tuple(known[name] for name in names)
