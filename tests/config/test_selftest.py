from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest

from khoci.config.kernels import load_kernels
from khoci.config.selftest import (
    BACKWARD,
    FORWARD,
    VERSIONS,
    Expectation,
    Mutant,
    SelfTest,
    load_selftest,
)
from khoci.errors import UsageError
from khoci.paths import data_dir
from khoci.scenario import select
from khoci.verdicts import Verdict

FOLDER = data_dir("matrix") / "selftest"
SHIPPED = load_selftest(FOLDER / "selftest.toml")
PARTS = ("root", "memory-map", "scratch", "luo-header", "file-entry", "memfd", "vmalloc", "block")
LIARS = ("liar-test", "liar-device", "liar-region", "liar-holes")
HARMLESS = ("harmless-words", "harmless-free", "harmless-early")
ONE = """
base = "v7.3.4"
[mutant."x"]
patch = "x.patch"
component = "memory map"
version = "kept"
scenario = "reserve-mem"
why = "it has to"
forward = { verdict = "refused", component = "root" }
backward = { verdict = "corrupt", component = "memory map" }
"""


def load(folder: Path, text: str = ONE) -> SelfTest:
    (folder / "x.patch").touch()
    (folder / "selftest.toml").write_text(text)
    return load_selftest(folder / "selftest.toml")


def test_a_mutant(tmp_path: Path) -> None:
    [mutant] = load(tmp_path).mutants
    assert mutant == Mutant(
        name="x",
        patch=tmp_path / "x.patch",
        component="memory map",
        version="kept",
        scenario="reserve-mem",
        why="it has to",
        forward=Expectation(Verdict.REFUSED, "root"),
        backward=Expectation(Verdict.CORRUPT, "memory map"),
    )
    assert mutant.expected(FORWARD) is mutant.forward
    assert mutant.expected(BACKWARD) is mutant.backward


def test_who_hands_over_to_whom(tmp_path: Path) -> None:
    [mutant] = load(tmp_path).mutants
    assert mutant.pair("v7.3.4", FORWARD) == ("v7.3.4", "v7.3.4+x")
    assert mutant.pair("v7.3.4", BACKWARD) == ("v7.3.4+x", "v7.3.4")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("base", "bace", "unknown key 'bace' (did you mean 'base'?)"),
        ('base = "v7.3.4"', "", "key 'base' is missing"),
        ("why", "whi", "[mutant.x]: unknown key 'whi' (did you mean 'why'?)"),
        ('why = "it has to"', "", "[mutant.x]: key 'why' is missing"),
        ('"kept"', '"gone"', "[mutant.x]: key 'version' must be one of kept, bumped, not 'gone'"),
        ('"corrupt"', '"corupt"', "[mutant.x.backward]: 'corupt' is no verdict (did you mean 'c"),
        (', component = "root"', "", "[mutant.x.forward]: key 'component' is missing"),
        ("backward =", "#", "[mutant.x]: key 'backward' is missing"),
    ],
)
def test_a_wrong_key_is_one_line_with_its_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, ONE.replace(old, new))
    assert str(caught.value).startswith(f"{tmp_path}/selftest.toml: {message}")


def test_a_patch_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[mutant\.x\]: .*/y\.patch does not exist"):
        load(tmp_path, ONE.replace("x.patch", "y.patch"))


def test_no_mutants(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \[mutant\.NAME\] table"):
        load(tmp_path, 'base = "v7.3.4"')


def test_selecting_mutants() -> None:
    assert SHIPPED.select(()) == SHIPPED.mutants
    assert [item.name for item in SHIPPED.select(["memfd-silent", "block-bumped"])] == [
        "memfd-silent",
        "block-bumped",
    ]
    with pytest.raises(UsageError, match=r"'memfd-silen' \(did you mean 'memfd-silent'"):
        SHIPPED.select(["memfd-silen"])


def test_the_kernels_of_mutants_are_the_base_with_one_patch_more() -> None:
    known = load_kernels(data_dir("matrix") / "kernels.toml")
    [mutant] = SHIPPED.select(["block-silent"])
    kernels = SHIPPED.kernels(known, [mutant])
    base, patched = kernels.select("v7.3.4"), kernels.select("v7.3.4+block-silent")
    assert kernels.names == ("v7.3.4", "v7.3.4+block-silent")
    assert base == known.select("v7.3.4")
    assert patched.sources == base.sources
    assert patched.config == base.config
    assert patched.series == base.series
    assert patched.patches == (*base.patches, mutant.patch)


def test_every_part_has_a_mutant_with_its_version_kept_and_one_with_it_bumped() -> None:
    names = {f"{part}-{kind}" for part, kind in product(PARTS, ("silent", "bumped"))}
    assert {mutant.name for mutant in SHIPPED.mutants} == {*names, *LIARS, *HARMLESS}
    for mutant in SHIPPED.mutants:
        assert mutant.version == VERSIONS[mutant.name.endswith("-bumped")]
        assert mutant.patch == FOLDER / f"{mutant.name}.patch"
        assert select([mutant.scenario])[0].name == mutant.scenario


def test_no_mutant_may_pass_for_a_good_kernel_but_the_harmless_ones() -> None:
    fine = {Verdict.RESTORED, Verdict.ACCEPTED, Verdict.ABSENT, Verdict.ERROR}
    for mutant in SHIPPED.mutants:
        verdicts = {mutant.forward.verdict, mutant.backward.verdict}
        if mutant.name in HARMLESS:
            assert verdicts <= {Verdict.RESTORED, Verdict.ACCEPTED}
            continue
        assert (fine & verdicts == {Verdict.RESTORED}) is (mutant.name in LIARS)
        assert not verdicts <= fine


def added(patch: Path) -> list[str]:
    lines = patch.read_text().splitlines()
    return [line for line in lines if line.startswith("+") and not line.startswith("+++")]


@pytest.mark.parametrize("part", PARTS)
def test_a_bumped_mutant_is_the_silent_one_and_one_line_more(part: str) -> None:
    silent = added(FOLDER / f"{part}-silent.patch")
    bumped = added(FOLDER / f"{part}-bumped.patch")
    [line] = [line for line in bumped if line not in silent]
    assert [item for item in bumped if item != line] == silent
    assert line.startswith(
        ("+#define KHO_FDT_COMPATIBLE ", "+#define LUO_ABI_COMP", "+#define MEMFD_LUO_FH_COMP")
    )


@pytest.mark.parametrize("patch", sorted(FOLDER.glob("*.patch")), ids=lambda patch: patch.stem)
def test_a_patch_is_whole_and_says_what_it_is(patch: Path) -> None:
    counted = subprocess.run(
        ["git", "apply", "--numstat", patch], check=True, capture_output=True, text=True
    )
    assert counted.stdout
    assert patch.read_text().startswith("Subject: [mutant] ")
    assert patch.stem in {mutant.name for mutant in SHIPPED.mutants}
