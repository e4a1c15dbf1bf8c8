"""KTAP as the kernel's own tool reads it, which comes with the sources of a kernel."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.kernels import DebianSource, load_kernels
from khoci.kernel.cache import Cache
from khoci.kernel.source import fill_tree
from khoci.paths import cache_dir, data_dir
from khoci.progress import LineProgress
from khoci.report import ktap
from khoci.report.outcome import Outcome, outcomes
from khoci.verdicts import Verdict
from tests.report import example

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]

KUNIT = "tools/testing/kunit/"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool, out of the sources of 7.3."""
    spec = load_kernels(data_dir("matrix") / "kernels.toml").select("7.3")
    source = next(each for each in spec.sources if isinstance(each, DebianSource))
    folder = tmp_path_factory.mktemp("kunit") / "linux"
    progress = LineProgress(sys.__stderr__)
    fill_tree(source, folder, Cache(cache_dir()).downloads, wanted, progress)
    return folder


def wanted(path: str) -> bool:
    return path == "Makefile" or path.startswith(KUNIT)


def parse(tree: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, tree / KUNIT / "kunit.py", "parse", *options],
        cwd=tree,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_counts_as_we_do(tree: Path) -> None:
    report = example.report()
    done = parse(tree, ktap.render(report))
    counted = re.search(r"Ran (\d+) tests: (.*)", done.stdout)
    assert counted, done.stdout + done.stderr
    found = list(outcomes(report).values())
    passed, skipped = found.count(Outcome.PASS), found.count(Outcome.SKIP)
    failed = len(found) - passed - skipped
    assert counted[1] == str(len(found))
    assert counted[2] == f"passed: {passed}, failed: {failed}, skipped: {skipped}"
    assert "errors" not in counted[2]
    assert done.returncode == 1


def test_it_finds_each_scenario_and_each_cell(tree: Path) -> None:
    report = example.report()
    done = parse(tree, ktap.render(report), "--json")
    start = done.stdout.index("{")
    top, _ = json.JSONDecoder().raw_decode(done.stdout[start:])
    groups = {group["name"]: group for group in top["sub_groups"]}
    assert list(groups) == list(report.scenarios)
    names = [case["name"] for case in groups["memfd"]["test_cases"]]
    assert "kho-words-v1 -> v6.18.15" in names
    assert len(names) == 6


def test_a_report_in_which_all_is_well_is_well_there_too(tree: Path) -> None:
    well = [each for each in example.one_of_each() if each.verdict == "restored"]
    report = example.report(well)
    done = parse(tree, ktap.render(replace(report, missing=())))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "words",
    [
        "Kernel panic - not syncing: VFS: Unable to mount root fs",
        "List of all partitions:",
        "reboot: System halted",
    ],
)
def test_no_line_of_a_kernel_ends_the_report(tree: Path, words: str) -> None:
    cells = [
        example.cell(example.OLD, example.OLD, Verdict.PANIC, text=f"[    1.0] {words}"),
        example.cell(example.OLD, example.BASE, Verdict.PANIC),
    ]
    report = replace(example.report(cells), missing=(), scenarios=("kho-test",))
    done = parse(tree, ktap.render(report))
    assert "Ran 2 tests: failed: 2" in done.stdout
    assert words.replace(":", "") in done.stdout
