"""Configuring a kernel: fragments on allnoconfig, and a check that every request came through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.errors import BuildError, HarnessError
from khoci.kernel.fragments import (
    Config,
    Span,
    applicable,
    load_exceptions,
    load_fragments,
    lost,
    parse_config,
    render,
)
from khoci.kernel.kconfig import explain
from khoci.kernel.made import made_config
from khoci.kernel.make import Make, first_errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from khoci.config.kernels import KernelSpec

_FRAGMENT = "khoci.config"
_NUMBER = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL)\s*=\s*(\d{1,9})\b", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a kernel's configuration, and in which releases."""

    asked: Config
    spans: Mapping[str, Span]

    def canonical(self) -> dict[str, object]:
        """All that decides the configuration, as plain data for the cache key."""
        spans = {
            symbol: [span.since, span.before]
            for symbol, span in self.spans.items()
            if symbol in self.asked
        }
        return {"asked": self.asked, "exceptions": spans}


def request_of(spec: KernelSpec) -> Request:
    """The request of a kernel, from its fragments and the exceptions.

    Raises:
        UsageError: one of the files is wrong.
    """
    return Request(load_fragments(spec.config), load_exceptions(spec.exceptions))


def configure(name: str, make: Make, request: Request) -> None:
    """Make the ``.config`` of a tree.

    Raises:
        BuildError: make fails, or the tree's Kconfig does not grant a request; the message names
            the symbol and what it lacks.
    """
    asked = applicable(request.asked, request.spans, tree_release(make.tree)[:2])
    _check(name, make, asked, parse_config(requested_config(name, make, request)))


def requested_config(name: str, make: Make, request: Request) -> str:
    """Make the ``.config`` of a tree, whether all that is asked for comes through or not.

    Raises:
        BuildError: make fails.
    """
    asked = applicable(request.asked, request.spans, tree_release(make.tree)[:2])
    make.objects.mkdir(exist_ok=True)
    (make.objects / _FRAGMENT).write_text(render(asked))
    if make.run("allnoconfig", f"KCONFIG_ALLCONFIG={_FRAGMENT}") != 0:
        raise BuildError(
            f"{name}: make allnoconfig failed (log: {make.log})", "\n".join(first_errors(make.log))
        )
    return made_config(name, make.tree)


def tree_release(tree: Path) -> tuple[int, int, int]:
    """The release a tree's Makefile states, as (major, minor, patch)."""
    makefile = tree / "Makefile"
    text = makefile.read_text(encoding="utf-8", errors="replace") if makefile.is_file() else ""
    found = dict(_NUMBER.findall(text))
    if not {"VERSION", "PATCHLEVEL"} <= found.keys():
        raise HarnessError(f"{tree}/Makefile: states no kernel version")
    return int(found["VERSION"]), int(found["PATCHLEVEL"]), int(found.get("SUBLEVEL", 0))


def _check(name: str, make: Make, asked: Config, config: Config) -> None:
    missing = lost(asked, config)
    if not missing:
        return
    why = explain(make.tree, make.srcarch, missing, config)
    reasons = [
        f"{render({symbol: value}).strip()}: {why[symbol]}" for symbol, value in missing.items()
    ]
    raise BuildError(
        f"{name}: {len(missing)} of {len(asked)} requests lost in configuration: {reasons[0]}",
        "\n".join(reasons[1:]),
    )
