from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest

from tests.vm.conftest import Run

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

OLD, NEW, RADIX = "v6.17.13", "v6.18.15", "v7.3.4"


def test_every_cell_has_a_result_and_none_is_an_error(default_run: Run) -> None:
    assert len(default_run.results) == 27
    assert len(booted(default_run)) == 21, "6.17 and 6.18 have no LUO, and so no memfd"
    assert not [key for key, value in default_run.results.items() if value["verdict"] == "error"]
    assert default_run.status == 0, default_run.errors


@pytest.mark.parametrize("kernel", [OLD, NEW, RADIX])
def test_a_kernel_understands_itself(default_run: Run, kernel: str) -> None:
    tested = default_run.results[kernel, kernel, "kho-test"]
    reserved = default_run.results[kernel, kernel, "reserve-mem"]
    assert tested["verdict"] == reserved["verdict"] == "restored"
    assert "KHO restore succeeded" in evidence(tested, "kho_test")
    for name in ("khoci-large", "khoci-small"):
        assert f"Revived memory reservation '{name}' from KHO" in evidence(reserved, "reserve_mem")
        assert re.search(rf"reserve_mem {name} [0-9a-f]{{12}}", evidence(reserved, "reserve_mem"))


def test_a_virtual_machines_memory_survives_its_own_kernel(default_run: Run) -> None:
    result = default_run.results[RADIX, RADIX, "memfd"]
    assert result["verdict"] == "restored"
    assert "file 1 of 'khoci-memfd': same" in evidence(result, "memfd")
    assert "equal to what was handed over" in evidence(result, "memfd")


@pytest.mark.parametrize("old", [OLD, NEW])
@pytest.mark.parametrize("scenario", ["kho-test", "reserve-mem"])
def test_another_version_string_is_refused_in_both_directions(
    default_run: Run, old: str, scenario: str
) -> None:
    for pair, string in (((old, RADIX), "kho-v4"), ((RADIX, old), "kho-v1")):
        result = default_run.results[(*pair, scenario)]
        assert result["verdict"] == "refused"
        assert f"is incompatible with '{string}'" in evidence(result, "root")


def test_one_string_over_two_bitmap_layouts_does_not_survive(default_run: Run) -> None:
    for scenario in ("kho-test", "reserve-mem"):
        forward = default_run.results[OLD, NEW, scenario]
        assert forward["verdict"] == "panic"
        assert "found kexec handover data" in evidence(forward, "root")
        assert re.search(r"RIP: 0010:(kho|memblock)_", evidence(forward, "memory map"))
        assert forward["details"]["handover"]["layout"] == "A"


def test_an_old_consumer_loses_what_it_does_not_read(default_run: Run) -> None:
    tested = default_run.results[NEW, OLD, "kho-test"]
    reserved = default_run.results[NEW, OLD, "reserve-mem"]
    assert tested["verdict"] == tested["components"]["kho_test"]["verdict"] == "dropped"
    assert reserved["verdict"] == "corrupt"
    assert "Revived memory reservation 'khoci-small'" in evidence(reserved, "reserve_mem")
    assert "16 of 16 pages are free memory" in evidence(reserved, "reserve_mem")
    assert tested["details"]["handover"]["layout"] in ("B", "B (not certain)")  # by chance A too


def test_both_logs_are_whole_and_belong_to_their_side(default_run: Run) -> None:
    for (producer, consumer, _), result in booted(default_run).items():
        sides = {"producer.log": producer, "consumer.log": consumer}
        for name, kernel in sides.items():
            log = (default_run.folder / result["files"][name]).read_text()
            assert log.count("Linux version ") <= 2
            assert f"Linux version {kernel.removeprefix('v')} " in log
            other = ({producer, consumer} - {kernel}) or {"none"}
            assert f"Linux version {other.pop().removeprefix('v')} " not in log


def test_a_capture_is_kept_and_small(default_run: Run) -> None:
    for result in booted(default_run).values():
        capture = default_run.folder / result["files"]["handover.khocap"]
        assert 500 < capture.stat().st_size < 100_000


def test_what_was_seen_is_what_was_predicted(default_run: Run) -> None:
    for result in booted(default_run).values():
        expected = {name: item["verdict"] for name, item in result["prediction"].items()}
        seen = {name: item["verdict"] for name, item in result["components"].items()}
        assert seen == {name: expected[name] for name in seen}
    assert "prediction agrees in 21 of 21 cells" in default_run.table


def test_the_table_fits_and_says_it_all(default_run: Run) -> None:
    assert max(map(len, default_run.table.splitlines())) <= 75
    for kernel in (OLD, NEW, RADIX):
        assert kernel in default_run.table
    assert "khoci cell run v6.17.13 v6.18.15" in default_run.table


def booted(run: Run) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The cells whose producer has something of the scenario."""
    return {key: result for key, result in run.results.items() if result["verdict"] != "absent"}


def evidence(result: dict[str, object], component: str) -> str:
    components = result["components"]
    assert isinstance(components, dict)
    items: Iterable[dict[str, str]] = components[component]["evidence"]
    return "\n".join(item["text"] for item in items)
