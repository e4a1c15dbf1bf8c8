"""The command, on kernels of the fake tree; only that they boot is made up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import git
import pytest

from khoci.__main__ import _exit_code
from khoci.bisect import trial
from khoci.config.kernels import KernelSpec, load_kernels
from khoci.config.kernelsfile import render_kernels
from khoci.config.matrix import load_matrix
from khoci.kernel.store import is_cached
from tests.bisect import stubbed
from tests.kernel.conftest import Fake
from tests.series.small import commit, files_of

ARGUMENTS = ("--scenario", "memfd", "--matrix", "matrix/mine.toml", "--accel", "tcg")


@dataclass
class Home:
    """The current folder, with a matrix, a fake kernel v1.0, and a git tree of it."""

    path: Path
    fake: Fake
    capfd: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @property
    def tree(self) -> git.Repo:
        return git.Repo(self.fake.folder / "tree")

    @property
    def boots(self) -> list[str]:
        """The kernels that were booted, beside v1.0, in order."""
        names = [line.split("..") for line in (self.path / "boots").read_text().splitlines()]
        return [(pair[0] if pair[1] == "v1.0" else pair[1]) for pair in names]

    @property
    def folder(self) -> Path:
        """That of the one bisection."""
        (folder,) = (self.path / "bisections").iterdir()
        return folder

    def commits(self, *changes: str) -> list[str]:
        """Commit words one after the other, ``word`` or ``file=word``; return the ids from v1.0."""
        ids = [str(self.tree.rev_parse("v1.0"))]
        for change in changes:
            file, _, word = change.rpartition("=")
            ids.append(commit(self.tree, f"say {word}", {f"{file or 'a'}.c": f"{word};\n"}))
        return ids

    def series(self, *changes: str) -> None:
        """Define ``my-series``: v1.0 with these changes as patches."""
        self.commits(*changes)
        folder, file = self.fake.folder / "series", self.path / "matrix/kernels.toml"
        self.tree.git.format_patch("--quiet", "-o", str(folder), "v1.0")
        patches = tuple(sorted(folder.glob("*.patch")))
        for number, patch in enumerate(patches, 1):
            named = f"\nMessage-ID: <{number}@example.org>\nSubject:"
            patch.write_text(patch.read_text().replace("\nSubject:", named, 1))
        base = load_kernels(file).select("v1.0")
        spec = replace(base, name="my-series", patches=patches)
        file.write_text(render_kernels([base, spec]))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.monkeypatch.setattr("sys.argv", ["khoci", "bisect", *arguments])
        self.monkeypatch.setattr(trial, "run_cell", stubbed.boot)
        code = _exit_code()
        out, err = self.capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests: the agent is compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Home:
    (tmp_path / "fake").mkdir()
    fake = Fake(tmp_path / "fake")
    folder = tmp_path / "home"
    (folder / "matrix").mkdir(parents=True)
    (folder / "matrix/mine.toml").write_text('kernels = ["v1.0"]\nscenarios = ["memfd"]\n')
    spec = fake.kernel("v1.0", "CONFIG_KEXEC_HANDOVER=y\n")
    (folder / "matrix/kernels.toml").write_text(render_kernels([spec]))
    commit(git.Repo.init(tmp_path / "fake/tree", initial_branch="master"), "v1.0", {}, "v1.0")
    monkeypatch.setenv("KHOCI_CACHE", str(cache))
    monkeypatch.chdir(folder)
    return Home(folder, fake, capfd, monkeypatch)


def found(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def of_series(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    return home.run("1.0", "@", "--series", "my-series", *ARGUMENTS, *arguments)


def suspects(data: dict[str, Any]) -> set[str]:
    return {change["id"] for change in data["suspects"]}


# what is found


def test_the_patch_that_turned_a_cell_told_as_git_does(home: Home) -> None:
    home.series("fine", "well", "b=corrupt", "good")
    done = of_series(home)
    assert done.returncode == 0, done.stderr
    told, _, rest = done.stdout.partition("\nDate: ")
    assert told == "3 is the first bad patch\nAuthor: Zoë Łukasz <zoe@example.org>"
    assert "\n\n    say corrupt\n\n    Link: <3@example.org>\n\n" in rest
    folder = f"bisections/{home.folder.name}"
    assert rest.endswith(
        f"""
good: v1.0 -> my-series+2 memfd: restored
  memfd: restored
    guest: it is restored
  run it again: khoci cell run v1.0 my-series+2 --matrix {folder}/matrix.toml

bad: v1.0 -> my-series+3 memfd: corrupt
  memfd: corrupt
    guest: it is corrupt
  run it again: khoci cell run v1.0 my-series+3 --matrix {folder}/matrix.toml

Verified: with it reverted from the bad end, the cell is good again.
reverted: v1.0 -> my-series+4-without-3 memfd: restored
  memfd: restored
    guest: it is restored
  run it again: khoci cell run v1.0 my-series+4-without-3 --matrix {folder}/matrix.toml

results: {folder}/
"""
    )
    lines = [line for line in done.stderr.splitlines() if line[:1] in "#[B"]
    assert lines == [
        "# good: my-series+0: restored",
        "# bad: my-series+4: corrupt",
        "Bisecting: 1 change left to test after this (roughly 1 step)",
        "[2] say well",
        "# good: my-series+2: restored",
        "Bisecting: 0 changes left to test after this (roughly 0 steps)",
        "[3] say corrupt",
        "# bad: my-series+3: corrupt",
        "[3] say corrupt is the first bad patch; reverting it",
        "# good: my-series+4-without-3: restored",
    ]


def test_the_same_for_programs(home: Home) -> None:
    home.series("fine", "panic")
    data = found(home.run("@", "1.0", "--series", "my-series", "--json", *ARGUMENTS))
    assert data["found"] is True
    assert suspects(data) == {"2"}
    assert data["good"]["kernel"] == "my-series+1"
    assert data["bad"]["cell"]["producer"] == "my-series+2"
    assert data["reverted"]["tested"]["cell"]["verdict"] == "restored"
    assert data["tested"] == [
        {"id": "0", "kernel": "my-series+0", "mark": "good"},
        {"id": "2", "kernel": "my-series+2", "mark": "bad"},
        {"id": "1", "kernel": "my-series+1", "mark": "good"},
    ]
    assert data["results"] == f"bisections/{home.folder.name}"


def test_the_commit_that_turned_a_cell(home: Home) -> None:
    ids = home.commits("fine", "good", "b=corrupt", "well")
    tree = home.fake.folder / "tree"
    before = files_of(tree)
    asked = ("--tree", str(tree), "--good", "v1.0", "--bad", "master", "--config-of", "1.0")
    done = home.run("1.0", "@", *asked, *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{ids[3]} is the first bad commit\nAuthor: Zoë Łukasz <zoe@")
    assert "\nDate:   Mon Sep 1 10:00:00 2025 +0200\n\n    say corrupt\n" in done.stdout
    assert f"good: v1.0 -> g{ids[2][:12]} memfd: restored" in done.stdout
    assert f"reverted: v1.0 -> g{ids[4][:12]}-without-g{ids[3][:12]} memfd: rest" in done.stdout
    assert files_of(tree) == before


def test_all_candidates_but_the_good_end_share_a_tree(home: Home) -> None:
    ids = home.commits("fine", "good", "b=corrupt", "well")
    asked = ("--tree", str(home.fake.folder / "tree"), "--good", ids[0], "--bad", ids[-1])
    told = home.run("@", "@", *asked, "--config-of", "1.0", *ARGUMENTS).stderr
    assert told.count("building (objects)\n") == 2
    assert told.count("building with the objects of g") == 3


def test_part_of_a_series(home: Home) -> None:
    home.series("b=corrupt", "b=fine", "c=panic", "reset")
    asked = ("--series", "my-series", "--good", "2", "--bad", "3", "--json")
    data = found(home.run("@", "@", *asked, *ARGUMENTS))
    assert suspects(data) == {"3"}
    assert data["good"]["cell"]["producer"] == data["good"]["cell"]["consumer"] == "my-series+2"
    assert set(home.boots) == {"my-series+2", "my-series+3", "my-series+3-without-3"}


def test_what_became_bad_in_a_component(home: Home) -> None:
    home.series("fine", "b=corrupt")
    data = found(of_series(home, "--component", "memfd", "--json"))
    assert suspects(data) == {"2"}


def test_what_made_it_well_again(home: Home) -> None:
    home.series("corrupt", "b=x", "a=fine", "b=y")
    asked = ("--good", "1", "--bad-when", "restored", "--json")
    data = found(of_series(home, *asked))
    assert suspects(data) == {"3"}
    assert data["good"]["cell"]["verdict"] == "corrupt"
    assert data["bad"]["cell"]["verdict"] == "restored"


# what cannot be tested


def test_what_does_not_build_is_skipped(home: Home) -> None:
    home.series("b=x", "#error", "a=fine", "b=corrupt")
    data = found(of_series(home, "--json"))
    assert suspects(data) == {"4"}
    assert {"id": "2", "kernel": "my-series+2", "mark": "skip"} in data["tested"]
    assert "my-series+2" not in home.boots


def test_too_much_is_skipped(home: Home) -> None:
    home.series("b=x", "#error", "b=corrupt", "a=fine")
    done = of_series(home)
    assert done.returncode == 1
    first, second, *rest = done.stdout.splitlines()
    assert first == "There are only 'skip'ped patches left to test."
    assert second == "The first bad patch could be any of:"
    assert sorted(rest[:3]) == ["  2 say #error", "  3 say corrupt", "  4 say fine"]
    assert "skipped my-series+2: my-series+2: does not build: a.c:1:2: error: so it says" in rest
    assert "good: v1.0 -> my-series+1 memfd: restored" in rest
    assert "bad: v1.0 -> my-series+4 memfd: corrupt" in rest


@pytest.mark.parametrize("pair", [("1.0", "@"), ("@", "1.0")])
def test_a_kernel_that_does_not_boot_is_not_blamed(home: Home, pair: tuple[str, str]) -> None:
    """As consumer it panics; what tells it from a bad one is that it does not boot cold either."""
    home.series("b=x", "dead", "a=fine", "b=panic")
    data = found(home.run(*pair, "--series", "my-series", "--json", *ARGUMENTS))
    assert suspects(data) == {"4"}
    assert {"id": "2", "kernel": "my-series+2", "mark": "skip"} in data["tested"]


def test_a_failure_of_the_host_is_no_skip(home: Home) -> None:
    home.series("b=x", "qemu", "a=fine", "b=corrupt")
    done = of_series(home)
    assert done.returncode == 3
    why, error = done.stderr.splitlines()[-2:]
    assert why == f"khoci bisect --resume --run bisections/{home.folder.name} goes on from here"
    assert error == "khoci: v1.0 → my-series+2 memfd: QEMU did not start: no"
    assert not list(home.folder.glob("*my-series+2*.json"))


# reverting


def test_another_patch_breaks_it_too(home: Home) -> None:
    home.series("x", "b=corrupt", "c=corrupt")
    done = of_series(home)
    assert done.returncode == 0
    assert "2 is the first bad patch" in done.stdout
    assert "Still bad with it reverted from the bad end: another change breaks" in done.stdout


def test_reverting_a_patch_does_not_apply(home: Home) -> None:
    home.series("x", "b=corrupt", "b=corrupt;\npanic")
    done = of_series(home)
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Not verified")]
    assert "my-series+3-without-2: " in line
    assert line.endswith("0003.patch does not apply")


def test_reverting_a_commit_does_not_apply(home: Home) -> None:
    home.commits("x", "b=corrupt", "b=corrupt;\npanic")
    asked = ("--tree", str(home.fake.folder / "tree"), "--good", "v1.0", "--bad", "master")
    done = home.run("1.0", "@", *asked, "--config-of", "1.0", *ARGUMENTS)
    assert done.returncode == 0
    assert "Not verified by reverting it: reverting does not apply: conflict in b.c" in done.stdout


# going on


def test_an_interrupted_one_goes_on(home: Home) -> None:
    home.series("fine", "b=interrupt", "b=corrupt", "c=x")
    done = of_series(home)
    assert done.returncode == 130
    assert "--resume --run bisections/" in done.stderr
    (home.path / "go-on").touch()
    data = found(home.run("--resume", "--json"))
    assert suspects(data) == {"3"}
    assert home.boots.count("my-series+0") == home.boots.count("my-series+4") == 1
    assert home.boots.count("my-series+2") == 2
    assert len(list((home.path / "bisections").iterdir())) == 1


@pytest.mark.parametrize("kind", ["series", "tree"])
def test_a_killed_one_goes_on_without_what_it_was_made_of(home: Home, kind: str) -> None:
    home.series("fine", "b=pause", "b=corrupt", "c=x")
    tree = ("--tree", str(home.fake.folder / "tree"), "--good", "v1.0", "--bad", "master")
    what = {"series": ("--series", "my-series"), "tree": (*tree, "--config-of", "1.0")}[kind]
    killed(home, "1.0", "@", *what, *ARGUMENTS)
    first = home.boots
    assert len(first) == 3
    shutil.rmtree(home.fake.folder / "series")
    commit(home.tree, "the branch moves on", {"a.c": "panic;\n"})
    define = home.path / "matrix/kernels.toml"
    define.write_text(render_kernels([load_kernels_without_patches(define)]))
    (home.path / "go-on").touch()
    data = found(home.run("--run", home.folder.name, "--json"))
    assert [change["subject"] for change in data["suspects"]] == ["say corrupt"]
    assert data["found"]
    assert [name for name in home.boots[3:] if name in first[:2]] == []


def load_kernels_without_patches(file: Path) -> KernelSpec:
    """v1.0; the other kernel's patches are gone."""
    kept = file.read_text().partition('[kernel."my-series"]')[0]
    file.write_text(kept)
    return load_kernels(file).select("v1.0")


def killed(home: Home, *arguments: str) -> None:
    """Run it until a candidate is booted that never ends, and kill it there."""
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.bisect.stubbed", "bisect", *arguments],
        cwd=home.path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (home.path / "paused").exists():
            assert running.poll() is None
            time.sleep(0.02)
    finally:
        running.kill()
        running.wait()


def test_git_takes_the_log(home: Home) -> None:
    ids = home.commits("x", "#error", "a=fine", "b=corrupt", "c=x", "d=x")
    asked = ("--tree", str(home.fake.folder / "tree"), "--good", "v1.0", "--bad", "master")
    assert home.run("1.0", "@", *asked, "--config-of", "1.0", *ARGUMENTS).returncode == 0
    told = home.tree.git.bisect("replay", str(home.folder / "bisect.log"))
    assert f"{ids[4]} is the first bad commit" in told


def test_the_log_of_patches_is_for_people(home: Home) -> None:
    home.series("b=corrupt")
    assert of_series(home).returncode == 0
    log = (home.folder / "bisect.log").read_text()
    assert log == "# good: my-series+0: restored\n# bad: my-series+1: corrupt\n"


def test_the_candidates_are_kernels_for_other_commands(home: Home) -> None:
    home.series("fine", "b=corrupt")
    assert of_series(home).returncode == 0
    kernels = load_kernels(home.folder / "kernels.toml")
    assert set(kernels.names) == {
        *("my-series+0", "my-series+1", "my-series+2", "my-series+2-without-2")
    }
    matrix = load_matrix(home.folder / "matrix.toml")
    assert matrix.scenarios == ("memfd",)
    assert matrix.guest == load_matrix(home.path / "matrix/mine.toml").guest
    runs = home.fake.runs
    for name in kernels.names:
        assert is_cached(kernels.select(name))
    assert home.fake.runs == runs


# wrong use


SERIES = ("1.0", "@", "--series", "my-series", *ARGUMENTS)
TREE = ("1.0", "@", "--tree", "TREE", *ARGUMENTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("1.0", "@"), "say PRODUCER, CONSUMER and --scenario"),
        (("1.0", "1.0", "--series", "my-series", *ARGUMENTS), "has to be @"),
        (("2.0", "@", "--series", "my-series", *ARGUMENTS), "unknown kernel '2.0'"),
        (("1.0", "@", "--series", "my-serie", *ARGUMENTS), "no series 'my-serie'"),
        (("1.0", "@", "--series", "1.0", *ARGUMENTS), "--series v1.0: has no patches"),
        ((*SERIES, "--bad", "3"), "'3' is no patch of the series: they are 0 (the base) to 2"),
        ((*SERIES, "--good", "-1"), "'-1' is no patch"),
        ((*SERIES, "--good", "2"), "--good 2 has to come before --bad 2"),
        ((*SERIES, "--first-parent"), "--series goes without"),
        ((*SERIES, "--bad-when", "corupt"), "'corupt' is no verdict (did you mean 'corrupt'?)"),
        ((*SERIES, "--bad-when", "error"), "'error' is no verdict"),
        ((*SERIES, "--scenario", "memdf"), "unknown scenario 'memdf'"),
        (TREE, "say --good and --bad"),
        ((*TREE, "--good", "v1.0", "--bad", "nine"), "'nine' is no commit"),
        ((*TREE, "--good", "v1.0", "--bad", "v1.0"), "are the same commit"),
        (("1.0", "@", *ARGUMENTS), "say --tree or --series, or set git config khoci.linux"),
        (("--resume",), "there is no run in bisections/: khoci bisect makes one"),
        (("--resume", "--good", "1"), "a bisection is resumed as it began: leave out good"),
        (("--run", "x", "1.0"), "a bisection is resumed as it began: leave out producer"),
        (("--run", "."), "no run '.' in bisections/"),
    ],
)
def test_wrong_use(
    home: Home, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    home.series("fine", "b=corrupt")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    tree = str(home.fake.folder / "tree")
    before = files_of(home.path)
    done = home.run(*(tree if word == "TREE" else word for word in arguments))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("khoci: ")
    assert message in line
    assert files_of(home.path) == before


@pytest.mark.parametrize(
    ("series", "arguments", "message"),
    [
        (
            ("fine", "b=well"),
            (),
            "is not so; name the component that changes with --component: root, memfd",
        ),
        (("corrupt", "a=fine"), ("--good", "1"), "--bad-when restored looks for the change"),
        (("b=corrupt",), ("--component", "root"), "root is restored with my-series+0 and"),
        (("b=corrupt",), ("--component", "luo"), "--good my-series+0 cannot be judged"),
        (("x", "#error"), (), "--bad my-series+2 cannot be judged: my-series+2: does not build"),
        (("absent", "a=panic"), ("--good", "1"), "--good my-series+1 cannot be judged: it is abs"),
    ],
)
def test_ends_that_tell_nothing(
    home: Home, series: tuple[str, ...], arguments: tuple[str, ...], message: str
) -> None:
    home.series(*series)
    done = of_series(home, *arguments)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert done.stdout == ""
