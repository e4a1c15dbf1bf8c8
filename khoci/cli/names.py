"""The names that a shell can complete."""

from __future__ import annotations

import click

from khoci.config.kernels import known_kernels
from khoci.config.matrix import matrix_files, matrix_folders
from khoci.kernel.cache import Cache
from khoci.paths import cache_dir
from khoci.run.chosen import SEPARATOR
from khoci.run.folder import LAST, RUNS, all_runs, open_run
from khoci.run.reported import plan_of
from khoci.scenario import definitions
from khoci.series.known import all_known
from khoci.series.store import all_stored


def runs(_context: click.Context) -> list[str]:
    """Of this folder, the last one first."""
    return [LAST, *(folder.id for folder in reversed(all_runs(RUNS)))]


def pairs(context: click.Context) -> list[str]:
    """Of the run that is named before."""
    plan = plan_of(open_run(RUNS, context.params.get("run") or LAST))
    return list(dict.fromkeys(SEPARATOR.join(cell.pair) for cell in plan.cells))


def kernels(_context: click.Context) -> list[str]:
    """Of all files, and those of series."""
    return list(all_known(known_kernels(), Cache(cache_dir()).series).names)


def scenarios(_context: click.Context) -> list[str]:
    """Without parameters."""
    return list(definitions())


def matrices(_context: click.Context) -> list[str]:
    """Here and shipped."""
    return list(matrix_files(matrix_folders()))


def series(_context: click.Context) -> list[str]:
    """All revisions that are stored."""
    return [each.label for each in all_stored(Cache(cache_dir()).series)]
