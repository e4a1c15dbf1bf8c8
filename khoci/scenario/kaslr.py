"""Both kernels choose their addresses at random, as distributions have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from khoci.scenario import reserve_mem
from khoci.scenario.base import Definition, Scenario, Shape

NAME = "kaslr"
SUMMARY = "both kernels choose their addresses at random"


def make(_values: Mapping[str, Any]) -> Scenario:
    """The scenario; it has no parameters."""
    made = reserve_mem.SCENARIO.with_values({})
    return replace(made, summary=SUMMARY, shape=Shape(kaslr=True))


SCENARIO = Definition(name=NAME, summary=SUMMARY, make=make)
