"""``khoci scenario``: what can be handed over and checked."""

from __future__ import annotations

import textwrap
from typing import Any

import click

from khoci.cli.options import echo_json, json_option
from khoci.scenario import definitions
from khoci.scenario.base import Definition

_INDENT = "    "
_SCHEMA = 1


@click.group(name="scenario")
def scenario_group() -> None:
    """The scenarios: what is preserved, how it is filled, how it is checked.

    Example: khoci scenario list
    """


@scenario_group.command(name="list")
@json_option
def list_command(*, as_json: bool) -> None:
    """All scenarios with their parameters, and what each needs of a kernel.

    Example: khoci scenario list
    """
    found = sorted(definitions().values(), key=lambda item: item.name)
    if as_json:
        echo_json({"schema": _SCHEMA, "scenarios": [_plain(definition) for definition in found]})
        return
    for definition in found:
        click.echo(_described(definition))


def _plain(definition: Definition) -> dict[str, Any]:
    parameters = {
        name: {"default": parameter.default, "summary": parameter.summary}
        for name, parameter in definition.parameters.items()
    }
    return {
        "scenario": definition.name,
        "summary": definition.summary,
        "needs": list(definition.with_values({}).needs),
        "parameters": parameters,
    }


def _described(definition: Definition) -> str:
    needs = definition.with_values({}).needs
    lines = [f"{definition.name}: {definition.summary}"]
    if needs:
        lines.append(f"{_INDENT}needs of the producer: {', '.join(needs)}")
    for name, parameter in definition.parameters.items():
        text = f"{name}={parameter.default or ''}  {parameter.summary}"
        lines += textwrap.wrap(text, 79, initial_indent=_INDENT, subsequent_indent=2 * _INDENT)
    return "\n".join(lines)
