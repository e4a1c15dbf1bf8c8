"""The consumer is told not to use KHO: what becomes of the reserved regions then?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from khoci.scenario import reserve_mem
from khoci.scenario.base import Definition, Scenario

NAME = "kho-off"
SUMMARY = "the consumer boots with kho=off"


def make(_values: Mapping[str, Any]) -> Scenario:
    """The scenario; it has no parameters."""
    made = reserve_mem.SCENARIO.with_values({})
    return replace(made, summary=SUMMARY, consumer_cmdline="kho=off")


SCENARIO = Definition(name=NAME, summary=SUMMARY, make=make)
