"""Scenarios: what is preserved, how it is filled, how it is checked; one file each.

A module of this package that defines ``SCENARIO`` is a scenario; there is no other list.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from khoci.errors import UsageError
from khoci.scenario.base import Definition, Scenario


def definitions() -> dict[str, Definition]:
    """All scenarios by name, their parameters open."""
    modules = (
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    )
    found = [module.SCENARIO for module in modules if hasattr(module, "SCENARIO")]
    return {definition.name: definition for definition in found}


def select(names: Iterable[str]) -> tuple[Scenario, ...]:
    """The scenarios of these names, in this order: ``memfd``, ``memfd:size=64M:holes=3``.

    Raises:
        UsageError: there is none of such a name, or it has no such parameter.
    """
    known = definitions()
    return tuple(_selected(name, known) for name in names)


def _selected(text: str, known: dict[str, Definition]) -> Scenario:
    name, _, given = text.partition(":")
    if name not in known:
        raise UsageError(f"unknown scenario '{name}': there are {', '.join(sorted(known))}")
    words = [word.partition("=") for word in given.split(":") if word]
    wrong = next((word for word, sign, _ in words if not sign), None)
    if wrong is not None:
        raise UsageError(f"scenario '{text}': '{wrong}' is no NAME=VALUE")
    return known[name].with_values({key: value for key, _, value in words})
