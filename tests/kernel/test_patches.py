from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from khoci.errors import BuildError
from khoci.kernel.patches import patched, renew_hidden, touched_by

if TYPE_CHECKING:
    from collections.abc import Callable

PROSE = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    (folder / "deep/er").mkdir(parents=True)
    (folder / "text.c").write_text(PROSE)
    (folder / "deep/er/moves.c").write_text(f"{PROSE}8\n")
    (folder / "goes.c").write_text(f"{PROSE}9\n")
    (folder / "with space").write_text("")
    (folder / "bytes").write_bytes(b"\0\1\2")
    (folder / "script.sh").write_text("true\n")
    (folder / "tool.sh").write_text("false\n")
    (folder / "tool.sh").chmod(0o755)
    (folder / "link").symlink_to("text.c")
    return folder


def edit(tree: Path) -> None:
    (tree / "text.c").write_text(PROSE.replace("four", "FOUR"))
    (tree / "deep/er/moved.c").write_text(f"{PROSE}eight\n")
    (tree / "deep/er/moves.c").unlink()
    (tree / "goes.c").unlink()
    (tree / "with space").unlink()
    (tree / "bytes").write_bytes(b"\0\1\3")
    (tree / "script.sh").chmod(0o755)
    (tree / "tool.sh").unlink()
    (tree / "link").unlink()
    (tree / "link").symlink_to("goes.c")
    (tree / "new/folder").mkdir(parents=True)
    (tree / "new/folder/comes.c").write_text("fresh\n")


@pytest.fixture
def patch(tree: Path, tmp_path: Path) -> Path:
    """A patch with all that git knows to do to a file; the tree is as before it."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-a", tree, copy], check=True)
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "-m", "before")
    edit(copy)
    git(copy, "add", "--all")
    path = tmp_path / "all.patch"
    path.write_text(git(copy, "diff", "--cached", "--binary", "-M"))
    shutil.rmtree(copy / ".git")
    return path


def content(tree: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(tree)): (
            path.lstat().st_mode,
            bytes(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in tree.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_all_files_that_a_patch_touches(patch: Path) -> None:
    touched = touched_by("k", [patch])
    assert touched.names == {
        "text.c",
        "deep/er/moves.c",
        "deep/er/moved.c",
        "goes.c",
        "with space",
        "bytes",
        "script.sh",
        "tool.sh",
        "link",
        "new/folder/comes.c",
    }
    assert touched.created == {"new/folder/comes.c"}


def test_no_patches_touch_nothing() -> None:
    assert touched_by("k", []).names == frozenset()


def test_what_is_no_patch(tmp_path: Path) -> None:
    words = tmp_path / "words.patch"
    words.write_text("words\n")
    with pytest.raises(BuildError, match=r"k: .*words\.patch does not apply"):
        touched_by("k", [words])


def test_a_patched_tree_is_as_before_after_it(tree: Path, patch: Path, tmp_path: Path) -> None:
    before = content(tree)
    with patched("k", [patch], touched_by("k", [patch]).names, tree):
        assert content(tree) == content(tmp_path / "copy")
    assert content(tree) == before


def fail() -> None:
    raise BuildError("it does not build")


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("end", [fail, interrupt])
def test_however_it_ends(tree: Path, patch: Path, end: Callable[[], None]) -> None:
    before = content(tree)
    with (
        pytest.raises((BuildError, KeyboardInterrupt)),
        patched("k", [patch], touched_by("k", [patch]).names, tree),
    ):
        end()
    assert content(tree) == before


def test_of_several_patches_one_does_not_apply(tree: Path, patch: Path) -> None:
    before = content(tree)
    twice = [patch, patch]
    with (
        pytest.raises(BuildError, match=r"k: .*all\.patch does not apply"),
        patched("k", twice, touched_by("k", twice).names, tree),
    ):
        pass
    assert content(tree) == before


def test_patches_on_one_file_follow_each_other(tree: Path, tmp_path: Path) -> None:
    lines = [("four", "4"), ("4", "vier")]
    patches = [tmp_path / f"{number}.patch" for number in range(2)]
    for path, (old, new) in zip(patches, lines, strict=True):
        path.write_text(
            f"--- a/text.c\n+++ b/text.c\n@@ -3,3 +3,3 @@\n three\n-{old}\n+{new}\n five\n"
        )
    with patched("k", patches, touched_by("k", patches).names, tree):
        assert "vier" in (tree / "text.c").read_text()
    assert (tree / "text.c").read_text() == PROSE


def test_make_sees_a_change_and_its_end(tree: Path, patch: Path) -> None:
    """Files are newer than objects of a moment before: less than the kernel's tick tells apart."""
    names = touched_by("k", [patch]).names
    for _ in range(20):
        before = time.time_ns()
        with patched("k", [patch], names, tree):
            within = time.time_ns()
            assert before < (tree / "text.c").stat().st_mtime_ns < within
        assert (tree / "text.c").stat().st_mtime_ns > within
        assert (tree / "goes.c").stat().st_mtime_ns > within


def test_what_patches_leave_alone_keeps_its_time(tree: Path, patch: Path) -> None:
    (tree / "goes.c").unlink()
    then = (tree / "text.c").stat().st_mtime_ns
    with (
        pytest.raises(BuildError),
        patched("k", [patch], touched_by("k", [patch]).names, tree),
    ):
        pass
    assert (tree / "text.c").stat().st_mtime_ns == then


def test_a_header_that_a_new_one_hides_is_made_newer(tree: Path, tmp_path: Path) -> None:
    hidden = [
        "include/uapi/linux/magic.h",
        "arch/x86/include/asm/magic.h",
        "build/include/generated/own.h",
    ]
    others = ["include/uapi/linux/other.h", "fs/linux/magic.h", "include/linux/magic.h"]
    for name in (*hidden, *others):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    (tree / "include/asm").mkdir()
    (tree / "include/asm/magic.h").symlink_to("../linux/magic.h")
    shared = tmp_path / "shared.h"
    shared.hardlink_to(tree / hidden[0])
    times = {name: (tree / name).stat().st_mtime_ns for name in (*hidden, *others)}
    created = ["include/linux/magic.h", "mm/asm/magic.h", "mm/own.h", "mm/a[.h"]
    folders = ("include", "include/uapi", "arch/*/include", "build/include/generated")
    assert renew_hidden(created, tree, folders) == sorted(hidden)
    renewed = [name for name in times if (tree / name).stat().st_mtime_ns > times[name]]
    assert renewed == hidden
    assert [(tree / name).read_text() for name in times] == list(times)
    assert shared.stat().st_mtime_ns == times[hidden[0]]
