"""Kubernetes, by kubectl: which cluster and namespace, its configuration says."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from khoci.engine.kubernetes import RUN, Pods, gave_back, job, label_of, parse_state
from khoci.engine.work import Work
from khoci.errors import HarnessError
from khoci.kernel.shared import Shared
from khoci.proc import require_tool
from khoci.run.published import published, take


@dataclass
class Kubernetes:
    """The jobs of a run, found by its label; results come through the store.

    Attributes:
        work: what is to be done.
        shards: the folder of the results here.
        image: a container image with khoci and QEMU.
        run: id of the run.
        shared: the store.
        kvm: whether /dev/kvm is asked for.
    """

    work: Work
    shards: Path
    image: str
    run: str
    shared: Shared
    kvm: bool = False
    name: str = "kubernetes"
    _avoid: dict[str, str] = field(default_factory=dict)
    _taken: dict[int, str] = field(default_factory=dict)

    def submit(self, numbers: Sequence[int]) -> None:
        """Apply a job of these shards, that keeps away from nodes that can run no cell.

        Raises:
            HarnessError: kubectl fails.
        """
        pods = Pods(self.image, self.run, self.kvm, tuple(self._avoid))
        name = f"khoci-{label_of(self.run)}-{secrets.token_hex(2)}"
        manifest = job(self.work, numbers, pods, name)
        _asked(["apply", "-f", "-"], json.dumps(manifest))

    def active(self) -> Mapping[int, str]:
        """As the cluster has it.

        Raises:
            HarnessError: kubectl fails.
        """
        return parse_state(self._get("jobs"), self._get("pods"))

    def collect(self) -> list[str]:
        """Get what shards have put into the store since, and look which nodes gave theirs back.

        Raises:
            HarnessError: kubectl or the store fails.
        """
        of = len(self.work.shards)
        for shard in self.work.busy:
            digest = published(self.shared, self.run, f"{shard.number}/{of}")
            if digest and self._taken.get(shard.number) != digest:
                take(self.shared, digest, self.shards / str(shard.number))
                self._taken[shard.number] = digest
        found = gave_back(self._get("pods"))
        new = {node: pod for node, pod in found.items() if node not in self._avoid}
        self._avoid |= new
        told = "can run no cell and gave its shard back"
        return [f"{node} {told}: {_last_line(pod)}" for node, pod in sorted(new.items())]

    def cancel(self) -> None:
        """Delete the jobs, and with them their pods."""
        _asked(["delete", "jobs", "--selector", self._selector, "--wait=false"])

    def why(self, number: int) -> str:
        """Where to look: kubectl knows."""
        return f"kubectl describe jobs,pods --selector {self._selector} (shard {number})"

    @property
    def _selector(self) -> str:
        return f"{RUN}={label_of(self.run)}"

    def _get(self, what: str) -> dict[str, Any]:
        text = _asked(["get", what, "--selector", self._selector, "--output", "json"])
        found: dict[str, Any] = json.loads(text)
        return found


def _last_line(pod: str) -> str:
    try:
        lines = _asked(["logs", pod, "--tail=1"]).splitlines()
    except HarnessError as error:
        return str(error)
    return lines[-1] if lines else "nothing was printed"


def _asked(arguments: Sequence[str], text: str = "") -> str:
    """What kubectl answers.

    Raises:
        HarnessError: it fails.
    """
    command = [require_tool("kubectl"), *arguments]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise HarnessError(f"kubectl {arguments[0]}: {lines[-1]}")
    return done.stdout
