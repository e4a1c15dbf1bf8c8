"""Every command's help has an example that its parser takes; those that only list are run."""

from __future__ import annotations

import inspect
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from khoci.cli import cli

_EXAMPLE = re.compile(r"^(?:Example:)? *((?:khoci|git config) .+)$", re.MULTILINE)


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """All commands by what one types, groups of them too."""
    yield name, command
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        assert found is not None
        yield from commands(found, f"{name} {each}")


ALL = dict(commands(cli, "khoci"))


def examples(command: click.Command) -> list[str]:
    """The lines that a reader would copy."""
    return _EXAMPLE.findall(f"{inspect.cleandoc(command.help or '')}\n{command.epilog or ''}")


EXAMPLES = [
    example
    for command in ALL.values()
    for example in examples(command)
    if example.startswith("khoci")
]


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_an_example_of_itself(name: str) -> None:
    found = examples(ALL[name])
    itself = name.removesuffix(" write")
    assert found
    assert all(itself in example for example in found)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_taken(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)
    words = shlex.split(example.partition(" > ")[0])
    done = CliRunner().invoke(cli, words[1:], prog_name="khoci")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", ALL)
def test_help_fits_and_no_example_is_wrapped(name: str) -> None:
    text = CliRunner().invoke(cli, [*name.split()[1:], "--help"], terminal_width=80).output
    assert max(map(len, text.splitlines())) <= 80
    for example in examples(ALL[name]):
        assert example in text


@pytest.mark.parametrize(
    "arguments",
    [
        "completion fish",
        "decode --schema",
        "doctor --json",
        "fault run --list --json",
        "kernel list --json",
        "matrix list --json",
        "matrix plan releases --scenarios memfd --json",
        "report schema",
        "scenario list --json",
        "selftest --list --json",
        "series list --json",
    ],
)
def test_what_only_lists_works_anywhere(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, arguments.split())
    assert done.exit_code == 0, done.output
    if not arguments.startswith("completion"):
        assert json.loads(done.stdout)
    assert list(tmp_path.iterdir()) == []
