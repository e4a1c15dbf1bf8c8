"""A report of real cells: nothing is run again, and nothing that was kept is unreadable."""

from __future__ import annotations

import subprocess

import pytest

from khoci.config.abi import load_releases
from khoci.paths import data_dir
from khoci.report.model import CellEvidence
from khoci.results import CellResult
from khoci.run.evidence import evidence_in
from khoci.run.folder import RunFolder
from khoci.verdicts import Verdict
from tests.vm.conftest import Run, command

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

OLD, NEW, RADIX = "v6.17.13", "v6.18.15", "v7.3.4"


def looked_up(run: Run, *cell: str) -> tuple[CellResult, CellEvidence]:
    folder = RunFolder(run.folder)
    result = folder.load("..".join(cell))
    assert result
    return result, evidence_in(folder, load_releases(data_dir("matrix") / "abi"))(result)


def test_it_says_what_the_run_said(default_run: Run) -> None:
    done = subprocess.run(
        command("report", default_run.folder.name),
        cwd=default_run.folder.parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    heading, _, rest = done.stdout.partition("\n\n")
    assert heading.startswith(f"run {default_run.folder.name} of default, khoci ")
    assert rest.splitlines()[0] in default_run.table
    assert rest.strip() in default_run.table


def test_the_evidence_of_every_booted_cell_can_be_read(default_run: Run) -> None:
    booted = [cell for cell, found in default_run.results.items() if found["files"]]
    assert len(booted) == 21
    for cell in booted:
        result, found = looked_up(default_run, *cell)
        assert found.notes == (), cell
        assert "root at 0x" in found.before
        assert found.after.startswith(result.consumer)
        assert found.memory[0].blocks
        assert found.producer_log.total > 50
        assert found.consumer_log.total > 10


def test_both_views_of_memory_are_of_the_same_blocks(default_run: Run) -> None:
    result, found = looked_up(default_run, RADIX, RADIX, "memfd")
    assert result.verdict is Verdict.RESTORED
    before, after = found.memory
    assert [block.start for block in before.blocks] == [block.start for block in after.blocks]
    assert {"memfd", "root", "luo"} <= {block.owner for block in after.blocks}
    assert {block.fate for block in after.blocks if block.owner == "root"} == {"kept"}


def test_a_consumer_that_died_has_no_view_and_its_last_words_are_shown(default_run: Run) -> None:
    result, found = looked_up(default_run, OLD, NEW, "kho-test")
    assert result.verdict is Verdict.PANIC
    assert len(found.memory) == 1
    marked = [found.consumer_log.lines[at] for at in found.consumer_log.marked]
    proofs = {item.text for each in result.components.values() for item in each.evidence}
    assert marked
    assert {line.strip() for line in marked} <= proofs
    assert any("Kernel panic" in line for line in found.consumer_log.lines)
