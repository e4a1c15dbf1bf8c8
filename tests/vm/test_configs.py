"""Verdicts do not depend on the leanness of the usual config."""

from __future__ import annotations

import pytest

from tests.vm.conftest import Run, run_matrix

pytestmark = [pytest.mark.releases, pytest.mark.timeout(7200)]

SCENARIOS = ("kho-test", "reserve-mem", "memfd", "luo-sessions", "vmalloc")
ASKED = ("--kernels", "6.18,7.3", "--scenarios", ",".join(SCENARIOS), "--no-cell-cache")

Verdicts = dict[tuple[str, str, str], dict[str, str]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """The same cells by the lean config and by that of distributions."""
    matrices = ("default", "distribution-like")
    return {
        name: run_matrix(tmp_path_factory.mktemp(name), name, *ASKED, timeout=7000)
        for name in matrices
    }


def verdicts(run: Run) -> Verdicts:
    """The verdict of each component of each cell."""
    return {
        cell: {name: each["verdict"] for name, each in result["components"].items()}
        for cell, result in run.results.items()
    }


def test_every_component_has_the_same_verdict(runs: dict[str, Run]) -> None:
    lean = verdicts(runs["default"])
    assert len(lean) == 4 * len(SCENARIOS)
    assert {v for each in lean.values() for v in each.values()} >= {"restored", "refused"}
    assert verdicts(runs["distribution-like"]) == lean
    assert [run.status for run in runs.values()] == [0, 0]


def test_the_kernels_are_two(runs: dict[str, Run]) -> None:
    """A run by the lean kernels twice would be equal too."""
    keys = [run.results["v7.3.4", "v7.3.4", "memfd"]["details"]["kernels"] for run in runs.values()]
    assert keys[0] != keys[1]
