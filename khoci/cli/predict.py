"""``khoci predict``: what will a kernel make of a handover?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import click

from khoci.compat.predict import Prediction, cell_verdict, predict
from khoci.config.abi import Abi, default_folder, load_releases
from khoci.decode.found import find
from khoci.errors import UsageError
from khoci.report.prediction import describe
from khoci.source.opener import open_source


@click.command(name="predict")
@click.argument("capture", type=click.Path(path_type=Path))
@click.argument("kernels", metavar="KERNEL...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="all releases of matrix/abi")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def predict_command(capture: Path, kernels: tuple[str, ...], every: bool, as_json: bool) -> None:
    """Say what each KERNEL will make of the handover in CAPTURE, and why.

    KERNEL is a release of matrix/abi, such as 6.17; it is taken to be built with all of KHO and
    LUO, and booted with kho=on and the producer's reserve_mem=.
    """
    chosen = _chosen(kernels, every)
    with open_source(capture) as source:
        handover = find(source).handover
        found = {abi.name: predict(source.memory, handover, abi) for abi in chosen}
    if as_json:
        click.echo(json.dumps(_plain(found), indent=2))
        return
    width = shutil.get_terminal_size().columns
    for name, prediction in found.items():
        click.echo(describe(name, cell_verdict(prediction), prediction, width))


def _chosen(names: tuple[str, ...], every: bool) -> list[Abi]:
    releases = load_releases(default_folder())
    if bool(names) is every:
        raise UsageError(f"name a KERNEL or say --all; there are {', '.join(releases.names)}")
    return [releases.select(name) for name in names] if names else list(releases.all)


def _plain(found: Mapping[str, Prediction]) -> dict[str, object]:
    return {
        name: {
            "verdict": cell_verdict(prediction),
            "components": {
                component: {"verdict": expected.verdict, "reason": expected.reason}
                for component, expected in prediction.items()
            },
        }
        for name, prediction in found.items()
    }
