"""The 64 pairs of all releases on a real Slurm, with a node and khoci itself killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.engine.compared import verdicts_in
from tests.slurm import Cluster, cluster
from tests.stores import BUCKET, s3_server
from tests.vm.conftest import command

pytestmark = [pytest.mark.releases, pytest.mark.timeout(7200)]

ASKED = ("releases", "--scenarios", "reserve-mem", "--no-cell-cache")
ON_SLURM = ("--on", "slurm", "--shards", "16", "--store", f"s3://{BUCKET}/releases")


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Cluster]:
    with s3_server(tmp_path) as s3, cluster(tmp_path) as found:
        found.environment = {**found.environment, **s3}
        yield found


def khoci(slurm: Cluster, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """The real command; what it says is in a file."""
    with (slurm.folder / f"{name}.txt").open("ab") as log:
        return subprocess.Popen(
            command("matrix", "run", *arguments),
            cwd=slurm.folder,
            env={**os.environ, **slurm.environment, "COLUMNS": "80"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def results(slurm: Cluster, run: str) -> int:
    """How many cells have a result in the shards."""
    return len(list((slurm.folder / "runs" / run / "shards").glob("*/v*.json")))


def wait_for_results(slurm: Cluster, run: str, count: int) -> None:
    while results(slurm, run) < count:
        time.sleep(0.5)


def test_64_pairs_with_a_node_and_khoci_killed(slurm: Cluster) -> None:
    times: dict[str, float] = {}
    began = time.monotonic()
    here = khoci(slurm, "here", *ASKED, "--run-id", "here")
    assert here.wait() == 0, (slurm.folder / "here.txt").read_text()
    times["here"] = time.monotonic() - began

    began = time.monotonic()
    first = khoci(slurm, "there", *ASKED, *ON_SLURM, "--run-id", "there")
    wait_for_results(slurm, "there", 8)
    slurm.kill("node2")
    wait_for_results(slurm, "there", 16)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done_before = results(slurm, "there")
    again = khoci(slurm, "again", "--run", "there", "--store", f"s3://{BUCKET}/releases")
    assert again.wait() == 0, (slurm.folder / "again.txt").read_text()
    times["there"] = time.monotonic() - began

    found: Mapping[str, Mapping[str, str]] = {
        name: verdicts_in(slurm.folder / "runs" / name) for name in ("here", "there")
    }
    assert len(found["here"]) == 64
    assert found["there"] == found["here"]
    log = (slurm.folder / "slurmctld.log").read_text()
    sys.stdout.write(
        f"{times}, {done_before} cells when khoci was killed, {log.count('requeue')} requeues\n"
    )
    assert "not responding, setting DOWN" in log
    assert slurm.ask("squeue", "--me", "--noheader") == ""
