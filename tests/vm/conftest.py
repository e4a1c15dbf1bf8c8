from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from khoci.config.kernels import load_kernels
from khoci.kernel.cache import Artifact
from khoci.kernel.store import obtain
from khoci.paths import data_dir
from khoci.progress import LineProgress
from tests.vm.caches import cache_with_kernels

Khoci = Callable[[Sequence[str]], subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Run:
    """A finished `khoci matrix run`."""

    status: int
    table: str
    errors: str
    folder: Path
    results: dict[tuple[str, str, str], dict[str, Any]]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "khoci", *arguments]


@pytest.fixture(scope="session")
def kernels() -> dict[str, Artifact]:
    """The three kernels of the default matrix, built if the cache has them not."""
    known = load_kernels(data_dir("matrix") / "kernels.toml")
    progress = LineProgress(sys.__stderr__)
    return {name: obtain(known.select(name), progress) for name in ("6.17", "6.18", "7.3")}


@pytest.fixture(scope="session")
def linux_git(kernels: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linux.git with 7.3 that khoci makes; for copies."""
    assert "7.3" in kernels
    folder = tmp_path_factory.mktemp("linux")
    env = {**os.environ, "KHOCI_CACHE": str(cache_with_kernels(folder))}
    subprocess.run(command("tree", "init", "7.3"), env=env, check=True)
    return folder / "cache/linux.git"


@pytest.fixture(scope="session")
def default_run(kernels: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The first thing a user does."""
    assert len(kernels) == 3
    return run_matrix(tmp_path_factory.mktemp("default"))


def run_matrix(folder: Path, *arguments: str, timeout: int = 900) -> Run:
    done = subprocess.run(
        command("matrix", "run", *arguments),
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    (run,) = (folder / "runs").iterdir()
    results = [json.loads(path.read_text()) for path in sorted(run.glob("*.json"))]
    by_cell = {(r["producer"], r["consumer"], r["scenario"]): r for r in results}
    return Run(done.returncode, done.stdout, done.stderr, run, by_cell)
