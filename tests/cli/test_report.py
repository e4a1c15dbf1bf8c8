from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from khoci.cli import cli
from khoci.errors import UsageError
from khoci.verdicts import Verdict
from tests.run import stored


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def khoci(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_the_last_run_is_told(here: Path) -> None:
    stored.begin(here)
    run = stored.whole(here)
    run.path.rename(here / "runs" / "99991231-235959-ffff")
    done = khoci("report")
    assert done.exit_code == 0
    assert done.output.startswith("run 99991231-235959-ffff of default, khoci 0.1.0 (tcg)\n\n")
    assert "kho-test: rows hand over, columns take over" in done.output
    assert done.output.endswith("3 restored, 1 refused\n")


def test_a_run_is_named_by_id_or_path(here: Path) -> None:
    run = stored.whole(here)
    by_id = khoci("report", run.id)
    assert by_id.exit_code == 0
    assert khoci("report", str(run.path)).output == by_id.output
    assert khoci("report", "write", run.id, "--format", "text").output == by_id.output


def test_it_goes_to_a_file(here: Path) -> None:
    run = stored.whole(here)
    assert khoci("report", run.id, "-o", "table.txt").output == ""
    assert (here / "table.txt").read_text() == khoci("report", run.id).output


def test_what_is_otherwise_than_in_another_run_comes_first(here: Path) -> None:
    before, after = stored.whole(here), stored.whole(here)
    stored.store(after, stored.result(stored.NEW, stored.NEW, Verdict.PANIC))
    text = khoci("report", after.id, "--against", before.id).output
    assert text.index("REGRESSED") < text.index("rows hand over")
    assert "policy: v7.2.12 -> v7.2.12 kho-test: panic" in text


def test_a_template_of_the_projects_own_stands_for_the_shipped_one(here: Path) -> None:
    run = stored.whole(here)
    (here / "mine").mkdir()
    (here / "mine" / "table.txt.j2").write_text("{{ counts }}, by us\n")
    assert "3 restored, 1 refused, by us" in khoci("report", run.id, "--templates", "mine").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("report",), "there is no run in runs/"),
        (("report", "nix"), "no run 'nix'"),
    ],
)
def test_wrong_use_is_said(arguments: tuple[str, ...], says: str) -> None:
    done = khoci(*arguments)
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("one\n{{ bad", "template mine/table.txt.j2, line 2: unexpected end of template"),
        ("{{ nobody }}", "template table.txt.j2: 'nobody' is undefined"),
        ("{% include 'nix' %}", "template table.txt.j2: 'nix' not found"),
    ],
)
def test_what_is_wrong_with_a_template_is_said(here: Path, text: str, says: str) -> None:
    run = stored.whole(here)
    (here / "mine").mkdir()
    (here / "mine" / "table.txt.j2").write_text(text)
    done = khoci("report", run.id, "--templates", "mine")
    assert isinstance(done.exception, UsageError)
    assert str(done.exception).startswith(says)


def test_a_folder_of_templates_that_is_not_there_is_said(here: Path) -> None:
    run = stored.whole(here)
    done = khoci("report", run.id, "--templates", "nix")
    assert str(done.exception) == "nix: there is no such folder of templates"
