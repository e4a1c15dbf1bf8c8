"""A decoded handover as plain JSON values; ``schema.json`` describes them.

Addresses, tokens and other 64-bit numbers that are no sizes are text in hex: numbers of JSON are
exact up to 2^53 only. Sizes are in bytes.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from khoci import __version__
from khoci.decode import blocks, facts
from khoci.decode.check import checks
from khoci.format.components import Component, walk, whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from khoci.decode.found import Found
    from khoci.format.checks import Problem
    from khoci.format.handover import Handover

SCHEMA = 1
"""Raised when a reader of older output would misunderstand newer; new keys alone do not."""


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of what `plain` returns."""
    text = resources.files("khoci.decode").joinpath("schema.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def heading(what: str) -> dict[str, Any]:
    """What every document begins with: ``what`` it is, and who wrote it how."""
    return {"schema": SCHEMA, "khoci": __version__, "what": what}


def dumps(document: dict[str, Any]) -> str:
    """The text of a document, all of it visible ASCII."""
    return json.dumps(document, indent=2).replace("\x7f", "\\u007f") + "\n"


def plain(found: Found, only: Collection[str] = (), *, with_blocks: bool = False) -> dict[str, Any]:
    """The whole handover; ``only`` keeps the components of these names, and what they are in."""
    handover = found.handover
    listed = [child for item in handover.components for child in _component(item, handover, only)]
    document: dict[str, Any] = {
        **heading("handover"),
        "source": {
            "name": found.name,
            "kind": found.kind,
            "release": found.release,
            "notes": list(found.notes),
        },
        "root": _root(handover),
        "memory_map": _map(handover),
        "scratch": _scratch(handover),
        "components": listed,
        "problems": [_problem(item) for item in handover.problems],
        "checks": [
            {"title": item.title, "held": item.held, "why": item.why} for item in checks(handover)
        ],
    }
    return {**document, "blocks": _blocks(handover)} if with_blocks else document


def _root(handover: Handover) -> dict[str, Any]:
    return {
        "address": _hex(handover.fdt_addr),
        "version": str(handover.version),
        "truncated": handover.root.truncated,
        "subtrees": [
            {"name": item.name, "address": _hex(item.address), "size": item.size}
            for item in handover.root.subtrees
        ],
    }


def _map(handover: Handover) -> dict[str, Any]:
    found, decision = handover.map, handover.map.decision
    return {
        "pointer": _hex(handover.root.memory_map),
        "layout": found.family,
        "certain": decision.sure if decision else found.family is not None,
        "reasons": list(decision.reasons) if decision else [],
        "blocks": len(found.blocks),
        "size": found.blocks.size,
        "orders": [
            {"order": item.order, "blocks": item.blocks, "size": item.size}
            for item in blocks.by_order(found.blocks)
        ],
    }


def _scratch(handover: Handover) -> list[dict[str, Any]] | None:
    if handover.scratch is None:
        return None
    return [
        {"kind": area.kind, "address": _hex(area.start), "size": area.size}
        for area in handover.scratch
    ]


def _component(
    item: Component, handover: Handover, only: Collection[str]
) -> Iterator[dict[str, Any]]:
    chosen = not only or item.name in only
    if not chosen and not any(child.name in only for _, child in walk(item.children)):
        return
    below = () if chosen else only
    children = (list(_component(child, handover, below)) for child in item.children)
    yield {
        "name": item.name,
        "label": item.label,
        "address": _hex(item.address),
        "version": str(item.version) if item.version else None,
        "decoded": item.value is not None,
        "preserved": whole([item]).size,
        "facts": facts.values(item.value, handover.map.blocks),
        "children": [child for group in children for child in group],
    }


def _problem(item: Problem) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "where": item.where,
        "address": _hex(item.address),
        "message": item.message,
    }


def _blocks(handover: Handover) -> list[dict[str, Any]]:
    return [
        {"address": _hex(run.phys), "order": run.order, "count": run.count, "owner": owner}
        for run, owner in blocks.owned_runs(handover)
    ]


def _hex(number: int | None) -> str | None:
    return None if number is None else f"{number:#x}"
