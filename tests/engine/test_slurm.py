"""Cells on a real Slurm: three nodes, each with a cache of its own, and a store that speaks S3."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from khoci.kernel.cache import Artifact
from tests.engine.compared import found_in
from tests.slurm import Cluster, cluster
from tests.stores import BUCKET, s3_server
from tests.vm.conftest import command, kernels

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

__all__ = ["kernels"]
ASKED = ("--kernels", "6.18,7.3", "--scenarios", "reserve-mem")
STORE = ("--store", f"s3://{BUCKET}/khoci", "--no-cell-cache")
ON_SLURM = ("--on", "slurm", "--shards", "4")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("slurm")
    with s3_server(folder) as s3, cluster(folder) as found:
        found.environment = {**found.environment, **s3}
        yield found


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(slurm: Cluster) -> Start:
    """Starts the real command in the folder of the cluster."""

    def started(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command("matrix", "run", *arguments),
            cwd=slurm.folder,
            env={**os.environ, **slurm.environment, "COLUMNS": "80"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


@pytest.fixture(scope="module")
def here(kernels: dict[str, Artifact], slurm: Cluster) -> dict[str, str]:
    """What a local run finds."""
    assert kernels
    asked = command("matrix", "run", *ASKED, "--run-id", "here", "--no-cell-cache")
    done = subprocess.run(asked, cwd=slurm.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return found_in(slurm.folder / "runs" / "here")


def wait_until(there: Callable[[], object], what: str) -> None:
    for _ in range(600):
        if there():
            return
        time.sleep(0.1)
    raise TimeoutError(f"no {what} within a minute")


def queue(slurm: Cluster) -> Mapping[str, tuple[str, str]]:
    """State and node of each task."""
    lines = slurm.ask("squeue", "--me", "--array", "--noheader", "--format=%K %T %N").splitlines()
    words = [[*line.split(), ""] for line in lines]
    return {word[0]: (word[1], word[2]) for word in words}


def shard_on(slurm: Cluster, run: str, node: str) -> str:
    """A shard that runs a cell on this node just now; empty if none does."""
    for shard, (state, where) in queue(slurm).items():
        evidence = slurm.folder / "runs" / run / "shards" / shard / "evidence"
        if (state, where) == ("RUNNING", node) and list(evidence.glob("*/qemu.log")):
            return shard
    return ""


def test_a_node_without_a_working_qemu_takes_no_cell(
    slurm: Cluster, start: Start, here: dict[str, str]
) -> None:
    broken = slurm.folder / "broken"
    broken.mkdir()
    program = broken / "qemu-system-x86_64"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "QEMU 0" || exit 1\n')
    program.chmod(0o755)
    slurm.tell("node3", f"export PATH={broken}:{os.environ['PATH']}")
    done = start(*ASKED, *STORE, *ON_SLURM, "--run-id", "there")
    out, err = done.communicate(timeout=300)
    slurm.tell("node3", "")
    assert done.returncode == 0, err
    assert "node3 can run no cell and gave its shard back: " in err
    assert "no guest comes up with tcg: QEMU did not start" in err
    assert "running 4 cells (slurm, 4 shards)" in err
    assert "results: runs/there/" in out
    run = slurm.folder / "runs" / "there"
    assert found_in(run) == here
    assert sorted(path.name for path in (run / "shards").iterdir()) == ["logs", "unfit"]
    for node in ("node1", "node2"):
        assert list((slurm.cache(node) / "kernels").glob("*/bzImage")), "from the store"
    assert queue(slurm) == {}


def test_a_node_dies_and_so_does_khoci(slurm: Cluster, start: Start, here: dict[str, str]) -> None:
    first = start(*ASKED, *STORE, *ON_SLURM, "--run-id", "killed")
    wait_until(lambda: shard_on(slurm, "killed", "node2"), "cell on node2")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    shard = shard_on(slurm, "killed", "node2")
    slurm.kill("node2")
    assert shard
    again = start("--run", "killed", *STORE)
    wait_until(lambda: "equeue" in (slurm.folder / "slurmctld.log").read_text(), "requeue")
    slurm.start("node2")
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    assert found_in(slurm.folder / "runs" / "killed") == here
    assert "JobId=" in slurm.ask("scontrol", "show", "job")
    assert queue(slurm) == {}


def test_an_interrupt_cancels_the_job(slurm: Cluster, start: Start, here: object) -> None:
    assert here
    run = start(*ASKED, *STORE, *ON_SLURM, "--run-id", "stopped")
    wait_until(lambda: "RUNNING" in {state for state, _ in queue(slurm).values()}, "task")
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert err.splitlines()[-1] == "khoci: interrupted"
    wait_until(lambda: not queue(slurm), "empty queue")
