"""What a command says of a run that has ended."""

from __future__ import annotations

from collections.abc import Sequence

import click

from khoci.cli.colour import show
from khoci.paths import cache_dir
from khoci.report.model import Report
from khoci.report.series import told
from khoci.report.text import table
from khoci.run.selftested import recall


def tell_report(report: Report, silent: Sequence[str]) -> None:
    """Print what a series changes, the table, and which log patterns no cell showed."""
    click.echo(f"{recall(cache_dir())}\n")
    if report.series:
        show(told(report.results, report.series, report.order))
    show(table(report.results, report.order, report.known))
    for name in silent:
        click.echo(f"no cell showed the log pattern '{name}' (matrix/loglines.toml)")
