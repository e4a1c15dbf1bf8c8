from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat.cell import groups
from khoci.compat.plan import Cell
from khoci.config.kernels import load_kernels
from khoci.config.matrix import GuestConfig, load_matrix
from khoci.errors import UsageError
from khoci.paths import data_dir
from khoci.run.cost import seconds_of
from khoci.run.matrix import Plan, make_plan
from khoci.run.shards import JOB_SECONDS, Group, fitting_count, parsed, shards
from khoci.scenario import definitions, select

GROUPS = st.lists(st.integers(1, 5), max_size=40).map(
    lambda sizes: [
        tuple(Cell(f"v{index}", "v9", f"scenario-{number}") for number in range(size))
        for index, size in enumerate(sizes)
    ]
)
PLANS = st.builds(
    Plan,
    kernels=st.lists(st.sampled_from([f"v{n}" for n in range(9)]), unique=True).map(tuple),
    pairs=st.sampled_from(["self", "adjacent", "upgrade", "rollback", "all"]),
    scenarios=st.lists(st.sampled_from(sorted(definitions())), unique=True).map(tuple),
    guest=st.just(GuestConfig()),
    matrix=st.just("default"),
)


def by_size(group: Group) -> float:
    return 1.5 + len(group)


@given(GROUPS, st.integers(1, 50))
def test_shards_are_disjoint_and_complete(found: Sequence[Group], count: int) -> None:
    parts = shards(found, by_size, count)
    together = [group for part in parts for group in part.groups]
    assert sorted(together, key=str) == sorted(found, key=str)
    assert [part.label for part in parts] == [f"{number}/{count}" for number in range(1, count + 1)]
    assert [part.seconds for part in parts] == sorted((p.seconds for p in parts), reverse=True)
    for part in parts:
        assert part.seconds == pytest.approx(sum(map(by_size, part.groups)))
        assert [found.index(group) for group in part.groups] == sorted(
            map(found.index, part.groups)
        )


@given(GROUPS, st.integers(1, 50))
def test_no_shard_takes_much_longer_than_the_best_that_is_possible(
    found: Sequence[Group], count: int
) -> None:
    costs = [by_size(group) for group in found]
    least = max([sum(costs) / count, *costs])
    assert shards(found, by_size, count)[0].seconds <= least * 4 / 3 + max(costs, default=0) / 3 + 1


@given(PLANS, st.integers(1, 20))
def test_the_shards_of_a_plan_are_the_plan(plan: Plan, count: int) -> None:
    parts = [replace(plan, shard=f"{number}/{count}").cells for number in range(1, count + 1)]
    assert sorted(str(cell) for part in parts for cell in part) == sorted(map(str, plan.cells))
    known = {scenario.name: scenario for scenario in select(plan.scenarios)}
    for group in groups(plan.cells, known):
        assert len([part for part in parts if {*group} & {*part}]) == 1
    assert Plan.from_json(replace(plan, shard=f"1/{count}").to_json()).cells == parts[0]


def releases() -> Plan:
    folder = data_dir("matrix")
    kernels = load_kernels(folder / "kernels.toml")
    return make_plan(load_matrix(folder / "releases.toml", "releases"), kernels)


def test_another_process_makes_the_same_shards() -> None:
    script = "from tests.run.test_shards import *; print(hash_of(releases()))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert texts == {hash_of(releases())}


def hash_of(plan: Plan) -> str:
    return " ".join(str(len(part.cells)) + part.cells[0].name for part in plan.shards(7))


def test_shards_that_are_kept_are_those_of_today() -> None:
    """A retried job of yesterday's workflow must run what it ran then."""
    parts = releases().shards(8)
    assert [len(part.cells) for part in parts] == [104] * 8
    assert {cell.pair for cell in parts[0].cells[:1]} == {("v6.16.12", "v6.16.12")}


def test_a_large_guest_and_many_scenarios_take_longer() -> None:
    known = {s.name: s for s in select(["kho-test", "memfd", "memory-shape:memory=5G:nodes=2"])}
    one = seconds_of([Cell("a", "b", "kho-test")], known, 1 << 30)
    two = seconds_of([Cell("a", "b", "kho-test"), Cell("a", "b", "memfd")], known, 1 << 30)
    large = seconds_of([Cell("a", "b", "memory-shape:memory=5G:nodes=2")], known, 1 << 30)
    assert one < two < 2 * one
    assert one < large


def test_as_many_shards_as_are_worth_their_while() -> None:
    one = (Cell("a", "b", "c"),)
    assert fitting_count([], by_size, 9) == 1
    assert fitting_count([one], lambda _: 9 * JOB_SECONDS, 9) == 1
    assert fitting_count([one] * 6, lambda _: JOB_SECONDS / 2, 9) == 3
    assert fitting_count([one] * 600, lambda _: JOB_SECONDS, 9) == 9


@pytest.mark.parametrize("label", ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "01/4"])
def test_what_is_no_shard(label: str) -> None:
    with pytest.raises(UsageError, match="is no shard: write it like 1/8"):
        parsed(label)
