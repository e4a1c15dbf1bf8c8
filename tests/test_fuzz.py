"""The fuzzers without their engine: seeds, past findings, mutators, and what counts as a crash."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import __main__ as command
from fuzz import campaign, mutate, oracle
from fuzz.campaign import Outcome
from fuzz.families import FAMILIES
from fuzz.family import Family
from fuzz.guest import Guest
from fuzz.trees import change_tree
from khoci.errors import UsageError
from khoci.format import fdt
from khoci.format.errors import DecodeError, Place
from khoci.format.ranges import Range
from tests.format import encoders

REGRESSIONS = [(name, path) for name in FAMILIES for path in campaign.regressions(name)]
LOG = """\
#5	INITED cov: 114 ft: 172 corp: 3/9886b exec/s: 0 rss: 47Mb
#9	NEW    cov: 120 ft: 180 corp: 4/9890b lim: 10 exec/s: 0 rss: 47Mb

 === Uncaught Python exception: ===
KeyError: 'x'
Traceback (most recent call last):
  File "decoder.py", line 1, in decode
KeyError: 'x'

==123== ERROR: libFuzzer: fuzz target exited
artifact_prefix='/x/luo-'; Test unit written to /x/luo-crash-12ab
stat::number_of_executed_units: 9
"""


def dice(number: int) -> random.Random:
    return random.Random(number)  # noqa: S311


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_every_seed_is_decoded(family: Family) -> None:
    seeds = list(family.seeds())
    family.run(seeds[0])
    for data in seeds:
        oracle.check(family.run, data)


@pytest.mark.parametrize(
    ("name", "path"), REGRESSIONS, ids=[f"{name}-{path.name}" for name, path in REGRESSIONS]
)
def test_past_findings_stay_fixed(name: str, path: Path) -> None:
    oracle.check(FAMILIES[name].run, path.read_bytes())


def test_every_regression_belongs_to_a_family() -> None:
    folders = {path.name for path in (campaign.FOLDER / "regressions").iterdir()}
    assert folders <= set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_mutants_of_every_seed_are_decoded_or_refused(family: Family) -> None:
    rng = dice(1)
    for data in family.seeds():
        mutant = data
        for _ in range(5):
            mutant = family.mutate(mutant, rng, _flip)
            oracle.check(family.run, mutant)


def _flip(piece: bytes, size: int) -> bytes:
    """Stands for libFuzzer's own mutation."""
    return (bytes(byte ^ 0xFF for byte in piece[:4]) + piece[4:] + b"\x01")[:size]


@given(st.binary(max_size=400))
def test_any_bytes_are_a_guest(data: bytes) -> None:
    guest = Guest.parse(data)
    again = Guest.parse(guest.pack())
    assert again == guest
    guest.memory()


@settings(max_examples=300)
@given(st.binary(max_size=200), st.integers(0, 2**32))
def test_any_bytes_can_be_mutated(data: bytes, seed: int) -> None:
    for mutator in (mutate.guest, mutate.plain, mutate.pieces):
        mutator(data, dice(seed), _flip)
    assert Guest.parse(mutate.guest(data, dice(seed), _flip)).memory().ram is not None


def test_mutation_is_decided_by_the_seed() -> None:
    seed = Guest([Range(0, 1 << 20)], {0x1000: bytearray(range(256)) * 16}, [0x1000]).pack()
    mutants = [mutate.guest(seed, dice(number), _flip) for number in range(50)]
    assert mutants == [mutate.guest(seed, dice(number), _flip) for number in range(50)]
    assert len(set(mutants)) > 25


def test_changed_trees_are_trees() -> None:
    tree = encoders.memblock_tree({"data": (0x1000, 0x1000)})
    changed = [change_tree(tree, dice(number)) for number in range(100)]
    assert all(item and fdt.parse(item, Place("tree")) for item in changed)
    assert len(set(changed)) > 25
    assert change_tree(b"no tree", dice(1)) is None


def _raise(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize(
    "error", [DecodeError("no", where="root", address=0), UsageError("no such file")]
)
def test_promised_errors_are_no_crash(error: Exception) -> None:
    oracle.check(lambda _: _raise(error), b"")


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        MemoryError(),
        RecursionError(),
        DecodeError("no", where="", address=None),
        UsageError("two\nlines"),
    ],
)
def test_all_else_is_a_crash(error: Exception) -> None:
    with pytest.raises((type(error), AssertionError)):
        oracle.check(lambda _: _raise(error), b"")


def test_an_endless_loop_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def loop(_: bytes) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:  # noqa: S112
                continue

    monkeypatch.setattr(oracle, "SECONDS", 0.05)
    with pytest.raises(oracle.TooSlowError):
        oracle.check(loop, b"")


def test_memory_without_end_is_a_crash_and_one_input_takes_none_from_the_next() -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    for _ in range(3):
        with pytest.raises(MemoryError):
            oracle.check(lambda _data: _nothing(bytearray(2 * oracle.HEADROOM)), b"")
    oracle.check(lambda _data: _nothing(bytearray(oracle.HEADROOM // 2)), b"")
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def _nothing(_object: object) -> None:
    """Let go of it."""


def test_the_log_of_a_crash() -> None:
    outcome = campaign.outcome("luo", LOG, 77, 1.0)
    assert (outcome.executions, outcome.coverage, outcome.features) == (9, 120, 180)
    assert outcome.failed
    assert outcome.crash == Path("/x/luo-crash-12ab")
    assert outcome.detail.startswith("KeyError: 'x'\nTraceback")
    assert "CRASH /x/luo-crash-12ab" in command.table([outcome])


def test_the_log_of_a_quiet_run() -> None:
    log = "#9	NEW    cov: 1 ft: 2 corp: 4\n#1234	DONE   cov: 120 ft: 180 corp: 4/9890b\n"
    log += "stat::number_of_executed_units: 1234\n"
    outcome = campaign.outcome("luo", log, 0, 1.0)
    assert (outcome.executions, outcome.features, outcome.failed) == (1234, 180, False)
    assert command.table([outcome]).endswith("ok")


def test_the_log_of_a_dead_process() -> None:
    log = "==1486== ERROR: libFuzzer: deadly signal\nSUMMARY: dead\nMS: 6 Custom-\nx\n"
    outcome = campaign.outcome("luo", log, 77, 1.0)
    assert outcome.detail == "ERROR: libFuzzer: deadly signal\nSUMMARY: dead"


def test_an_engine_that_does_not_start_is_a_failure() -> None:
    outcome = campaign.outcome("luo", "Segmentation fault", 139, 1.0)
    assert outcome.failed
    assert outcome.detail == "Segmentation fault"


def test_without_atheris_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert command.main(["--seconds", "1"]) == command.NO_ENGINE
    assert "nothing was fuzzed" in capsys.readouterr().out


def test_replay_runs_one_input(tmp_path: Path) -> None:
    """In a process of its own: it limits the memory that the process can have."""
    path = tmp_path / "input"
    path.write_bytes(b"")
    replay = [sys.executable, "-m", "fuzz", "--replay", str(path)]
    done = subprocess.run([*replay, "capture"], capture_output=True, text=True, check=False)
    assert (done.returncode, "as it should be" in done.stdout) == (0, True)
    assert subprocess.run(replay, stdout=subprocess.DEVNULL, check=False).returncode == 2


def test_slices_of_a_family_are_one_outcome() -> None:
    slices = [Outcome("f", 3, 10, 20, 1.0), Outcome("f", 4, 9, 21, 2.0, detail="broken")]
    assert campaign.joined(slices) == Outcome("f", 7, 10, 21, 3.0, detail="broken")
