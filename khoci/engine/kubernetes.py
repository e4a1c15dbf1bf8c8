"""An Indexed Job for Kubernetes: one index a shard. Pure.

Of batch/v1 as of 1.29, where ``backoffLimitPerIndex`` came:
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from khoci.engine.distribute import RUNNING, WAITING
from khoci.engine.work import Work
from khoci.errors import EXIT_GIVEN_BACK

KVM = "devices.kubevirt.io/kvm"
"""What the device plugin of KubeVirt calls /dev/kvm."""
RUN, SHARDS = "khoci/run", "khoci/shards"
"""A label, and an annotation with the numbers of the shards, by index."""
SECRET = "khoci-store"  # noqa: S105  (the name of a secret, that has what opens the store)
CONTAINER = "cells"
RETRIES = 3
"""Of an index. Pods that are evicted do not count."""
_INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass(frozen=True)
class Pods:
    """How the pods of a job are made.

    Attributes:
        image: a container image with khoci and QEMU.
        run: id of the run, under which shards are put into the store.
        kvm: whether /dev/kvm is asked for.
        avoid: names of nodes that can run no cell.
    """

    image: str
    run: str
    kvm: bool = False
    avoid: tuple[str, ...] = ()


def job(work: Work, numbers: Sequence[int], pods: Pods, name: str) -> dict[str, Any]:
    """The Job of some shards, as plain JSON values, which ``kubectl apply -f -`` takes."""
    labels = {"app.kubernetes.io/name": "khoci", RUN: label_of(pods.run)}
    metadata = {"name": name, "labels": labels, "annotations": {SHARDS: words(numbers)}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "completionMode": "Indexed",
            "completions": len(numbers),
            "parallelism": len(numbers),
            "backoffLimitPerIndex": RETRIES,
            "maxFailedIndexes": len(numbers),
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailIndex",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": [EXIT_GIVEN_BACK],
                        },
                    },
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": {"metadata": {"labels": labels}, "spec": _pod(work, numbers, pods)},
        },
    }


def _pod(work: Work, numbers: Sequence[int], pods: Pods) -> dict[str, Any]:
    resources: dict[str, str] = {"cpu": str(work.jobs), "memory": f"{work.megabytes}Mi"}
    limits = {"memory": resources["memory"], **({KVM: "1"} if pods.kvm else {})}
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": CONTAINER,
                "image": pods.image,
                "workingDir": "/work",
                "command": ["sh", "-c", _script(work, numbers, pods.run)],
                "env": [{"name": "KHOCI_CACHE", "value": "/work/cache"}],
                "envFrom": [{"secretRef": {"name": SECRET, "optional": True}}],
                "resources": {"requests": {**resources, **limits}, "limits": limits},
                "volumeMounts": [{"name": "work", "mountPath": "/work"}],
            }
        ],
        "volumes": [{"name": "work", "emptyDir": {}}],
    }
    if pods.avoid:
        spec["affinity"] = _away_from(pods.avoid)
    return spec


def _script(work: Work, numbers: Sequence[int], run: str) -> str:
    """Which shard it is, by the index of the pod; and that shard."""
    command = work.command("SHARD", "--give-back", "-j", str(work.jobs), "--publish", run)
    line = shlex.join(command).replace("--shard SHARD", f'--shard "$1/{len(work.shards)}"')
    return "\n".join(
        [
            f"set -- {words(numbers)}",
            'shift "$JOB_COMPLETION_INDEX"',
            f'exec {line} -o "shards/$1"',
        ]
    )


def _away_from(nodes: Sequence[str]) -> dict[str, Any]:
    term = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": sorted(nodes)}
    return {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [term]}]
            }
        }
    }


def render(work: Work) -> str:
    """What `khoci matrix run --on kubernetes` would submit."""
    numbers = [shard.number for shard in work.busy]
    pods = Pods(image="IMAGE", run="RUN", kvm="kvm" in work.words)
    return json.dumps(job(work, numbers, pods, "khoci-run"), indent=2) + "\n"


def words(numbers: Sequence[int]) -> str:
    """``1 2 5``."""
    return " ".join(map(str, numbers))


def label_of(run: str) -> str:
    """A run as a label and a part of names: small letters, digits and ``-``."""
    return re.sub(r"[^a-z0-9]+", "-", run.lower()).strip("-")[:40]


def parse_state(jobs: Mapping[str, Any], pods: Mapping[str, Any]) -> dict[int, str]:
    """The shards that wait or run, of ``kubectl get jobs`` and ``get pods`` with ``-o json``."""
    running = {
        (_label(pod, "batch.kubernetes.io/job-name"), _annotation(pod, _INDEX))
        for pod in pods["items"]
        if pod.get("status", {}).get("phase") == "Running"
    }
    states: dict[int, str] = {}
    for item in jobs["items"]:
        status, name = item.get("status", {}), item["metadata"]["name"]
        if any(
            each["type"] in ("Complete", "Failed") and each["status"] == "True"
            for each in status.get("conditions", ())
        ):
            continue
        ended = {
            *indexes(status.get("completedIndexes", "")),
            *indexes(status.get("failedIndexes", "")),
        }
        for index, number in enumerate(_annotation(item, SHARDS).split()):
            if index not in ended:
                states[int(number)] = RUNNING if (name, str(index)) in running else WAITING
    return states


def gave_back(pods: Mapping[str, Any]) -> dict[str, str]:
    """The nodes that can run no cell, and a pod of each that said so."""
    found = {}
    for pod in pods["items"]:
        for each in pod.get("status", {}).get("containerStatuses", ()):
            code = each.get("state", {}).get("terminated", {}).get("exitCode")
            node = pod["spec"].get("nodeName")
            if code == EXIT_GIVEN_BACK and node:
                found[node] = pod["metadata"]["name"]
    return found


def indexes(text: str) -> list[int]:
    """The numbers of ``1,3-5``."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _label(item: Mapping[str, Any], name: str) -> str:
    return str(item["metadata"].get("labels", {}).get(name, ""))


def _annotation(item: Mapping[str, Any], name: str) -> str:
    return str(item["metadata"].get("annotations", {}).get(name, ""))
