from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import pickle
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import git
import pytest
from click.testing import CliRunner

from khoci.cli import cli
from khoci.config.kernels import (
    DebianSource,
    GitSource,
    ImageSource,
    Kernels,
    KernelSpec,
    Package,
    TarballSource,
)
from khoci.errors import HarnessError, UsageError
from khoci.kernel.tar import tarfile
from khoci.progress import LineProgress, NoProgress
from khoci.series import trees
from khoci.series.apply import apply_series
from khoci.series.model import Outcome
from khoci.series.plumbing import open_repository
from khoci.series.trees import Release, make_tree, releases, working_tree
from tests.kernel.fakelinux import deb
from tests.series.small import TEXT, files_of, on

if TYPE_CHECKING:
    from collections.abc import Sequence

ODD = (
    'späce d/"quoted"',
    "new\nline",
    "back\\slash",
    b"latin\xe9".decode(errors="surrogateescape"),
)


def make_sources(folder: Path, word: str) -> Path:
    """A tree with all that a tar archive and git can both hold."""
    files = {
        "Makefile": b"VERSION = 6\n",
        "kernel/a.c": TEXT.replace("line 5\n", f"line {word}\n").encode(),
        "dos.txt": b"one\r\ntwo\r\n",
        "bytes": bytes(range(256)),
        "empty": b"",
        ".gitignore": b"*.o\n",
        ".gitattributes": b"* text=auto eol=crlf\n",
        "built.o": b"ignored",
        **{name: name.encode(errors="surrogateescape") for name in ODD},
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("../outside/späce")
    os.link(folder / "run.sh", folder / "same.sh")
    return folder


def archive(folder: Path, seconds: int = 1_700_000_000) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(
            folder, arcname="linux-source-6", filter=lambda m: m.replace(mtime=seconds, deep=False)
        )
    return lzma.compress(buffer.getvalue(), preset=0)


def release(folder: Path, name: str, word: str) -> Release:
    packed = archive(make_sources(folder / name, word))
    path = folder / f"{name}.tar.xz"
    path.write_bytes(packed)
    return Release(name, TarballSource(path.as_uri(), hashlib.sha256(packed).hexdigest()))


@pytest.fixture
def three(tmp_path: Path) -> list[Release]:
    words = {"v6.17": "5", "v6.18": "five", "v6.19": "V"}
    return [release(tmp_path / "src", name, word) for name, word in words.items()]


def make(tmp_path: Path, chosen: Sequence[Release], name: str = "linux.git") -> dict[str, str]:
    return make_tree(tmp_path / name, chosen, tmp_path / "downloads", NoProgress())


def test_which_releases_are_pinned() -> None:
    tarball = TarballSource("https://example.org/x.tar.xz", "1" * 64)
    package = DebianSource(Package("linux-source-6.18", "6.18.15-1", "2" * 64))
    specs = [
        KernelSpec("v6.18.15", (GitSource("v6.18.15"), package, tarball)),
        KernelSpec("v6.9", (tarball,)),
        KernelSpec("v7.0", (GitSource("v7.0"),)),
        KernelSpec("debian-cloud", (ImageSource(Path("/x")),)),
        KernelSpec("mine", (tarball,)),
        KernelSpec("v6.10", (tarball,), patches=(Path("/x.patch"),)),
    ]
    found = releases(Kernels(Path("kernels.toml"), {spec.name: spec for spec in specs}))
    assert found == (Release("v6.9", tarball), Release("v6.18.15", package))


def test_all_files_byte_for_byte(three: list[Release], tmp_path: Path) -> None:
    ids = make(tmp_path, three)
    repo = git.Repo(tmp_path / "linux.git")
    for name in ids:
        target = tmp_path / "out" / name
        target.mkdir(parents=True)
        with (tmp_path / "a.tar").open("w+b") as file:
            (tmp_path / "linux.git/info").mkdir(exist_ok=True)
            (tmp_path / "linux.git/info/attributes").write_text("* !text !eol\n")
            repo.archive(file, treeish=name)
            file.seek(0)
            with tarfile.open(fileobj=file) as tar:
                tar.extractall(target, filter="fully_trusted")
        source = tmp_path / "src" / name
        assert files_of(target) == files_of(source)
        assert all(
            bool(path.lstat().st_mode & 0o100)
            == bool((source / path.relative_to(target)).lstat().st_mode & 0o100)
            for path in target.rglob("*")
        )


def test_one_commit_and_tag_a_release(three: list[Release], tmp_path: Path) -> None:
    ids = make(tmp_path, three)
    repo = git.Repo(tmp_path / "linux.git")
    assert repo.bare
    assert list(ids) == ["v6.17", "v6.18", "v6.19"]
    assert {tag.name: tag.commit.hexsha for tag in repo.tags} == ids
    assert repo.git.rev_list("--reverse", "HEAD").split() == list(ids.values())
    assert repo.git.log("--format=%s|%cn|%an|%ct", "-1") == "Linux v6.19|khoci|khoci|1700000000"
    repo.git.fsck("--strict")


def test_the_command_tells_programs_where_it_is(
    three: list[Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = [
        f'[kernel."{each.name}"]\nsources = '
        f'[{{ tarball = "{each.source.url}", sha256 = "{each.source.sha256}" }}]\n'
        for each in three
        if isinstance(each.source, TarballSource)
    ]
    (tmp_path / "matrix").mkdir()
    (tmp_path / "matrix/kernels.toml").write_text("".join(tables))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KHOCI_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(cli, ["tree", "init", "v6.17", "v6.19", "--json"])
    told = json.loads(done.stdout)
    assert list(told["releases"]) == ["v6.17", "v6.19"]
    assert git.Repo(told["tree"]).commit("v6.19").hexsha == told["releases"]["v6.19"]


def test_the_same_input_gives_the_same_ids(three: list[Release], tmp_path: Path) -> None:
    first = make(tmp_path, three)
    for name in ("v6.17", "v6.18", "v6.19"):
        shutil.move(tmp_path / f"src/{name}.tar.xz", tmp_path / f"{name}-elsewhere.tar.xz")
    moved = [
        replace(
            each,
            source=replace(each.source, url=(tmp_path / f"{each.name}-elsewhere.tar.xz").as_uri()),
        )
        for each in three
        if isinstance(each.source, TarballSource)
    ]
    assert make(tmp_path, moved, "again.git") == first


def test_what_is_there_is_not_read_again(three: list[Release], tmp_path: Path) -> None:
    make(tmp_path, three[:1] + three[2:])
    (tmp_path / "src/v6.17.tar.xz").unlink()
    (tmp_path / "src/v6.19.tar.xz").unlink()
    told = io.StringIO()
    ids = make_tree(tmp_path / "linux.git", three, tmp_path / "downloads", LineProgress(told))
    assert told.getvalue() == "v6.18: reading its files (thousands)\n"
    assert list(ids) == ["v6.17", "v6.18", "v6.19"]


def test_what_is_there_stays(three: list[Release], tmp_path: Path) -> None:
    first = make(tmp_path, three)
    repo = git.Repo(tmp_path / "linux.git")
    before = repo.git.for_each_ref()
    for chosen in (three[:1], three[1:2], three[1:], three[:1] + three[2:], three[:0]):
        assert make(tmp_path, chosen) == {each.name: first[each.name] for each in chosen}
        assert repo.git.for_each_ref() == before


def test_what_comes_later_goes_on_the_newest_older_one(
    three: list[Release], tmp_path: Path
) -> None:
    first = make(tmp_path, three[:1] + three[2:])
    ids = make(tmp_path, three[1:2])
    repo = git.Repo(tmp_path / "linux.git")
    assert {tag.name: tag.commit.hexsha for tag in repo.tags} == {**first, **ids}
    assert repo.git.rev_parse("v6.18^", "v6.19^").split() == [first["v6.17"]] * 2
    assert repo.git.merge_base("v6.18", "v6.19") == first["v6.17"]
    assert repo.head.commit.hexsha == first["v6.19"]
    repo.git.fsck("--strict")


def test_another_archive_of_a_release(three: list[Release], tmp_path: Path) -> None:
    first = make(tmp_path, three)
    other = replace(release(tmp_path / "other", "v6.18", "other"), name="v6.18")
    ids = make(tmp_path, [three[0], other, three[2]])
    assert {name for name in ids if ids[name] != first[name]} == {"v6.18"}
    show = git.Repo(tmp_path / "linux.git").git.show
    assert "line other" in show("v6.18:kernel/a.c")


def test_a_source_package(tmp_path: Path) -> None:
    packed = archive(make_sources(tmp_path / "tree", "5"))
    content = deb(
        {"usr/share/doc/x/copyright": b"words", "usr/src/linux-source-6.18.tar.xz": packed}
    )
    package = Package("linux-source-6.18", "6.18.15-1", hashlib.sha256(content).hexdigest())
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/linux-source-6.18_6.18.15-1_all.deb").write_bytes(content)
    ids = make(tmp_path, [Release("v6.18.15", DebianSource(package))])
    assert git.Repo(tmp_path / "linux.git").git.show(f"{ids['v6.18.15']}:Makefile") == "VERSION = 6"


def bad(
    path: str, kind: bytes = tarfile.REGTYPE, linkname: str = "", content: bytes = b""
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, type_ in ((f"linux/{path}", kind), ("linux/Makefile", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = type_, linkname, len(content)
            tar.addfile(member, io.BytesIO(content))
    return lzma.compress(buffer.getvalue())


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (bad("a/.git/config"), r"holds 'a/\.git/config', which no git tree can"),
        (bad("../x"), "which no git tree can"),
        (bad("device", tarfile.CHRTYPE), "holds 'device', which is neither file nor link"),
        (bad("x", tarfile.LNKTYPE, "linux/gone"), "git fast-import"),
        (bad("x", tarfile.LNKTYPE), "links 'x' to ''"),
        (bad("x", tarfile.LNKTYPE, "linux/../../etc"), r"links 'x' to 'linux/\.\./\.\./etc'"),
        (bad("x").replace(b"\xfd7zXZ", b"\xfd7zXY"), "is damaged"),
        (bad("x", content=bytes(range(256)))[:200], "is damaged"),
        (lzma.compress(b""), "holds no kernel source tree|is damaged"),
    ],
)
def test_a_bad_archive_is_one_line(packed: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.tar.xz").write_bytes(packed)
    source = TarballSource((tmp_path / "x.tar.xz").as_uri(), hashlib.sha256(packed).hexdigest())
    with pytest.raises(HarnessError, match=message) as caught:
        make(tmp_path, [Release("v6.18", source)])
    assert "\n" not in str(caught.value)
    stopped = git.Repo(tmp_path / "linux.git")
    assert [*stopped.heads, *stopped.tags] == []


CHILD = """
import pickle, sys
from pathlib import Path
from khoci.progress import NoProgress
from khoci.series import trees
real = trees.commands
def commands(packed, origin):
    for number, piece in enumerate(real(packed, origin)):
        if number == 5 and "v6.18" in origin.name:
            print("there", flush=True)
            import signal; signal.pause()
        yield piece
trees.commands = commands
chosen, tmp = pickle.loads(sys.stdin.buffer.read())
trees.make_tree(Path(tmp) / "linux.git", chosen, Path(tmp) / "downloads", NoProgress())
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_stopped_goes_on(
    how: signal.Signals, three: list[Release], tmp_path: Path
) -> None:
    expected = make(tmp_path, three, "whole.git")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(pickle.dumps((three, str(tmp_path))))
    child.stdin.close()
    assert child.stdout.readline() == b"there\n"
    child.stdout.close()
    child.send_signal(how)
    child.wait()
    stopped = git.Repo(tmp_path / "linux.git")
    assert [*stopped.heads, *stopped.tags] == []
    (tmp_path / "src/v6.17.tar.xz").unlink()
    assert make(tmp_path, three) == expected
    left = [str(path) for path in (tmp_path / "linux.git").rglob("*")]
    assert not [path for path in left if "tmp_" in path or "crash" in path or ".lock" in path]


def test_the_users_tree_comes_first(
    linux: git.Repo, three: list[Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KHOCI_LINUX_GIT", raising=False)
    made = tmp_path / "linux.git"
    with pytest.raises(
        UsageError, match=r"no linux\.git: set KHOCI_LINUX_GIT .* 'khoci tree init'"
    ):
        working_tree(made)
    make(tmp_path, three)
    assert working_tree(made) == open_repository(made)
    monkeypatch.setenv("KHOCI_LINUX_GIT", str(linux.working_dir))
    assert working_tree(made) == open_repository(Path(linux.working_dir))
    monkeypatch.setenv("KHOCI_LINUX_GIT", str(tmp_path / "none"))
    with pytest.raises(UsageError, match="none: is no git repository"):
        working_tree(made)


def test_a_full_disk_is_said_before(
    three: list[Release], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "FIRST_MB", 10**9)
    with pytest.raises(HarnessError, match=r"v6\.17: .* needs 1000000000 MB"):
        make(tmp_path, three)


def test_a_series_is_merged_in_it(linux: git.Repo, three: list[Release], tmp_path: Path) -> None:
    make(tmp_path, three)
    series = on(linux, "v6.17", {"kernel/a.c": TEXT.replace("line 7\n", "line seven\n")})
    tree = open_repository(tmp_path / "linux.git")
    done = apply_series(series, "v6.18", tree, tmp_path / "place")
    assert (done.outcome, done.steps[0].three_way) == (Outcome.APPLIED, True)
