"""A bisection on real kernels: the patch that breaks memfd, between two that do not."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.kernels import load_kernels
from khoci.config.kernelsfile import render_kernels
from khoci.kernel.cache import Artifact
from khoci.paths import data_dir
from tests.vm.conftest import command

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

PATCHES = ("harmless-free", "memfd-silent", "harmless-early")


def test_the_patch_that_breaks_a_cell_is_found(
    kernels: dict[str, Artifact], tmp_path: Path
) -> None:
    matrix = data_dir("matrix")
    base = load_kernels(matrix / "kernels.toml").select("7.3")
    patches = tuple(matrix / "selftest" / f"{name}.patch" for name in PATCHES)
    (tmp_path / "matrix").mkdir()
    series = replace(base, name="my-series", series=None, patches=patches)
    (tmp_path / "matrix/kernels.toml").write_text(render_kernels([series]))

    asked = ("7.3", "@", "--scenario", "memfd", "--series", "my-series", "--json")
    done = bisect(tmp_path, *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    (suspect,) = found["suspects"]
    assert suspect["id"] == "2"
    assert suspect["subject"].startswith("[mutant] ")
    assert found["good"]["kernel"] == "my-series+1"
    assert found["bad"]["kernel"] == "my-series+2"
    assert found["good"]["cell"]["verdict"] == "restored"
    assert found["bad"]["cell"]["components"]["memfd"]["verdict"] == "corrupt"
    reverted = found["reverted"]["tested"]
    assert reverted["kernel"] == "my-series+3-without-2"
    assert reverted["cell"]["verdict"] == "restored"

    again = bisect(tmp_path, "--resume")
    assert again.returncode == 0
    assert "2 is the first bad patch" in again.stdout
    assert "Verified: with it reverted" in again.stdout
    assert "building" not in again.stderr


def bisect(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("bisect", *arguments),
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=2400,
    )
