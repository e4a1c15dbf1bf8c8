"""The workflows, run as they stand from a fresh clone, against the same by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.engine.compared import without_addresses
from tests.mailer.server import Delivered, listening
from tests.series.inbox import serving as inbox_serving
from tests.series.inbox import thread
from tests.vm.caches import cache_with_kernels, linked
from tests.vm.conftest import command
from tests.workflows import github
from tests.workflows.github import Comments
from tests.workflows.runner import SKIPPED, SUCCESS, Done, Event, Runner, commands_in
from tests.workflows.services import Services

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
COMPAT, CI = ".github/workflows/compat.yml", ".github/workflows/ci.yml"
CALLER = ".github/workflows/kho.yml"
THREAD = ROOT / "tests/series/threads/leaf-bumped.mbox"
COVER = "20261110-leaf-bumped-v1-0@example.org"
KHOCI, TREE, PULL = "OWNER/khoci", "kho/linux", "7"
COMMITS = 3
TOUCHED = ("include/linux/kho/abi", "kernel/liveupdate", "lib/test_kho.c", "Makefile")
SLUG = f"pull-{PULL}"
NOTHING: Mapping[str, Any] = {"vars": {}, "secrets": {}}
BASE = "v7.3.4"
_PASSED = re.compile(r"PIP_|KHOCI_(DEBIAN_MIRROR|ACCEL)|.*_proxy|LANG|LC_|TMPDIR", re.IGNORECASE)

ByHand = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class World:
    """The repositories, and khoci by hand with a cache of its own."""

    folder: Path
    server: Path
    by_hand: ByHand
    base: str
    head: str

    def services(self, folder: Path) -> Services:
        """For one run of a workflow; what may be cached is told by `remember`."""
        for name in ("caches", "artifacts"):
            (folder / name).mkdir(parents=True)
        return Services(self.server, folder / "caches", folder / "artifacts")

    def plan(self, *words: str) -> dict[str, Any]:
        """What is to be done, as by hand."""
        done = self.by_hand("matrix", "plan", "--format", "github", *words)
        assert done.returncode == 0, done.stderr
        plan: dict[str, Any] = json.loads(done.stdout)
        return plan

    def matrix(self, *words: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        """`khoci matrix run`, and the folder of its results."""
        done = self.by_hand("matrix", "run", *words)
        found = re.search(r"^results: (.+)/$", done.stdout, re.MULTILINE)
        assert found, done.stderr
        return done, self.folder / found[1]

    def remember(self, services: Services, plan: Mapping[str, Any]) -> None:
        """Let GitHub's cache have the kernels of a plan, and the tree of releases."""
        for each in plan["kernels"]["include"]:
            kept = services.caches / f"khoci-kernel-{each['key']}"
            stored = self.by_hand("store", "push", each["kernel"], "--store", f"{kept}/khoci-store")
            assert stored.returncode == 0, stored.stderr
            shutil.copytree(self.folder / "cache/definitions", kept / "khoci-cache/definitions")
        linux = services.caches / "khoci-linux-of-an-older-commit/khoci-cache/linux.git"
        linked(self.folder / "cache/linux.git", linux)


@pytest.fixture(scope="module")
def world(linux_git: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    """khoci's own repository, and that of a kernel tree with a pull request."""
    folder = tmp_path_factory.mktemp("world")
    cache = cache_with_kernels(folder, linux_git)

    def by_hand(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "KHOCI_CACHE": str(cache), "COLUMNS": "80"}
        env.pop("KHOCI_LINUX_GIT", None)
        return subprocess.run(
            command(*words), cwd=folder, env=env, capture_output=True, text=True, check=False
        )

    done = by_hand("apply-series", str(THREAD), "--offline")
    assert done.returncode == 0, done.stderr
    server = folder / "server"
    git("clone", "--quiet", "--bare", f"file://{ROOT}", str(server / KHOCI))
    git("-C", str(server / KHOCI), "update-ref", "refs/heads/main", "HEAD")
    base, head = make_tree(cache / "linux.git", folder / "tree", server / TREE)
    return World(folder, server, by_hand, base, head)


@dataclass(frozen=True)
class Ran:
    """A finished workflow, and the same by hand."""

    done: Done
    services: Services
    by_hand: subprocess.CompletedProcess[str]
    run: Path


@pytest.fixture(scope="module")
def comments() -> Comments:
    return Comments(TREE)


@pytest.fixture(scope="module")
def pulled(world: World, comments: Comments, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A pull request to a tree that has the ten lines."""
    where = ("--tree", str(world.server / TREE), "--slug", SLUG)
    applied = world.by_hand("apply-series", f"{world.base}..{world.head}", *where)
    assert applied.returncode == 0, applied.stderr
    words = ("--kernels", "6.18,7.3", "--series", SLUG)
    by_hand, run = world.matrix(*words)
    folder = tmp_path_factory.mktemp("pulled")
    services = world.services(folder)
    world.remember(services, world.plan(*words))
    pull = {"number": int(PULL), "commits": COMMITS}
    head = {"sha": world.head, "repo": {"full_name": TREE}}
    event = Event(
        "pull_request",
        TREE,
        f"refs/pull/{PULL}/merge",
        world.head,
        {"pull_request": {**pull, "head": head}},
    )
    with github.serving(comments) as api:
        env = machine(folder, GITHUB_API_URL=api)
        done = Runner(folder, services, event, env, NOTHING).run(TREE, "main", CALLER, {})
    return Ran(done, services, by_hand, run)


@pytest.fixture(scope="module")
def listed(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Delivered]:
    """A message-id, started by hand, up to the mail."""
    words = ("--kernels", "7.3", "--scenarios", "kho-test", "--series", COVER)
    by_hand, run = world.matrix(*words)
    folder = tmp_path_factory.mktemp("listed")
    services = world.services(folder)
    world.remember(services, world.plan(*words))
    inputs = {"kernels": "7.3", "scenarios": "kho-test", "series": COVER, "post": True}
    event = Event("workflow_dispatch", KHOCI, "refs/heads/main", "0" * 40)
    delivered = Delivered()
    mails = inbox_serving(tmp_path_factory.mktemp("inbox"), thread(THREAD.stem))
    with mails as inbox, listening(delivered) as port:
        variables = {
            "KHOCI_MAIL_FROM": "A Maintainer <m@example.org>",
            "KHOCI_SMTP_SERVER": "127.0.0.1",
            "KHOCI_SMTP_PORT": str(port),
            "KHOCI_ALLOW_RECIPIENT": "*",
        }
        env = machine(folder)
        for setting in inbox.config[1::2]:
            name, _, value = setting.partition("=")
            git("config", "--global", name, value, HOME=env["HOME"])
        runner = Runner(folder, services, event, env, {"vars": variables, "secrets": {}})
        done = runner.run(KHOCI, "main", COMPAT, {**inputs, "shards": "2"})
    return Ran(done, services, by_hand, run), delivered


def test_the_ten_lines_give_the_same_table_as_by_hand(pulled: Ran) -> None:
    done, told = pulled.done, pulled.done.told()
    assert done.jobs == {
        **dict.fromkeys(("plan", "kernels", "cells", "report", "comment", "compat"), SUCCESS),
        "post": SKIPPED,
    }, told
    assert pulled.by_hand.returncode == 0, pulled.by_hand.stderr
    merged = said(done, "report", "merge, and judge by the policy")
    assert "restored -> refused" in table(merged)
    assert table(merged) == table(pulled.by_hand.stdout)
    assert cells(pulled.services.artifacts / "run") == cells(pulled.run)


def test_work_is_shared_among_jobs(listed: tuple[Ran, Delivered]) -> None:
    ran, _ = listed
    kernels = [each["kernel"] for each in ran.done.matrices["kernels"]]
    assert kernels == [BASE, "kho-half-page-leaves-v1"]
    shards = ran.done.matrices["cells"]
    assert [each["shard"] for each in shards] == ["1/2", "2/2"]
    found = [cells(ran.services.artifacts / f"shard-{index}/shard-{index}") for index in (0, 1)]
    assert [len(each) for each in found] == [each["cells"] for each in shards]
    assert found[0] | found[1] == cells(ran.run)


def test_what_was_built_before_is_not_built_again(pulled: Ran) -> None:
    keys = {f"khoci-kernel-{each['key']}" for each in pulled.done.matrices["kernels"]}
    assert keys <= {*pulled.services.restored}
    for step in pulled.done.steps:
        assert "building" not in step.output
        assert "downloading" not in step.output


def test_reports_are_there_for_people_and_machines(pulled: Ran, comments: Comments) -> None:
    artifacts = pulled.services.artifacts
    page = (artifacts / "compat.html/compat.html").read_text()
    assert page == (artifacts / "report/compat.html").read_text()
    assert "<!doctype html>" in page[:200].lower()
    cases = ET.parse(artifacts / "report/junit.xml").getroot().iter("testcase")  # noqa: S314
    assert len([*cases]) == len(cells(pulled.run))
    assert json.loads((artifacts / "report/compat.json").read_text())["schema"]
    summary = (artifacts / "report/summary.md").read_text()
    assert f"| {BASE} | " in summary
    assert summary in pulled.done.summary
    (comment,) = comments.by_id.values()
    assert comment["pull"] == PULL
    assert summary.rstrip() in comment["body"]


def test_a_message_id_ends_in_an_answer(listed: tuple[Ran, Delivered]) -> None:
    ran, delivered = listed
    told = ran.done.told()
    assert ran.done.jobs == {
        **dict.fromkeys(("plan", "kernels", "cells", "report", "post"), SUCCESS),
        "comment": SKIPPED,
    }, told
    merged = said(ran.done, "report", "merge, and judge by the policy")
    assert table(merged) == table(ran.by_hand.stdout)
    (envelope,) = delivered.mails
    assert isinstance(envelope.content, bytes)
    assert f"In-Reply-To: <{COVER}>".encode() in envelope.content
    assert "kexec@lists.infradead.org" in envelope.rcpt_tos, (
        "get_maintainer.pl of the base was asked"
    )


def test_every_command_of_the_workflow_was_run(pulled: Ran, listed: tuple[Ran, Delivered]) -> None:
    files = [ROOT / COMPAT, *sorted((ROOT / ".github/actions").glob("*/action.yml"))]
    wanted = {command for file in files for command in commands_in(file.read_text())}
    assert len(wanted) >= 11
    assert {step.command for ran in (pulled, listed[0]) for step in ran.done.steps} == wanted


def test_ci_runs_what_lands_a_change(world: World, tmp_path: Path) -> None:
    """All of it would run this test again: tox is told one environment, pytest one file."""
    services = world.services(tmp_path)
    sha = services.commit(KHOCI, "main")
    env = machine(tmp_path, TOXENV="py", PYTEST_ADDOPTS="tests/test_sizes.py")
    event = Event("push", KHOCI, "refs/heads/main", sha)
    done = Runner(tmp_path, services, event, env, NOTHING).run(KHOCI, "main", CI, {})
    assert done.jobs == {"test": SUCCESS}, done.told()
    assert {step.command for step in done.steps} == {*commands_in((ROOT / CI).read_text())}
    assert re.search(r"tests/test_sizes\.py .*\[100%\]", said(done, "test", "run"))


def ten_lines() -> str:
    """What the README says to copy."""
    (lines,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(lines.splitlines()) == 10
    return str(lines)


def git(*words: str, stdin: str = "", **env: str) -> str:
    done = subprocess.run(
        ["git", *words],
        env={**os.environ, **env},
        input=stdin,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def make_tree(linux: Path, folder: Path, server: Path) -> tuple[str, str]:
    """A tree with a pull request; the ids of its base and its head.

    Of 7.3 it has the files that the commits touch, as 7.3 is built from its package.
    """
    folder.mkdir()
    packed = ("archive", BASE, *TOUCHED)
    archive = subprocess.run(["git", "-C", str(linux), *packed], capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    here = ("-C", str(folder), "-c", "user.name=M", "-c", "user.email=m@example.org")
    git(*here, "init", "--quiet", "--initial-branch=main")
    git(*here, "add", "--all")
    git(*here, "commit", "--quiet", "-m", BASE)
    git(*here, "tag", BASE)
    git(*here, "checkout", "--quiet", "--detach")
    for patch in thread(THREAD.stem)[1:]:
        git(*here, "am", "--quiet", stdin=patch.decode())
    head = git(*here, "rev-parse", "HEAD")
    git(*here, "checkout", "--quiet", "main")
    (folder / CALLER).parent.mkdir(parents=True)
    (folder / CALLER).write_text(ten_lines())
    git(*here, "add", "--all")
    git(*here, "commit", "--quiet", "-m", CALLER)
    git("clone", "--quiet", "--bare", f"file://{folder}", str(server))
    git("-C", str(server), "fetch", "--quiet", str(folder), f"{head}:refs/pull/{PULL}/head")
    return git(*here, "rev-parse", BASE), head


def machine(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a machine that knows nothing of this test's Python."""
    home = folder / "home"
    home.mkdir()
    own = Path(sys.prefix).resolve()
    places = [
        place
        for place in os.environ["PATH"].split(":")
        if not Path(place).resolve().is_relative_to(own)
    ]
    passed = {name: value for name, value in os.environ.items() if _PASSED.match(name)}
    return {**passed, "PATH": ":".join(places), "HOME": str(home), "COLUMNS": "80", **more}


def table(text: str) -> str:
    """What a run tells of its cells, but for what differs by run: leaked bytes and addresses."""
    return without_addresses(text.partition("\n\n")[2].partition("\nleaked ")[0])


def cells(run: Path) -> dict[str, dict[str, Any]]:
    """What was seen in each cell, by its name."""
    loaded = {path.stem: json.loads(path.read_text()) for path in run.glob("*.json")}
    return {
        name: {key: each[key] for key in ("producer", "consumer", "scenario", "verdict")}
        | {"components": {c: found["verdict"] for c, found in each["components"].items()}}
        for name, each in loaded.items()
    }


def said(done: Done, job: str, name: str) -> str:
    """What the step printed."""
    (output,) = [step.output for step in done.steps if (step.job, step.name) == (job, name)]
    return output
