"""What is printed for engines: every shard once, within what they take."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from khoci.compat.plan import Cell
from khoci.engine import github, gitlab
from khoci.engine.work import Work, to_json
from khoci.errors import UsageError
from khoci.run.shards import Group, shards

GROUPS: list[Group] = [
    (Cell(f"v{number}", "v9", "kho-test"), Cell(f"v{number}", "v9", "memfd"))
    for number in range(300)
]


def work(count: int) -> Work:
    return Work(
        matrix="mine",
        words=("mine", "--scenarios", "kho-test,memfd:size=64M"),
        kernels={"v1": "a" * 64, "v9": "b" * 64},
        shards=shards(GROUPS, lambda group: 2.0 * len(group), count),
        cached={"v1": True, "v9": False},
    )


def test_two_matrices_for_github() -> None:
    text = github.render(work(7))
    assert text.count("\n") == 1
    data = json.loads(text)
    assert data["schema"] == 1
    assert data["matrix"] == "mine"
    assert data["kernels"]["include"][1] == {"kernel": "v9", "key": "b" * 64}
    found = data["shards"]["include"]
    assert [each["shard"] for each in found] == [f"{number}/7" for number in range(1, 8)]
    assert sum(each["cells"] for each in found) == 600
    assert found[0]["seconds"] >= found[-1]["seconds"] > 0


@pytest.mark.parametrize(("render", "most"), [(github.render, 256), (gitlab.render, 200)])
def test_no_more_jobs_than_an_engine_takes(render: object, most: int) -> None:
    assert callable(render)
    assert render(work(most))
    with pytest.raises(UsageError, match=f"{most + 1} shards: .* takes {most} jobs at most"):
        render(work(most + 1))
    many = replace(work(2), kernels={f"v{number}": "a" for number in range(300)})
    with pytest.raises(UsageError, match="300 kernels"):
        render(many)


def test_empty_shards_are_no_jobs() -> None:
    few = replace(work(1), shards=shards(GROUPS[:2], lambda _: 1.0, 5))
    assert [each["shard"] for each in json.loads(github.render(few))["shards"]["include"]] == [
        "1/5",
        "2/5",
    ]


def test_a_pipeline_for_gitlab() -> None:
    pipeline = json.loads(gitlab.render(work(3)))
    assert pipeline["cells"]["parallel"]["matrix"] == [{"SHARD": ["1/3", "2/3", "3/3"]}]
    (script,) = pipeline["cells"]["script"]
    assert script == (
        "khoci matrix run mine --scenarios kho-test,memfd:size=64M "
        '--shard "$SHARD" --no-policy --run-id "shard-${SHARD%/*}"'
    )
    assert pipeline["kernel"]["script"] == ['khoci kernel --matrix mine build "$KERNEL"']
    stages = pipeline["stages"]
    assert [pipeline[job]["stage"] for job in ("kernel", "cells", "report")] == stages


def test_all_of_it_as_json() -> None:
    data = to_json(work(3))
    assert len(data["cells"]) == 600
    by_shard = [cell["shard"] for cell in data["cells"]]
    for each in data["shards"]:
        assert by_shard.count(each["shard"]) == each["cells"]
        assert each["command"].endswith(f"--shard {each['shard']} --no-policy")
