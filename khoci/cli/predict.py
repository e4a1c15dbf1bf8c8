"""``khoci predict``: what will a kernel make of a handover?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import click

from khoci.cli.completing import complete_kernels
from khoci.cli.options import json_option
from khoci.cli.where import where_options, write
from khoci.compat.predict import Prediction, cell_verdict, predict
from khoci.config.abi import Abi, default_folder, load_releases
from khoci.decode.found import find
from khoci.errors import UsageError
from khoci.report.prediction import describe
from khoci.source.opener import open_source


@click.command(name="predict")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("kernels", metavar="KERNEL...", nargs=-1, shell_complete=complete_kernels)
@click.option("--all", "every", is_flag=True, help="all releases of matrix/abi")
@json_option
@where_options
def predict_command(
    file: Path,
    kernels: tuple[str, ...],
    every: bool,
    as_json: bool,
    ram: str | None,
    root: int | None,
    scratch: bytes | None,
    output: Path | None,
) -> None:
    """Say what each KERNEL will make of the handover in FILE, and why.

    FILE is what `khoci decode` takes: a capture, an ELF dump, or raw RAM.

    KERNEL is a release of matrix/abi, such as 6.17; it is taken to be built with all of KHO and
    LUO, and booted with kho=on and the producer's reserve_mem=.

    Example: khoci predict evidence/handover.khocap 6.17 7.3
    """
    chosen = _chosen(kernels, every)
    with open_source(file, layout=ram) as source:
        handover = find(source, root, scratch).handover
        found = {abi.name: predict(source.memory, handover, abi) for abi in chosen}
    if as_json:
        write(json.dumps(_plain(found), indent=2) + "\n", output, file)
        return
    width = shutil.get_terminal_size().columns
    texts = (describe(name, cell_verdict(each), each, width) for name, each in found.items())
    write("".join(f"{text}\n" for text in texts), output, file)


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
