from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest

from khoci.compat.plan import Cell
from khoci.engine.kubernetes import (
    KVM,
    Pods,
    gave_back,
    indexes,
    job,
    label_of,
    parse_state,
    render,
)
from khoci.engine.work import Work
from khoci.run.shards import shards

GROUPS = [(Cell(f"v{number}", "v9", "kho-test"),) for number in range(12)]
WORK = Work(
    matrix="releases",
    words=("releases", "--store", "s3://bucket/x"),
    kernels={"v1": "a" * 64},
    shards=shards(GROUPS, lambda _: 1.0, 6),
    jobs=2,
)
PODS = Pods("registry.example/khoci:1", "20261128-101500-ab12")


def manifest(pods: Pods = PODS) -> dict[str, Any]:
    return job(WORK, [2, 5, 6], pods, "khoci-x")


@pytest.mark.parametrize("version", ["1.31", "1.37"])
@pytest.mark.parametrize(
    "pods", [PODS, replace(PODS, kvm=True), replace(PODS, avoid=("node-b", "node-a"))]
)
def test_the_schema_of_kubernetes_takes_it(pods: Pods, version: str) -> None:
    kubernetes_validate.validate(manifest(pods), version, strict=True)
    kubernetes_validate.validate(json.loads(render(WORK)), version, strict=True)


def test_the_schema_would_say_no() -> None:
    data = manifest()
    data["spec"]["backoffLimitPerIndexes"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(data, "1.31", strict=True)


def test_an_index_for_each_shard() -> None:
    data = manifest()
    assert data["spec"]["completions"] == 3
    assert data["spec"]["completionMode"] == "Indexed"
    assert data["spec"]["backoffLimitPerIndex"] == 3
    (container,) = data["spec"]["template"]["spec"]["containers"]
    assert container["command"][:2] == ["sh", "-c"]
    first, second, last = container["command"][2].splitlines()
    assert (first, second) == ("set -- 2 5 6", 'shift "$JOB_COMPLETION_INDEX"')
    assert last == (
        'exec khoci matrix run releases --store s3://bucket/x --shard "$1/6" --no-policy '
        '--give-back -j 2 --publish 20261128-101500-ab12 -o "shards/$1"'
    )
    assert container["resources"]["limits"] == {"memory": "3072Mi"}


def test_kvm_is_asked_for_by_its_device_plugin() -> None:
    (container,) = manifest(replace(PODS, kvm=True))["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"][KVM] == "1"


def test_states_of_shards() -> None:
    data = manifest()
    data["status"] = {"completedIndexes": "0"}
    pod = {
        "metadata": {
            "name": "khoci-x-1",
            "labels": {"batch.kubernetes.io/job-name": "khoci-x"},
            "annotations": {"batch.kubernetes.io/job-completion-index": "1"},
        },
        "spec": {"nodeName": "a"},
        "status": {"phase": "Running"},
    }
    assert parse_state({"items": [data]}, {"items": [pod]}) == {5: "running", 6: "waiting"}
    data["status"] = {"failedIndexes": "0-1"}
    assert parse_state({"items": [data]}, {"items": []}) == {6: "waiting"}
    data["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}
    assert parse_state({"items": [data]}, {"items": [pod]}) == {}


def test_nodes_that_gave_their_shard_back() -> None:
    def pod(node: str, code: int) -> dict[str, Any]:
        state = {"terminated": {"exitCode": code}}
        status = {"containerStatuses": [{"state": state}]}
        return {"metadata": {"name": f"pod-{node}"}, "spec": {"nodeName": node}, "status": status}

    pods = {"items": [pod("a", 75), pod("b", 3), {**pod("c", 0), "status": {}}]}
    assert gave_back(pods) == {"a": "pod-a"}


@pytest.mark.parametrize(("text", "found"), [("", []), ("1,3-5", [1, 3, 4, 5]), ("0", [0])])
def test_indexes(text: str, found: list[int]) -> None:
    assert indexes(text) == found


@pytest.mark.parametrize("run", ["20261128-101500-ab12", "Mine_1.2", "x" * 90])
def test_a_run_is_a_label(run: str) -> None:
    data = job(WORK, [1], replace(PODS, run=run), f"khoci-{label_of(run)}-ab12")
    assert len(data["metadata"]["name"]) < 63
    kubernetes_validate.validate(data, "1.31", strict=True)
