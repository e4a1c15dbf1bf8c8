"""What is the user's stays as it was, whatever happens."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from khoci.errors import HarnessError
from khoci.series.apply import apply_series
from khoci.series.model import Outcome
from khoci.series.plumbing import Git, absent, open_repository
from tests.series.small import OTHER, TEXT, THIRD, files_of, on

if TYPE_CHECKING:
    import git

    from khoci.series.model import Series
    from khoci.series.plumbing import Repository

CLEAN = TEXT.replace("line 30\n", "line thirty\n")
CLASH = TEXT.replace("line 20\n", "line XX\n")
A, B, C = "kernel/a.c", "kernel/b.c", "mm/c.c"

HOSTILE_CONFIG = """
[user]
    name = Somebody Else
    email = else@example.org
    signingKey = nobody
[commit]
    gpgSign = true
    template = /nonexistent/template
    cleanup = scissors
[am]
    keepcr = true
    messageid = true
    threeWay = false
[core]
    autocrlf = true
    hooksPath = {hooks}
    whitespace = trailing-space
    attributesFile = {hooks}/attributes
    editor = false
[apply]
    whitespace = error
[mailinfo]
    scissors = true
[i18n]
    commitEncoding = latin1
[trailer "link"]
    key = "Nonsense: "
    ifExists = doNothing
[trailer]
    ifExists = doNothing
[merge]
    conflictStyle = diff3
    default = odd
    renames = false
[merge "odd"]
    driver = touch {hooks}/ran
[filter "odd"]
    clean = touch {hooks}/ran
    smudge = touch {hooks}/ran
[gc]
    auto = 1
[rerere]
    enabled = true
"""


@pytest.fixture
def dirty(linux: git.Repo) -> Path:
    """The user's checkout with work going on in it."""
    folder = Path(linux.working_dir)
    (folder / A).write_text("staged\n")
    linux.git.add(A)
    (folder / A).write_text("unfinished\n")
    (folder / B).parent.mkdir(exist_ok=True)
    (folder / "untracked").write_text("mine\n")
    return folder


def without_what_may_change(files: dict[str, bytes]) -> dict[str, bytes]:
    ours = (".git/objects/", ".git/refs/heads/khoci/", ".git/logs/refs/heads/khoci/")
    return {name: content for name, content in files.items() if not name.startswith(ours)}


def good(linux: git.Repo) -> Series:
    return on(linux, "v6.17", {A: TEXT.replace("line 7\n", "line seven\n")}, {B: f"{OTHER}end\n"})


def bad(linux: git.Repo) -> Series:
    return on(linux, "v6.17", {C: f"{THIRD}end\n"}, {A: CLASH}, {B: f"{OTHER}end\n"})


@pytest.fixture
def both(linux: git.Repo) -> tuple[Series, Series]:
    return good(linux), bad(linux)


def test_success_adds_objects_and_a_branch(
    both: tuple[Series, Series], dirty: Path, tree: Repository, place: Path
) -> None:
    before = files_of(dirty)
    assert apply_series(both[0], "v6.19", tree, place).outcome is Outcome.APPLIED
    after = files_of(dirty)
    assert without_what_may_change(after) == without_what_may_change(before)
    assert before.items() <= after.items()
    assert ".git/refs/heads/khoci/change/v1" in after
    assert files_of(place) == {}


def test_failure_writes_nothing(
    both: tuple[Series, Series], dirty: Path, tree: Repository, place: Path
) -> None:
    before = files_of(dirty)
    assert apply_series(both[1], "v6.19", tree, place).outcome is Outcome.CONFLICT
    assert files_of(dirty) == before
    assert files_of(place) == {}


def test_a_try_writes_nothing(
    both: tuple[Series, Series], dirty: Path, tree: Repository, place: Path
) -> None:
    before = files_of(dirty)
    done = apply_series(both[0], "v6.19", tree, place, set_branch=False)
    assert done.outcome is Outcome.APPLIED
    assert files_of(dirty) == before


def hostile(folder: Path, tmp_path: Path) -> Path:
    """Give the repository at ``folder`` the worst configuration; returns the folder of hooks."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in (
        *("applypatch-msg", "pre-applypatch", "post-applypatch", "reference-transaction"),
        *("prepare-commit-msg", "post-rewrite", "post-checkout", "post-index-change"),
    ):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {hooks}/ran\nexit 1\n")
        (hooks / name).chmod(0o755)
        shutil.copy(hooks / name, folder / ".git/hooks" / name)
    (hooks / "attributes").write_text("* text eol=crlf filter=odd merge=odd\n")
    (folder / ".git/info").mkdir(exist_ok=True)
    shutil.copy(hooks / "attributes", folder / ".git/info/attributes")
    config = HOSTILE_CONFIG.format(hooks=hooks)
    (tmp_path / "gitconfig").write_text(config)
    with (folder / ".git/config").open("a") as file:
        file.write(config)
    return hooks


def test_no_configuration_counts(
    linux: git.Repo, tree: Repository, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = good(linux)
    expected = apply_series(series, "v6.18", tree, place, set_branch=False).head
    folder = Path(linux.working_dir)
    hooks = hostile(folder, tmp_path)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_COMMITTER_NAME", "Somebody Else")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'am.messageid'='true'")
    before = files_of(folder)
    done = apply_series(series, "v6.18", tree, place)
    assert done.head == expected
    assert without_what_may_change(files_of(folder)) == without_what_may_change(before)
    assert not (hooks / "ran").exists()
    assert not (tmp_path / "elsewhere").exists()


def test_several_at_once(linux: git.Repo, tree: Repository, place: Path, dirty: Path) -> None:
    linux.git.stash("--include-untracked")
    series = [good(linux), bad(linux)]
    before = files_of(dirty)
    done = {}

    def run(number: int) -> None:
        done[number] = apply_series(series[number % 2], "v6.18", tree, place)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({done[number].head for number in (0, 2, 4)}) == 1
    assert {done[number].outcome for number in range(6)} == {Outcome.APPLIED}
    assert without_what_may_change(files_of(dirty)) == without_what_may_change(before)
    linux.git.fsck("--strict")


CHILD = """
import os, pickle, signal, sys
from pathlib import Path
from khoci.series import apply, patching, publish
from khoci.series.plumbing import open_repository

series, folder, place, at = pickle.loads(sys.stdin.buffer.read())
count = 0

def stop(real):
    def call(*arguments, **named):
        global count
        count += 1
        if count == at:
            print("there", flush=True)
            signal.pause()
        return real(*arguments, **named)
    return call

from khoci.series.plumbing import Git
Git.ask = stop(Git.ask)
apply.apply_series(series, "v6.19", open_repository(Path(folder)), Path(place))
"""


def start_and_stop(series: Series, folder: Path, place: Path, at: int) -> subprocess.Popen[bytes]:
    """Apply in another process, which waits before its git command number ``at``."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(pickle.dumps((series, str(folder), str(place), at)))
    child.stdin.close()
    assert child.stdout.readline() == b"there\n"
    child.stdout.close()
    return child


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("at", [9, 14])
def test_an_end_in_the_middle(
    how: signal.Signals,
    at: int,
    both: tuple[Series, Series],
    dirty: Path,
    tree: Repository,
    place: Path,
) -> None:
    before = files_of(dirty)
    child = start_and_stop(both[0], dirty, place, at)
    assert files_of(place)
    child.send_signal(how)
    child.wait()
    assert bool(files_of(place)) == (how is signal.SIGKILL)
    assert files_of(dirty) == before
    assert apply_series(both[0], "v6.19", tree, place).outcome is Outcome.APPLIED
    assert files_of(place) == {}


def test_git_does_not_outlive_khoci(
    both: tuple[Series, Series], dirty: Path, place: Path, tmp_path: Path
) -> None:
    fake = tmp_path / "bin/git"
    fake.parent.mkdir()
    real = shutil.which("git")
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *" am "*) echo $$ > {tmp_path}/pid; exec sleep 60;; esac\n'
        f'exec {real} "$@"\n'
    )
    fake.chmod(0o755)
    code = CHILD.replace("Git.ask = stop(Git.ask)\n", "")
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PATH": f"{fake.parent}:{os.environ['PATH']}",
        },
    )
    assert child.stdin is not None
    child.stdin.write(pickle.dumps((both[0], str(dirty), str(place), 0)))
    child.stdin.close()
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.01)
    child.kill()
    child.wait()
    pid = Path("/proc") / (tmp_path / "pid").read_text().strip()
    for _ in range(100):
        if not pid.exists() or "Z" in (pid / "stat").read_text().split()[2]:
            return
        time.sleep(0.02)
    pytest.fail("git lives on")


def test_a_full_disk_is_no_conflict(
    linux: git.Repo, tree: Repository, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bin/git"
    fake.parent.mkdir()
    says = "fatal: unable to write new_index file: No space left on device"
    fake.write_text(
        f'#!/bin/sh\ncase "$*" in *" am "*) echo "{says}" >&2; exit 128;; esac\n'
        f'exec {shutil.which("git")} "$@"\n'
    )
    fake.chmod(0o755)
    series = good(linux)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(HarnessError, match="No space left on device"):
        apply_series(series, "v6.19", tree, place)
    assert files_of(place) == {}


def test_a_partial_clone_fetches_nothing(linux: git.Repo, place: Path, tmp_path: Path) -> None:
    series = on(linux, "v6.17", {A: CLEAN})
    linux.git.config("uploadpack.allowFilter", "true")
    url = f"file://{linux.working_dir}"
    part = tmp_path / "part"
    linux.git.clone("--quiet", "--bare", "--filter=blob:none", url, str(part))
    with (part / "config").open("a") as file:
        file.write(
            f'[remote "origin"]\n\tuploadpack = touch {tmp_path}/ran; git-upload-pack\n'
            '[protocol "file"]\n\tallow = always\n'
        )
    before = files_of(part)
    with pytest.raises(HarnessError, match=r"kernel/a\.c: its content at .*partial clone"):
        apply_series(series, "v6.18", open_repository(part), place)
    assert absent(Git(part), [blob := f"{linux.commit('v6.17').tree[C].hexsha}", "HEAD"]) == {blob}
    assert files_of(part) == before
    assert not (tmp_path / "ran").exists()


def test_what_the_configuration_includes_from_home(
    linux: git.Repo, tree: Repository, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig-work").write_text("[user]\n\tname = Else\n")
    (tmp_path / ".config/git").mkdir(parents=True)
    (tmp_path / ".config/git/attributes").write_text("* text eol=crlf\n")
    with (Path(linux.git_dir) / "config").open("a") as file:
        file.write("[include]\n\tpath = ~/.gitconfig-work\n")
    done = apply_series(good(linux), "v6.18", tree, place)
    assert done.outcome is Outcome.APPLIED
    assert b"\r" not in tree.git.tell("cat-file", "blob", f"{done.head}:{A}")
