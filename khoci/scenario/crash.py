"""The consumer panics on purpose when it is up: is the report right?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from khoci.scenario import reserve_mem
from khoci.scenario.base import Definition, Scenario

NAME = "crash"
SUMMARY = "the consumer is made to panic when it is up"


def make(_values: Mapping[str, Any]) -> Scenario:
    """The scenario; it has no parameters."""
    made = reserve_mem.SCENARIO.with_values({})
    return replace(made, summary=SUMMARY, crash=True)


SCENARIO = Definition(name=NAME, summary=SUMMARY, make=make)
