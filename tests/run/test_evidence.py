from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.abi import Releases, load_releases
from khoci.paths import data_dir
from khoci.report.model import CellEvidence, Phase
from khoci.results import CellResult
from khoci.run import evidence
from khoci.run.evidence import evidence_in, file_of, log_of
from khoci.verdicts import Verdict
from tests.run import stored


@pytest.fixture(scope="module")
def releases() -> Releases:
    return load_releases(data_dir("matrix") / "abi")


@pytest.fixture
def refused(tmp_path: Path, releases: Releases) -> CellEvidence:
    run = stored.whole(tmp_path)
    found = run.load(f"{stored.OLD}..{stored.NEW}..{stored.SCENARIO}")
    assert found
    return evidence_in(run, releases)(found)


def test_the_logs_are_cut_around_what_decided(refused: CellEvidence) -> None:
    log = refused.consumer_log
    assert [log.lines[at] for at in log.marked] == [stored.REFUSAL]
    assert refused.producer_log.lines == ("hello", stored.REFUSAL, "bye")
    assert refused.producer_log.marked == ()


def test_the_handover_is_told_as_both_sides_have_it(refused: CellEvidence) -> None:
    assert "root at 0x" in refused.before
    assert "kho-v1" in refused.before
    assert "kho_test" in refused.before
    assert "no problems" in refused.before
    assert refused.after.startswith(f"{stored.NEW} refuses the handover")
    assert refused.notes == ()


def test_memory_is_shown_before_and_after(refused: CellEvidence) -> None:
    before, after = refused.memory
    assert before.title == f"{stored.OLD} at the jump"
    assert after.title.startswith(stored.NEW)
    assert before.scratch == ((16 << 20, 8 << 20),)
    assert [block.fate for block in before.blocks] == ["", ""]
    assert [(block.owner, block.fate) for block in after.blocks] == [
        ("root", "kept"),
        ("kho_test", "lost"),
    ]
    assert sum(size for _, size in before.ram) > 900 << 20


def test_the_largest_blocks_are_kept_of_too_many(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, releases: Releases
) -> None:
    monkeypatch.setattr(evidence, "MOST_BLOCKS", 1)
    run = stored.begin(tmp_path)
    kept = stored.result(stored.OLD, stored.OLD, Verdict.RESTORED)
    found = stored.store(run, kept, capture=f"{stored.OLD}-kho-test")
    view, _ = evidence_in(run, releases)(found).memory
    assert [block.owner for block in view.blocks] == ["kho_test"]
    assert view.left_out == 1


def test_the_time_is_told_in_parts(refused: CellEvidence) -> None:
    assert refused.phases == (Phase("boot", 0.0, 1.5),)


def test_what_is_not_kept_is_said(tmp_path: Path, releases: Releases) -> None:
    run = stored.begin(tmp_path)
    found = stored.store(run, stored.result(stored.OLD, stored.NEW, Verdict.RESTORED))
    told = evidence_in(run, releases)(found)
    assert told.notes == ("no capture is kept",)
    assert (told.before, told.consumer_log.total) == ("", 0)


def test_a_broken_capture_is_said(tmp_path: Path, releases: Releases) -> None:
    run = stored.begin(tmp_path)
    kept = stored.result(stored.OLD, stored.NEW, Verdict.RESTORED)
    found = stored.store(run, kept, capture=f"{stored.OLD}-kho-test")
    path = file_of(run, found, "handover.khocap")
    assert path
    path.write_bytes(path.read_bytes()[:100])
    (note,) = evidence_in(run, releases)(found).notes
    assert "handover.khocap: " in note


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "evidence", ""])
def test_only_files_of_the_run_are_read(tmp_path: Path, name: str) -> None:
    run = stored.whole(tmp_path)
    found: CellResult = stored.result(stored.OLD, stored.NEW, Verdict.RESTORED)
    assert log_of(run, replace(found, files={"consumer.log": name}), "consumer") is None
