from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from khoci.kernel.cache import Artifact
from khoci.paths import cache_dir
from tests.vm.conftest import command

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

ASKED = ("--kernels", "6.18,7.3", "--scenarios", "kho-test")


@pytest.fixture
def own_cells(tmp_path: Path, kernels: dict[str, Artifact]) -> Path:
    """A cache with the kernels of the user's, and no cells."""
    assert kernels
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "kernels").symlink_to(cache_dir() / "kernels")
    return folder


def run(cache: Path, name: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
    own = {"KHOCI_CACHE": str(cache), "COLUMNS": "80"}
    environment = {**os.environ, **own}
    environment.pop("KHOCI_NO_CELL_CACHE")
    done = subprocess.run(
        command("matrix", "run", *ASKED, "--run-id", name),
        cwd=cache.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return cache.parent / "runs" / name, done


def test_what_is_known_is_not_run_again_and_a_lie_is_found(own_cells: Path) -> None:
    first, done = run(own_cells, "first")
    assert done.returncode == 0, done.stderr
    assert "are known" not in done.stderr
    second, done = run(own_cells, "second")
    assert done.returncode == 0
    assert "3 of 4 cells are known and not run again; 1 run to compare" in done.stderr
    assert "not to be trusted" not in done.stderr
    note = json.loads((second / "meta" / "cells.json").read_text())
    assert (len(note["cached"]), len(note["again"])) == (3, 1)
    for cell in note["cached"]:
        names = [
            f"{cell}.json",
            *json.loads((first / f"{cell}.json").read_text())["files"].values(),
        ]
        assert len(names) > 3
        for name in names:
            assert (second / name).read_bytes() == (first / name).read_bytes()

    for path in (own_cells / "cells" / "results").iterdir():
        kept = json.loads(path.read_text())
        kept["text"] = kept["text"].replace('"verdict": "re', '"verdict": "accepted", "x": "')
        path.write_text(json.dumps(kept))
    third, done = run(own_cells, "third")
    (cell,) = json.loads((third / "meta" / "cells.json").read_text())["again"]
    producer, consumer, scenario = cell.split("..")
    assert f"not to be trusted: {producer} -> {consumer} {scenario}: accepted (" in done.stderr
    assert "run again with --no-cell-cache" in done.stderr
    assert json.loads((third / f"{cell}.json").read_text())["verdict"] != "accepted"
