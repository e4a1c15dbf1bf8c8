from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import git
import pytest

from khoci.errors import UsageError
from khoci.series.byhand import Begun, base_of, begin, begun, finish, place_of
from khoci.series.model import Outcome, Series
from khoci.series.plumbing import Repository
from tests.series.small import OTHER, TEXT, commit, files_of, on

FIVE = TEXT.replace("line 5\n", "line V\n")


def hand(folder: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=H", "-c", "user.email=h@example.org", *arguments],
        cwd=place_of(folder),
        check=True,
        capture_output=True,
    )


@pytest.fixture
def series(linux: git.Repo) -> Series:
    """Three patches on 6.17, of which the second does not fit 6.18."""
    return on(
        linux,
        "v6.17",
        {"mm/c.c": "new\n"},
        {"kernel/a.c": FIVE},
        {"kernel/a.c": FIVE.replace("line 30\n", "line XXX\n")},
    )


@pytest.fixture
def stopped(series: Series, linux: git.Repo, tree: Repository, tmp_path: Path) -> Path:
    folder = tmp_path / "cache/change/v1"
    patch = begin(series, str(linux.commit("v6.18")), tree, folder)
    assert patch is not None
    assert patch.number == 2
    return folder


def test_it_stands_where_it_stopped(stopped: Path, linux: git.Repo) -> None:
    assert base_of(stopped) == str(linux.commit("v6.18"))
    text = (place_of(stopped) / "kernel/a.c").read_text()
    assert "<<<<<<<" in text
    assert "line five" in text
    assert (place_of(stopped) / "mm/c.c").read_text() == "new\n"


def test_as_it_says_where_a_gitignore_names_everything(
    series: Series, linux: git.Repo, tree: Repository, tmp_path: Path
) -> None:
    linux.git.checkout("v6.18", "--quiet")
    commit(linux, "as Debian has it", {".gitignore": "/*\n!/debian/\n!/.gitignore\n"}, "debian")
    folder = tmp_path / "cache/change/v1"
    begin(series, str(linux.commit("debian")), tree, folder)
    (place_of(folder) / "kernel/a.c").write_text(FIVE)
    with pytest.raises(subprocess.CalledProcessError):
        hand(folder, "add", "kernel/a.c")
    with pytest.raises(UsageError, match="'git add -f' them"):
        finish(series, folder)
    hand(folder, "add", "-f", "kernel/a.c")
    hand(folder, "am", "--continue")
    assert finish(series, folder).outcome is Outcome.APPLIED


def test_nothing_is_taken_while_a_patch_waits(
    stopped: Path, series: Series, linux: git.Repo
) -> None:
    before = files_of(Path(linux.git_dir))
    with pytest.raises(UsageError, match=r"a patch still waits in .*by-hand: mend"):
        finish(series, stopped)
    assert {k: v for k, v in files_of(Path(linux.git_dir)).items() if k in before} == before


def test_what_was_mended_is_taken(stopped: Path, series: Series, linux: git.Repo) -> None:
    (place_of(stopped) / "kernel/a.c").write_text(FIVE)
    hand(stopped, "add", "kernel/a.c")
    hand(stopped, "am", "--continue")
    done = finish(series, stopped)
    assert done.outcome is Outcome.APPLIED
    assert [step.outcome for step in done.steps] == [Outcome.APPLIED] * 3
    assert linux.commit("khoci/change/v1").hexsha == done.head
    links = linux.git.log("--format=%(trailers:key=Link,valueonly)", "v6.18..khoci/change/v1")
    assert links.split() == [
        f"https://patch.msgid.link/2025-{number}%2F3+x@example.org" for number in (3, 2, 1)
    ]
    assert "line XXX" in linux.git.show("khoci/change/v1:kernel/a.c")
    assert not place_of(stopped).exists()


def test_a_patch_that_was_skipped_has_no_outcome(stopped: Path, series: Series) -> None:
    hand(stopped, "am", "--skip")
    done = finish(series, stopped)
    assert [step.outcome for step in done.steps] == [Outcome.APPLIED, None, Outcome.APPLIED]


def test_a_commit_of_no_patch_is_refused(stopped: Path, series: Series) -> None:
    hand(stopped, "am", "--abort")
    (place_of(stopped) / "kernel/a.c").write_text("mine\n")
    hand(stopped, "commit", "-qam", "my own")
    with pytest.raises(UsageError, match="'my own' is of no patch of the series"):
        finish(series, stopped)


def test_nothing_was_begun(series: Series, tmp_path: Path) -> None:
    assert base_of(tmp_path) is None
    with pytest.raises(UsageError, match="nothing was begun"):
        finish(series, tmp_path)


def test_what_was_begun_stays(
    stopped: Path, series: Series, linux: git.Repo, tree: Repository
) -> None:
    (place_of(stopped) / "kernel/a.c").write_text("half done\n")
    for base in ("v6.18", "v6.19"):
        with pytest.raises(UsageError, match=r"by-hand: was begun on .* --again throws it away"):
            begin(series, str(linux.commit(base)), tree, stopped)
    assert (place_of(stopped) / "kernel/a.c").read_text() == "half done\n"
    begin(series, str(linux.commit("v6.18")), tree, stopped, again=True)
    assert "<<<<<<<" in (place_of(stopped) / "kernel/a.c").read_text()


def test_it_goes_where_it_was_begun_for(
    stopped: Path, series: Series, linux: git.Repo, tree: Repository, tmp_path: Path
) -> None:
    assert begun(stopped) == Begun(str(linux.commit("v6.18")), tree.folder)
    hand(stopped, "am", "--skip")
    Path(linux.working_dir).rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"linux/\.git: is no git repository"):
        finish(series, stopped)
    (tmp_path / "elsewhere").rename(str(linux.working_dir))
    assert finish(series, stopped).outcome is Outcome.APPLIED


def test_a_tree_without_the_base(
    stopped: Path, series: Series, linux: git.Repo, tmp_path: Path
) -> None:
    hand(stopped, "am", "--skip")
    other = git.Repo.init(tmp_path / "other")
    before = files_of(tmp_path / "other")
    marker = place_of(stopped) / ".git/khoci-base"
    marker.write_text(f"{linux.commit('v6.18')}\n{other.git_dir}\n")
    with pytest.raises(UsageError, match=r"other/\.git: does not have the base, "):
        finish(series, stopped)
    assert files_of(tmp_path / "other") == before


def test_a_link_by_hand(stopped: Path, series: Series) -> None:
    (place_of(stopped) / "kernel/a.c").unlink()
    (place_of(stopped) / "kernel/a.c").symlink_to("../../../outside")
    hand(stopped, "add", "kernel/a.c")
    with pytest.raises(subprocess.CalledProcessError):  # the third patch finds no text there
        hand(stopped, "am", "--continue")
    hand(stopped, "am", "--skip")
    with pytest.raises(UsageError, match=r"commit .* is refused: the link 'kernel/a\.c' leads out"):
        finish(series, stopped)
    assert place_of(stopped).exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_has_moved(
    known: bool, linux: git.Repo, tree: Repository, tmp_path: Path
) -> None:
    """With a version that the tree knows git merges; else there is nothing but the name."""
    commit(linux, "b", {"kernel/live/b.c": OTHER.replace("row 20\n", "row twenty\n")}, "v6.20")
    changed = OTHER.replace("row 20\n", "row XX\n")
    series = on(linux, "v6.17", {"kernel/b.c": changed})
    if not known:
        patch = series.patches[0]
        mail = patch.mail.replace(b"index ", b"index dead")
        series = replace(series, patches=(replace(patch, mail=mail, blobs=()),))
    folder = tmp_path / "cache/change/v1"
    begin(series, str(linux.commit("v6.20")), tree, folder)
    moved = place_of(folder) / "kernel/live/b.c"
    assert ("<<<<<<<" if known else "row twenty") in moved.read_text()
    assert not (place_of(folder) / "mm/c.c").exists()
    moved.write_text(changed)
    hand(folder, "add", "kernel/live/b.c")
    hand(folder, "am", "--continue")
    assert finish(series, folder).outcome is Outcome.APPLIED
    assert linux.git.diff("--name-only", "v6.20", "khoci/change/v1") == "kernel/live/b.c"


def test_any_other_file_can_be_had(stopped: Path) -> None:
    assert not (place_of(stopped) / "kernel/b.c").exists()
    hand(stopped, "sparse-checkout", "add", "kernel/b.c")
    assert (place_of(stopped) / "kernel/b.c").read_text() == OTHER
    (place_of(stopped) / "kernel/b.c").write_text("mine\n")
    hand(stopped, "add", "kernel/b.c")
