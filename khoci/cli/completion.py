"""``khoci completion``: what a shell needs to complete khoci's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from khoci.cli import cli
from khoci.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_KHOCI_COMPLETE"
_WITH_COMMAS = ('string split "," ', 'string split --max 1 "," ')
"""What click has for fish cuts a word with commas short; only the first comma is a separator."""

_EXAMPLES = """\b
Examples:
  khoci completion bash > ~/.local/share/bash-completion/completions/khoci
  khoci completion zsh > ~/.zfunc/_khoci
  khoci completion fish > ~/.config/fish/completions/khoci.fish
"""


@click.command(name="completion", epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print the completion script of SHELL: bash from 4.4 on, zsh, or fish.

    It completes commands, options, and the names of runs, pairs, kernels, scenarios and matrices.
    """
    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"no completion for {shell}")
    script = found(cli, {}, "khoci", _VARIABLE).source()
    click.echo(script.replace(*_WITH_COMMAS))
