"""``khoci scenario``: what can be handed over and checked."""

from __future__ import annotations

import textwrap

import click

from khoci.scenario import definitions
from khoci.scenario.base import Definition

_INDENT = "    "


@click.group(name="scenario")
def scenario_group() -> None:
    """The scenarios: what is preserved, how it is filled, how it is checked."""


@scenario_group.command(name="list")
def list_command() -> None:
    """All scenarios with their parameters, and what each needs of a kernel."""
    for definition in sorted(definitions().values(), key=lambda item: item.name):
        click.echo(_described(definition))


def _described(definition: Definition) -> str:
    needs = definition.with_values({}).needs
    lines = [f"{definition.name}: {definition.summary}"]
    if needs:
        lines.append(f"{_INDENT}needs of the producer: {', '.join(needs)}")
    for name, parameter in definition.parameters.items():
        text = f"{name}={parameter.default or ''}  {parameter.summary}"
        lines += textwrap.wrap(text, 79, initial_indent=_INDENT, subsequent_indent=2 * _INDENT)
    return "\n".join(lines)
