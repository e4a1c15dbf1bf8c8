from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from khoci.abi.formats import Reading
from khoci.cli import cli
from khoci.compat.agreement import Row, agreement
from khoci.compat.predict import predict
from khoci.config.abi import default_folder, load_releases
from khoci.decode.found import find
from khoci.errors import UsageError
from khoci.results import CellResult, Expected, Judgement
from khoci.run.folder import new_run
from khoci.source.opener import open_source
from khoci.verdicts import Verdict, worst
from tests.abi.test_formats import MANIFESTS
from tests.format.test_real_captures import FOLDER


def cell(
    producer: str, consumer: str, scenario: str = "kho-test", **seen: tuple[Verdict, Verdict]
) -> CellResult:
    """A cell: of each component what was predicted and observed."""
    named = {name.replace("memory_map", "memory map"): pair for name, pair in seen.items()}
    return CellResult(
        producer=producer,
        consumer=consumer,
        scenario=scenario,
        verdict=worst(observed for _, observed in named.values()),
        components={name: Judgement(observed) for name, (_, observed) in named.items()},
        prediction={name: Expected(expected, "") for name, (expected, _) in named.items()},
    )


def rows(*cells: CellResult) -> dict[str, Row]:
    return {row.component: row for row in agreement(cells, MANIFESTS)}


RESTORED = (Verdict.RESTORED, Verdict.RESTORED)
PANIC = (Verdict.PANIC, Verdict.PANIC)
CORRUPT = (Verdict.CORRUPT, Verdict.CORRUPT)
REFUSED = (Verdict.REFUSED, Verdict.REFUSED)


def test_all_agree() -> None:
    found = rows(cell("v7.2.12", "v7.3.4", root=RESTORED, kho_test=RESTORED))
    assert {name: (row.static, row.agrees) for name, row in found.items()} == {
        "root": (Reading.UNDERSTOOD, True),
        "kho_test": (Reading.UNDERSTOOD, True),
    }


def test_of_all_scenarios_the_worst_counts() -> None:
    cells = (
        cell("v6.18.15", "v6.17.13", memory_map=RESTORED),
        cell("v6.18.15", "v6.17.13", "reserve-mem", memory_map=CORRUPT),
    )
    row = rows(*cells)["memory map"]
    assert (row.static, row.predicted, row.observed) == (
        Reading.MISREAD,
        Verdict.CORRUPT,
        Verdict.CORRUPT,
    )
    assert row.agrees


def test_what_dies_with_the_machine_is_explained() -> None:
    found = rows(cell("v6.17.13", "v6.18.15", memory_map=PANIC, scratch=PANIC))
    assert found["memory map"].agrees
    assert not found["scratch"].agrees
    assert found["scratch"].explained.startswith("the machine dies of what is misread: memory map")


def test_what_belongs_to_something_that_nobody_reads_is_explained() -> None:
    dropped = (Verdict.DROPPED, Verdict.DROPPED)
    found = rows(cell("v6.19.14", "v6.18.15", "memfd", memfd=dropped, vmalloc=dropped))
    assert found["memfd"].static is Reading.NOBODY
    assert found["vmalloc"].explained.startswith("nobody reads what it belongs to: ")
    assert "memfd" in found["vmalloc"].explained


def test_what_nobody_can_explain() -> None:
    row = rows(cell("v7.2.12", "v7.3.4", luo=CORRUPT))["luo"]
    assert not row.agrees
    assert row.explained == ""


def test_what_was_not_hit_is_explained() -> None:
    row = rows(cell("v6.18.15", "v6.17.13", memory_map=RESTORED))["memory map"]
    assert row.explained == "nothing that was handed over lies where the layouts differ"


def test_scenarios_that_end_otherwise_on_purpose_do_not_count() -> None:
    assert rows(cell("v7.2.12", "v7.3.4", "kho-off", root=REFUSED)) == {}
    assert rows(cell("strange", "v7.3.4", root=REFUSED)) == {}


def test_the_command(tmp_path: Path) -> None:
    folder = new_run(tmp_path, {"kernels": ["v7.2.12", "v7.3.4"]})
    folder.store("a", cell("v7.2.12", "v7.3.4", root=RESTORED, kho_test=RESTORED))
    arguments = ["abi", "agreement", folder.id, "--runs", str(tmp_path)]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "1 pairs, 2 components of them",
        "sources and observation agree in 2, differ with a reason in 0, without one in 0",
        "prediction and observation agree in 2 of 2",
    ]
    folder.store("b", cell("v7.3.4", "v7.2.12", luo=CORRUPT))
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 1
    assert "understood       corrupt    corrupt  NOT EXPLAINED: luo-v5" in done.stdout


def test_a_run_without_such_kernels(tmp_path: Path) -> None:
    folder = new_run(tmp_path, {"kernels": ["a"]})
    arguments = ["abi", "agreement", str(folder.path)]
    with pytest.raises(UsageError, match="no result of two kernels whose ABI is kept"):
        CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_what_is_predicted_of_real_captures_is_what_sources_say() -> None:
    """All 64 pairs of releases: each capture as each release is predicted to take it."""
    releases = load_releases(default_folder()).all
    cells = []
    for name in MANIFESTS:
        for path in sorted(FOLDER.glob(f"{name}-*.khocap")):
            with open_source(path) as source:
                handover = find(source).handover
                for abi in releases:
                    found = predict(source.memory, handover, abi)
                    pairs = {each: (item.verdict, item.verdict) for each, item in found.items()}
                    cells.append(cell(name, abi.name, path.stem.partition("-")[2], **pairs))
    rows = agreement(cells, MANIFESTS)
    assert {(row.producer, row.consumer) for row in rows} == set(product(MANIFESTS, repeat=2))
    assert not [row for row in rows if not row.agrees and not row.explained]
    assert sum(row.agrees for row in rows) > 450
