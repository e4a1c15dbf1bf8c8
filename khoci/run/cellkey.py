"""What decides the result of a cell: its key in the cell cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from khoci.compat.bench import Bench
from khoci.compat.plan import Cell
from khoci.kernel.cache import Artifact, key_of
from khoci.kernel.download import file_sha256
from khoci.paths import data_dir
from khoci.vm.accel import qemu_version

SCHEMA = 1

_CODE = (
    *("abi", "compat", "config", "fault", "format", "guest", "scenario", "vm"),
    *("__init__.py", "results.py", "sizes.py", "verdicts.py"),
)
"""Of khoci: what a result may depend on. Reports and commands are not in it."""
_DATA = ("abi", "loglines.toml")
"""The same of `matrix/`."""


@dataclass(frozen=True)
class CellKeys:
    """Makes the keys of the cells of a run.

    Attributes:
        bench: what all of them share.
        host: what decides besides: khoci, the agent, QEMU.
    """

    bench: Bench
    host: dict[str, Any]

    def inputs(self, cell: Cell) -> dict[str, Any] | None:
        """All that decides the result of a cell; None if chance does too, or no kernel is there."""
        kernels = self.bench.kernels
        if cell.producer not in kernels or cell.consumer not in kernels:
            return None
        if self.bench.scenarios[cell.scenario].shape.kaslr:
            return None
        return {
            **self.host,
            "matrix": self.bench.matrix,
            "guest": asdict(self.bench.guest),
            "accelerator": asdict(self.bench.accelerator),
            "scenario": cell.scenario,
            "fault": cell.fault,
            "producer": self._side(cell.producer),
            "consumer": self._side(cell.consumer),
        }

    def key(self, cell: Cell) -> str:
        """Its key; empty where it has none."""
        inputs = self.inputs(cell)
        return "" if inputs is None else key_of(inputs)

    def _side(self, name: str) -> dict[str, Any]:
        kernel = self.bench.kernels[name]
        abi = self.bench.releases.find_for(name, kernel.release)
        return {
            "name": name,
            "key": kernel.key,
            "arch": kernel.arch,
            "cmdline": kernel.cmdline,
            "files": _files(kernel),
            "understands": asdict(abi) if abi else None,
        }


def cell_keys(bench: Bench) -> CellKeys:
    """The keys of cells on this host.

    Raises:
        HarnessError: QEMU does not say its version.
    """
    architectures = sorted({kernel.arch for kernel in bench.kernels.values()})
    host = {
        "schema": SCHEMA,
        "khoci": _own_digest(),
        "agent": file_sha256(bench.agent),
        "qemu": {arch: qemu_version(arch) for arch in architectures},
    }
    return CellKeys(bench, host)


@cache
def _files(kernel: Artifact) -> dict[str, str]:
    """Digests of what stands beside the image: a ready one has a key without them."""
    beside = {"System.map": kernel.system_map, "config": kernel.config}
    return {name: file_sha256(path) for name, path in beside.items() if path is not None}


@cache
def _own_digest() -> str:
    package, data = Path(str(resources.files("khoci"))), data_dir("matrix")
    files = [
        *_below(package, _CODE, {".py", ".c", ".h"}),
        *_below(data, _DATA, {".toml"}),
    ]
    digest = hashlib.sha256()
    for name, path in sorted(files):
        digest.update(json.dumps([name, file_sha256(path)]).encode())
    return digest.hexdigest()


def _below(root: Path, names: Iterable[str], suffixes: set[str]) -> list[tuple[str, Path]]:
    """The files of these names, or in folders of them, with their names below ``root``."""
    found = []
    for path in (root / name for name in names):
        inside = path.rglob("*") if path.is_dir() else [path]
        found += [file for file in inside if file.is_file() and file.suffix in suffixes]
    return [(str(file.relative_to(root)), file) for file in found]
