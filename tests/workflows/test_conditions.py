"""Which jobs of compat.yml run for whom, by their conditions as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.workflows.expressions import Strict
from tests.workflows.runner import SUCCESS, holds, load

GITHUB = Path(__file__).parents[2] / ".github"
FILES = [*GITHUB.glob("workflows/*.yml"), *GITHUB.glob("actions/*/action.yml")]
JOBS = load((GITHUB / "workflows/compat.yml").read_text())["jobs"]


def runs(job: str, event: str, pull: Any, **inputs: Any) -> bool:  # noqa: ANN401
    contexts = {
        "github": {"event_name": event, "event": {"pull_request": pull}, "repository": "kho/linux"},
        "inputs": Strict({"post": False, "series": ""} | inputs),
        "needs": {"report": {"result": "failure"}},
    }
    return holds(JOBS[job]["if"], SUCCESS, contexts)


@pytest.mark.parametrize(
    ("repository", "is_told"), [("kho/linux", True), ("eve/linux", False), (None, False)]
)
def test_only_a_branch_of_the_tree_itself_gets_a_comment(
    repository: str | None, is_told: bool
) -> None:
    pull = {"head": {"repo": {"full_name": repository}}} if repository else None
    assert runs("comment", "pull_request", pull) is is_told


def test_no_pull_request_sends_mail() -> None:
    wanted = {"post": True, "series": "x@example.org"}
    assert runs("post", "workflow_dispatch", None, **wanted)
    assert not runs("post", "pull_request", {"number": 7}, **wanted)
    assert not runs("post", "workflow_dispatch", None, post=True)
    assert not runs("post", "workflow_dispatch", None, series="x@example.org")


def test_a_job_may_do_little() -> None:
    writes = {name: job["permissions"] for name, job in JOBS.items()}
    assert writes.pop("comment") == {"pull-requests": "write"}
    assert [*writes.values()] == [{"contents": "read"}] * len(writes)
    with_secrets = [name for name, job in JOBS.items() if "secrets." in yaml.dump(job)]
    assert with_secrets == ["post"]
    assert JOBS["post"]["environment"] == "khoci-post"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(GITHUB)))
def test_no_command_has_a_hole_and_all_actions_are_pinned(file: Path) -> None:
    data = load(file.read_text())
    jobs = data["jobs"].values() if "jobs" in data else [data["runs"]]
    steps = [step for job in jobs for step in job["steps"]]
    assert steps
    for step in steps:
        assert "${{" not in step.get("run", "")
        if not (uses := step.get("uses", "$/")).startswith("$/"):
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", uses)
    for job in jobs:
        if "container" in job:
            assert re.search(r"@sha256:[0-9a-f]{64}$", job["container"]["image"])
