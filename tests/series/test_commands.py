from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import git
import pytest
from click.testing import CliRunner, Result

from khoci.cli import cli
from khoci.config.kernels import known_kernels
from khoci.config.matrix import GuestConfig
from khoci.errors import KhociError, UsageError
from khoci.run.folder import RUNS, new_run
from khoci.run.matrix import Plan
from khoci.series.b4 import NotFoundError
from khoci.series.known import in_run, is_as_in_run
from khoci.series.model import Series
from tests.series import small
from tests.series.small import OTHER, TEXT, files_of, on

KERNELS = "".join(
    f'[kernel."v6.{minor}"]\nsources = [{{ ref = "v6.{minor}" }}]\n' for minor in (17, 18, 19)
)
SEVEN = TEXT.replace("line 7\n", "line seven\n")
Khoci = Callable[..., Result]


@pytest.fixture
def khoci(linux: git.Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Khoci:
    (tmp_path / "matrix").mkdir()
    (tmp_path / "matrix/kernels.toml").write_text(KERNELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("KHOCI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KHOCI_LINUX_GIT", str(linux.working_dir))

    def run(*words: str, stdin: bytes = b"") -> Result:
        """Its exit code is ``return_value``."""
        return CliRunner().invoke(cli, words, input=io.BytesIO(stdin), standalone_mode=False)

    return run


def mbox(folder: Path, series: Series, *, drop: int = 0) -> str:
    mails = [patch.mail for patch in series.patches if patch.number != drop]
    path = folder / "series.mbox"
    path.write_bytes(b"\n".join(mails))
    return str(path)


def made_on(linux: git.Repo, base: str, *changes: Mapping[str, str | None]) -> Series:
    return on(linux, base, *changes)


def test_the_newest_kernel_with_the_very_files(
    khoci: Khoci, linux: git.Repo, tmp_path: Path
) -> None:
    series = made_on(linux, "v6.18", {"mm/c.c": "new\n"}, {"kernel/b.c": "more\n"})
    done = khoci("apply-series", mbox(tmp_path, series))
    assert done.return_value == 0, done.exception
    lines = done.stdout.splitlines()
    assert lines[0] == "kernel: change 1"
    assert lines[1].strip().startswith("v1, 2 patches, by Zoë Łukasz <zoe@example.org>, 2025-1/2")
    assert f"base: v6.18 ({linux.commit('v6.18').hexsha[:12]}): has the very files" in lines
    assert "  1/2 applied: kernel: change 1" in lines
    assert lines[-2:] == [
        "branch khoci/kernel-change-1/v1, kernel kernel-change-1-v1",
        "next: khoci matrix run --series kernel-change-1",
    ]
    assert linux.git.show("khoci/kernel-change-1/v1:mm/c.c") == "new"
    listed = khoci("series", "list").stdout
    assert listed == "kernel-change-1:v1  on v6.18  kernel: change 1\n"
    assert "kernel-change-1-v1  " in khoci("kernel", "list").stdout


def test_a_subject_without_end(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    path = Path(mbox(tmp_path, made_on(linux, "v6.18", {"mm/c.c": "new\n"})))
    path.write_bytes(path.read_bytes().replace(b"kernel: change 1", b"kernel: " + b"x" * 5000))
    lines = khoci("apply-series", str(path)).stdout.splitlines()
    assert lines[0].startswith("kernel: xxx")
    assert lines[0].endswith("x...")
    assert max(map(len, [*lines, khoci("series", "list").stdout])) < 300


def test_commits_of_the_tree_go_onto_their_base(khoci: Khoci, linux: git.Repo) -> None:
    linux.git.checkout("--quiet", "-b", "topic", "v6.17")
    base = small.commit(linux, "kernel: of the maintainer", {"mm/c.c": "theirs\n"})
    small.commit(linux, "kernel: mine", {"kernel/a.c": SEVEN})
    head = small.commit(linux, "kernel: mine, too", {"kernel/b.c": "more\n"})
    done = khoci("apply-series", "topic~2..topic", "--slug", "pull-7", "--json")
    assert done.return_value == 0, done.exception
    told = json.loads(done.stdout)
    assert (told["base"]["commit"], told["base"]["kernel"]) == (base, None)
    assert (told["kernel"], told["applied"]) == ("pull-7-v1", 2)
    assert linux.git.rev_parse("khoci/pull-7/v1^{tree}") == linux.git.rev_parse(f"{head}^{{tree}}")


def test_the_same_for_programs(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    path = mbox(tmp_path, made_on(linux, "v6.17", {"kernel/a.c": SEVEN}))
    done = json.loads(khoci("apply-series", path, "--json", "--onto", "6.18").stdout)
    assert (done["schema"], done["outcome"], done["applied"], done["of"]) == (1, "applied", 1, 1)
    assert done["kernel"] == "kernel-change-1-v1"
    assert (done["base"]["kernel"], done["base"]["why"]) == ("v6.18", "as --onto says")
    assert done["patches"][0]["three_way"] is True
    assert done["series"]["patches"][0]["author"] == "Zoë Łukasz <zoe@example.org>"
    rows = json.loads(khoci("apply-series", path, "--json", "--onto", "all").stdout)["outcomes"]
    assert {row["kernel"]: row["outcome"] for row in rows}["v6.17"] == "applied"
    assert {row["kernel"]: row["outcome"] for row in rows}["v7.3.4"] == "base unknown"
    bases = {row["kernel"]: row["base"] for row in rows}
    assert set(bases["v6.18"]) == set(done["base"])
    assert bases["v6.18"]["commit"] == linux.commit("v6.18").hexsha
    assert bases["v7.3.4"]["commit"] is None


def test_a_question_changes_nothing(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    path = mbox(tmp_path, made_on(linux, "v6.18", {"kernel/a.c": "other\n"}))
    khoci("apply-series", path, "--onto", "6.18")
    folder = tmp_path / "cache/series/kernel-change-1/v1"
    before = {name: content for name, content in files_of(folder).items() if "patches" in name}
    assert before
    for onto, code in (("all", 0), ("nothing", None), ("6.19", 1)):
        assert khoci("apply-series", path, "--onto", onto).return_value == code
        assert khoci("series", "list").stdout.startswith("kernel-change-1:v1  on v6.18")
        assert before.items() <= files_of(folder).items()
    mbox(tmp_path, made_on(linux, "v6.18", {"mm/c.c": "x\n"}, {"kernel/a.c": "other\n"}), drop=2)
    assert (
        "patch 2 of 2 is missing" in khoci("apply-series", path, "--slug", "kernel-change-1").stdout
    )
    assert before.items() <= files_of(folder).items()


def test_what_is_done_by_hand_outlives_another_try(
    khoci: Khoci, linux: git.Repo, tmp_path: Path
) -> None:
    five = TEXT.replace("line 5\n", "line V\n")
    path = mbox(tmp_path, made_on(linux, "v6.17", {"kernel/a.c": five}))
    khoci("apply-series", path, "--onto", "6.18")
    khoci("series", "resume", "kernel-change-1", "--onto", "6.18")
    mended = tmp_path / "cache/series/kernel-change-1/v1/by-hand/kernel/a.c"
    mended.write_text("mended")
    khoci("apply-series", path, "--onto", "6.18")
    assert mended.read_text() == "mended"
    assert khoci("series", "list").stdout == "kernel-change-1:v1  by hand  kernel: change 1\n"


def test_what_a_reader_should_know_is_said(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    series = made_on(linux, "v6.18", {"mm/c.c": "new\n"})
    mail = series.patches[0].mail + b"\nbase-commit: v6.18\n"
    path = mbox(tmp_path, replace(series, patches=(replace(series.patches[0], mail=mail),)))
    said = khoci("apply-series", path).stdout
    assert "  note: base-commit 'v6.18' is no commit id" in said
    assert (
        "  note: base-commit 'v6.18' is no commit id"
        in khoci("series", "show", "kernel-change-1").stdout
    )


def test_a_path_that_is_no_utf_8(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    series = made_on(linux, "v6.18", {"mm/c.c": "new\n"})
    mail = series.patches[0].mail.replace(b"a/mm/c.c b/mm/c.c", b'"a/caf\\351.c" "b/caf\\351.c"')
    mail = mail.replace(b"--- a/mm/c.c", b'--- "a/caf\\351.c"').replace(
        b"+++ b/mm/c.c", b'+++ "b/caf\\351.c"'
    )
    path = mbox(tmp_path, replace(series, patches=(replace(series.patches[0], mail=mail),)))
    plain = khoci("apply-series", path, "--onto", "6.18")
    assert plain.exception is None
    done = khoci("apply-series", path, "--onto", "6.18", "--json")
    assert json.loads(done.stdout)["series"]["patches"][0]["blobs"][0]["path"] == r"caf\udce9.c"
    assert khoci("series", "show", "kernel-change-1", "--json").exception is None


def test_a_conflict_says_what_and_how_to_go_on(
    khoci: Khoci, linux: git.Repo, tmp_path: Path
) -> None:
    five = TEXT.replace("line 5\n", "line V\n")
    path = mbox(tmp_path, made_on(linux, "v6.17", {"mm/c.c": "new\n"}, {"kernel/a.c": five}))
    done = khoci("apply-series", path, "--onto", "v6.18")
    assert done.return_value == 1
    assert "conflict at 2 of 2: kernel/a.c: hunk 1 of 1 does not fit (line 2 on)" in done.stdout
    assert "the base has no line 'line 5'" in done.stdout
    command = "khoci series resume kernel-change-1:v1 --onto v6.18"
    assert done.stdout.splitlines()[-1] == f"to go on by hand: {command}"
    begun = khoci(*command.split()[1:])
    assert "by-hand: stands at patch 2/2 kernel: change 2" in begun.stdout
    place = Path(begun.stdout.partition(": stands")[0])
    (place / "kernel/a.c").write_text(five)
    hand = git.Repo(place)
    hand.git.add("kernel/a.c")
    with hand.git.custom_environment(**small.AUTHOR):
        hand.git.am("--continue")
    ended = khoci("series", "resume", "kernel-change-1")
    assert ended.exception is None
    assert "branch khoci/kernel-change-1/v1" in ended.stdout
    assert khoci("series", "list").stdout.startswith("kernel-change-1:v1  on v6.18")
    assert "line V" in linux.git.show("khoci/kernel-change-1/v1:kernel/a.c")


@pytest.fixture
def begun(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> Path:
    """A series that was begun by hand on v6.18 and is mended, but not taken yet."""
    five = TEXT.replace("line 5\n", "line V\n")
    path = mbox(tmp_path, made_on(linux, "v6.17", {"kernel/a.c": five}))
    khoci("apply-series", path, "--slug", "s", "--onto", "6.18")
    place = Path(khoci("series", "resume", "s", "--onto", "6.18").stdout.partition(": stands")[0])
    (place / "kernel/a.c").write_text(five)
    with git.Repo(place) as hand, hand.git.custom_environment(**small.AUTHOR):
        hand.git.add("kernel/a.c")
        hand.git.am("--continue")
    return place


def test_the_same_command_takes_what_was_made(khoci: Khoci, linux: git.Repo, begun: Path) -> None:
    other = khoci("series", "resume", "s", "--onto", "6.19")
    assert "--again throws it away" in str(other.exception)
    assert (begun / "kernel/a.c").exists()
    assert "branch khoci/s/v1" in khoci("series", "resume", "s", "--onto", "6.18").stdout
    assert "line V" in linux.git.show("khoci/s/v1:kernel/a.c")


def test_what_was_begun_can_be_thrown_away(khoci: Khoci, begun: Path) -> None:
    done = khoci("series", "resume", "s", "--onto", "6.19", "--again")
    assert "by-hand: stands at patch 1/1" in done.stdout
    assert "line V" not in git.Repo(begun).git.show("HEAD:kernel/a.c")


def test_another_tree_than_it_was_begun_for(
    khoci: Khoci, linux: git.Repo, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git.Repo.init(tmp_path / "other")
    named = khoci("series", "resume", "s", "--tree", str(tmp_path / "other"))
    assert "was begun for" in str(named.exception)
    monkeypatch.setenv("KHOCI_LINUX_GIT", str(tmp_path / "other"))
    assert "branch khoci/s/v1" in khoci("series", "resume", "s").stdout
    assert not git.Repo(tmp_path / "other").heads
    assert "line V" in linux.git.show("khoci/s/v1:kernel/a.c")
    assert khoci("series", "remove", "s").stdout == "s:v1 removed\n"
    assert "khoci" not in linux.git.for_each_ref()


def test_a_branch_that_stays_is_said(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    path = mbox(tmp_path, made_on(linux, "v6.18", {"mm/c.c": "new\n"}))
    khoci("apply-series", path, "--slug", "s")
    linux.git.checkout("--quiet", "khoci/s/v1")
    assert khoci("series", "remove", "s").stdout == (
        f"s:v1 removed; its branch stays: branch khoci/s/v1 is checked out in {linux.working_dir}: "
        "check out another one there\n"
    )
    khoci("apply-series", path, "--slug", "s")
    linux.git.checkout("--quiet", "master")
    linux.git.branch("--force", "khoci/s/v1", "v6.19")
    assert "as it was applied: none was deleted" in khoci("series", "remove", "s").stdout
    assert str(linux.commit("khoci/s/v1")) == str(linux.commit("v6.19"))


@pytest.mark.parametrize(
    ("change", "onto", "outcome"),
    [
        ({"kernel/a.c": TEXT.replace("line 5\n", "line five\n")}, "6.18", "already in"),
        ({"kernel/a.c": TEXT.replace("line 5\n", "line V\n")}, "6.18", "conflict"),
        ({"kernel/new.c": "x\n", "kernel/a.c": "none\n", "kernel/b.c": None}, "6.19", "conflict"),
        ({"kernel/a.c": SEVEN}, None, "applied"),
    ],
)
def test_outcomes(
    khoci: Khoci,
    linux: git.Repo,
    tmp_path: Path,
    change: Mapping[str, str | None],
    onto: str | None,
    outcome: str,
) -> None:
    path = mbox(tmp_path, made_on(linux, "v6.17", change))
    done = khoci("apply-series", path, "--json", *(["--onto", onto] if onto else []))
    assert json.loads(done.stdout)["outcome"] == outcome
    assert done.return_value == (0 if outcome in ("applied", "already in") else 1)


def test_a_patch_is_missing(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    series = made_on(linux, "v6.18", {"mm/c.c": "new\n"}, {"kernel/b.c": "more\n"})
    done = khoci("apply-series", mbox(tmp_path, series, drop=1))
    assert done.return_value == 1
    assert "incomplete: the series is not complete: patch 1 of 2 is missing" in done.stdout


def test_no_base(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    linux.git.checkout("--quiet", "--detach", "v6.17")
    (Path(linux.working_dir) / "lib").mkdir()
    next_ = small.commit(linux, "next", {"lib/next.c": OTHER.replace("row", "next")})
    series = made_on_detached(linux, next_, {"lib/next.c": "changed\n"})
    linux.git.checkout("--quiet", "master")
    linux.git.reflog("expire", "--expire=now", "--all")
    linux.git.gc("--prune=now", "--quiet")
    done = khoci("apply-series", mbox(tmp_path, series))
    assert done.return_value == 1
    assert "tried v6.19: conflict: has no lib/next.c" in done.stdout
    assert "not in the git tree: v7.3.4, " in done.stdout
    assert "base unknown: it applies to no kernel" in done.stdout
    assert "--onto all says where it fits" in done.stdout


def made_on_detached(linux: git.Repo, base: str, change: Mapping[str, str | None]) -> Series:
    linux.git.checkout("--quiet", "master")
    return on(linux, base, change)


def test_what_is_wrong_is_said(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    path = mbox(tmp_path, made_on(linux, "v6.18", {"mm/c.c": "new\n"}))
    for words, message in (
        ([path, "--onto", "nothing"], "--onto nothing: is no commit of the tree, and unknown"),
        ([path, "--onto", "7.3"], r"--onto 7\.3: .* has no v7\.3\.4: fetch its tag"),
        (["x@example.org", "--offline"], "--offline: was not fetched before"),
    ):
        done = khoci("apply-series", *words)
        assert isinstance(done.exception, UsageError)
        with pytest.raises(UsageError, match=message):
            raise done.exception
    lost = khoci("apply-series", "x@example.org", "--mbox", path, "--json")
    assert json.loads(lost.stdout)["outcome"] == "not found"
    assert isinstance(lost.exception, KhociError)
    assert lost.exception.exit_code == 2
    empty = khoci("apply-series", "-", "--json")
    assert json.loads(empty.stdout)["why"] == "not found: stdin: is empty"
    assert isinstance(empty.exception, NotFoundError)


def test_stdin(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    path = mbox(tmp_path, made_on(linux, "v6.18", {"mm/c.c": "new\n"}))
    done = khoci("apply-series", "-", "--slug", "mine", stdin=Path(path).read_bytes())
    assert "branch khoci/mine/v1, kernel mine-v1" in done.stdout
    assert "from stdin, kept in" in khoci("series", "show", "mine").stdout
    assert khoci("series", "remove", "mine").stdout == "mine:v1 removed\n"
    assert not [head for head in linux.heads if head.name.startswith("khoci/")]
    assert khoci("series", "list").stdout == ""


def test_a_plan_around_a_series(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    series = made_on(linux, "v6.18", {"mm/c.c": "new\n"}, {"kernel/b.c": "more\n"})
    khoci("apply-series", mbox(tmp_path, series), "--slug", "s")
    words = ("matrix", "plan", "--kernels", "v6.17,v6.18", "--scenarios", "empty", "--series", "s")
    done = khoci(*words)
    cells = {line.split(" ", 1)[1] for line in done.stdout.splitlines() if line[:5] == "cell "}
    both = {f"{a} -> {b} empty" for a in ("v6.17", "v6.18", "s-v1") for b in ("v6.18", "s-v1")}
    back = {f"{a} -> v6.17 empty" for a in ("v6.18", "s-v1")}
    assert cells == both | back
    steps = khoci(*words, "--each-patch")
    assert "cell s-v1-1of2 -> s-v1 empty" in steps.stdout
    assert "cell v6.17 -> s-v1-1of2 empty" in steps.stdout


def test_b4_is_configured_as_the_tree_says(khoci: Khoci, linux: git.Repo) -> None:
    with linux.config_writer() as config:
        config.set_value("b4", "midmask", "http://127.0.0.1:1/in-the-tree/%s")
    done = khoci("apply-series", "a@example.org")
    assert "b4 could not fetch it: Connection refused (http://127.0.0.1:1)" in str(done.exception)
    done = khoci("apply-series", "a@example.org", "-c", "b4.midmask=http://127.0.0.1:2/x/%s")
    assert "Connection refused (http://127.0.0.1:2)" in str(done.exception)


def test_other_patches_of_the_same_revision_are_on_no_base(
    khoci: Khoci, linux: git.Repo, tmp_path: Path
) -> None:
    khoci("apply-series", mbox(tmp_path, made_on(linux, "v6.17", {"kernel/a.c": SEVEN})))
    assert "kernel-change-1:v1  on v6.1" in khoci("series", "list").stdout
    path = mbox(tmp_path, made_on(linux, "v6.17", {"kernel/a.c": "other\n"}))
    khoci("apply-series", path, "--onto", "all")
    assert "kernel-change-1:v1  on no base" in khoci("series", "list").stdout
    planned = khoci("matrix", "plan", "--series", "kernel-change-1")
    assert "has other patches than when it was applied: apply it again" in str(planned.exception)


def test_a_run_does_not_go_on_with_another_kernel_of_the_same_name(
    khoci: Khoci, linux: git.Repo, tmp_path: Path
) -> None:
    path = mbox(tmp_path, made_on(linux, "v6.17", {"kernel/a.c": SEVEN}))
    khoci("apply-series", path, "--onto", "6.18")
    root = tmp_path / "cache/series"
    series = in_run("kernel-change-1", known_kernels(), root)
    plan = Plan(("v6.18",), "self", ("empty",), GuestConfig(1 << 30, 2, "64M", ""), "default")
    new_run(RUNS, replace(plan, series=series).to_json())
    assert is_as_in_run(series, root)
    khoci("apply-series", path, "--onto", "6.17")
    assert not is_as_in_run(series, root)
    done = khoci("matrix", "run", "--resume")
    assert "kernel-change-1:v1 was applied again or removed since" in str(done.exception)
    assert "khoci matrix run --series kernel-change-1:v1" in str(done.exception)


def test_resume_on_a_base_that_takes_it_all(khoci: Khoci, linux: git.Repo, tmp_path: Path) -> None:
    five = TEXT.replace("line 5\n", "line V\n")
    path = mbox(tmp_path, made_on(linux, "v6.17", {"kernel/a.c": five}))
    stopped = khoci("apply-series", path, "--onto", "6.18", "--tree", str(linux.working_dir))
    assert stopped.stdout.splitlines()[-1].endswith(f" --onto v6.18 --tree {linux.working_dir}")
    done = khoci("series", "resume", "kernel-change-1", "--onto", "6.17")
    assert "branch khoci/kernel-change-1/v1, kernel kernel-change-1-v1" in done.stdout
    assert "kernel-change-1:v1  on v6.17" in khoci("series", "list").stdout
