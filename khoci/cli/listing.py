"""``khoci matrix list``: what can be run, and what was."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from khoci.cli.colour import show
from khoci.cli.folding import folded
from khoci.cli.options import echo_json, json_option, load
from khoci.config.matrix import matrix_files, matrix_folders
from khoci.errors import UsageError
from khoci.run.folder import MATRIX, RUNS
from khoci.run.listing import Listed, listed
from khoci.run.matrix import make_plan
from khoci.verdicts import Verdict

_SCHEMA = 1


@click.command(name="list")
@json_option
def list_command(*, as_json: bool) -> None:
    """Name the matrix files, here and shipped, and the runs of this folder, the last one first.

    Example: khoci matrix list --json
    """
    matrices = [_matrix(name, path) for name, path in matrix_files(matrix_folders()).items()]
    runs = sorted(listed(RUNS), key=lambda each: each.run, reverse=True)
    if as_json:
        data = {
            "schema": _SCHEMA,
            "matrices": matrices,
            "runs": [each.to_json() for each in runs],
        }
        echo_json(data)
        return
    width = max(len(each["matrix"]) for each in matrices)
    for each in matrices:
        click.echo(f"{each['matrix']:<{width}}  {_in_words(each)}")
    if runs:
        show(folded("\n" + "".join(f"{_told(each)}\n" for each in runs)))


def _matrix(name: str, path: Path) -> dict[str, Any]:
    """A matrix file, or what is wrong with it."""
    try:
        config, known, _ = load(str(path))
        plan = make_plan(config, known)
    except UsageError as error:
        return {"matrix": name, "file": str(path), "error": str(error)}
    return {
        "matrix": name,
        "file": str(path),
        "kernels": list(plan.kernels),
        "pairs": plan.pairs,
        "scenarios": list(plan.scenarios),
        "cells": len(plan.cells),
    }


def _in_words(matrix: Mapping[str, Any]) -> str:
    if "error" in matrix:
        return str(matrix["error"])
    return (
        f"{len(matrix['kernels'])} kernels, pairs: {matrix['pairs']}, "
        f"{len(matrix['scenarios'])} scenarios, {matrix['cells']} cells"
    )


def _told(run: Listed) -> str:
    """``20261123-123647-202a  default  27/27  20 restored, 7 refused``."""
    counts = [(verdict, run.verdicts.get(str(verdict), 0)) for verdict in Verdict]
    words = ", ".join(f"{count} {verdict}" for verdict, count in counts if count)
    what = f"{run.matrix} with {run.series}" if run.series else run.matrix
    kind = "" if run.kind == MATRIX else f" ({run.kind})"
    cells = "" if run.cells is None else f"  {run.done}/{run.cells}"
    return f"{run.run}  {what}{kind}{cells}  {words}".rstrip()
