"""The command of the container as it stands, on real kernels; a stand-in for the cluster only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from khoci.kernel.cache import Artifact
from tests.engine import standin
from tests.engine.compared import found_in
from tests.stores import BUCKET, s3_server
from tests.vm.conftest import command, kernels

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

__all__ = ["kernels"]
ASKED = ("--kernels", "7.3", "--scenarios", "reserve-mem,memfd", "--no-cell-cache")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    with s3_server(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture
def environment(tmp_path: Path, s3: Mapping[str, str]) -> Mapping[str, str]:
    """With a kubectl that is the stand-in, and the khoci of here."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, words in (("kubectl", standin.__file__), ("khoci", "-m khoci")):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (tools / name).chmod(0o755)
    (tmp_path / "cluster").mkdir()
    return {
        **os.environ,
        **s3,
        "COLUMNS": "80",
        "PATH": f"{tools}:{os.environ['PATH']}",
        "STANDIN": str(tmp_path / "cluster"),
    }


def run(
    folder: Path, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("matrix", "run", *arguments),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )


def test_pods_find_what_is_found_here(
    kernels: dict[str, Artifact], tmp_path: Path, environment: Mapping[str, str]
) -> None:
    assert kernels
    here = run(tmp_path, environment, *ASKED, "--run-id", "here")
    assert here.returncode == 0, here.stderr
    (tmp_path / "tools" / "sh").symlink_to("/bin/sh")
    (tmp_path / "cluster" / "alpha.path").write_text(str(tmp_path / "tools"))
    words = ("--on", "kubernetes", "--image", "khoci:test", "--store", f"s3://{BUCKET}/pods")
    there = run(tmp_path, environment, *ASKED, *words, "--shards", "2", "--run-id", "there")
    assert there.returncode == 0, there.stderr
    told = (
        "alpha can run no cell and gave its shard back: khoci: qemu-system-x86_64 is not installed"
    )
    assert told in there.stderr
    assert found_in(tmp_path / "runs" / "there") == found_in(tmp_path / "runs" / "here")
    assert len(found_in(tmp_path / "runs" / "there")) == 2


def test_what_pods_need_is_said_before_anything_runs(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    done = run(tmp_path, environment, *ASKED, "--on", "kubernetes")
    assert done.returncode == 2
    assert "--on kubernetes needs --image and --store" in done.stderr
    assert not (tmp_path / "runs").exists()
