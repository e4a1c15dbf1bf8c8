"""What a shell completes in the place of an argument.

Nothing is said of what cannot be read: a shell that completes shows no messages.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from khoci.errors import KhociError

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completing(kind: str) -> Complete:
    """Completes a word, or the last word of a list with commas, by a function of `cli.names`.

    That module is loaded when a shell asks, and not by every command.
    """

    def complete(
        context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        try:
            names = getattr(importlib.import_module("khoci.cli.names"), kind)(context)
        except (KhociError, OSError, ValueError):
            return []
        found = [name for name in names if name.startswith(last)]
        return [CompletionItem(f"{before}{comma}{name}") for name in found]

    return complete


complete_runs = _completing("runs")
complete_pairs = _completing("pairs")
complete_kernels = _completing("kernels")
complete_scenarios = _completing("scenarios")
complete_matrices = _completing("matrices")
complete_series = _completing("series")
