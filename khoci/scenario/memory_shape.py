"""Machines of other shapes: little memory, memory above 4 GiB, several nodes, other scratch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from khoci.scenario import reserve_mem
from khoci.scenario.base import Definition, Parameter, Scenario, Shape

NAME = "memory-shape"
SCRATCH = re.compile(r"\d+[KMG]?(,\d+[KMG]?){2}|\d{1,9}%", re.ASCII)
"""What the kernel takes: ``kho_parse_scratch_size`` of kernel/liveupdate/kexec_handover.c."""
SUMMARY = "a machine of another shape: memory, nodes, scratch areas"


def make(values: Mapping[str, Any]) -> Scenario:
    """The scenario for ``memory``, ``nodes`` and ``scratch``."""
    if values["memory"] % (1 << 20) or values["memory"] < 128 << 20:
        raise ValueError("memory must be whole megabytes, at least 128M")
    if not 1 <= values["nodes"] <= 8:
        raise ValueError("nodes must be 1 to 8")
    if not SCRATCH.fullmatch(values["scratch"].replace("+", ",")):
        raise ValueError("scratch must be three sizes, such as 16M+128M+64M, or a percentage")
    shape = Shape(
        memory=values["memory"],
        nodes=values["nodes"],
        scratch=values["scratch"].replace("+", ","),
    )
    return replace(reserve_mem.SCENARIO.with_values({}), summary=SUMMARY, shape=shape)


SCENARIO = Definition(
    name=NAME,
    summary=SUMMARY,
    make=make,
    parameters={
        "memory": Parameter(512 << 20, "RAM in bytes; above 2G a part of it lies over 4 GiB"),
        "nodes": Parameter(1, "NUMA nodes, by numa=fake="),
        "scratch": Parameter("16M+128M+64M", "kho_scratch=, with + for its commas"),
    },
)
