from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.workflows import github
from tests.workflows.github import BOT, TOKEN, Comments

SCRIPT = Path(__file__).parents[2] / ".github/actions/comment/comment.py"
MARKER = "<!-- khoci -->"
REPOSITORY = "kho/linux"


def write(api: str, file: Path, text: str, pull: str = "7") -> subprocess.CompletedProcess[str]:
    file.write_text(text)
    env = {
        "GITHUB_API_URL": api,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_RUN_ID": "4711",
        "GITHUB_SERVER_URL": "https://git.example.org",
        "GITHUB_TOKEN": TOKEN,
        "PULL": pull,
    }
    command = [sys.executable, str(SCRIPT), str(file)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_one_comment_is_kept_up_to_date(tmp_path: Path) -> None:
    comments = Comments(REPOSITORY)
    for number in range(150):
        comments.add("7", "somebody", f"{number}")
    comments.add("7", "somebody", f"{MARKER}\nI am khoci, too")
    comments.add("8", BOT, f"{MARKER}\nanother pull request's")
    with github.serving(comments) as api:
        for text in ("first", "second"):
            done = write(api, tmp_path / "summary.md", text)
            assert done.returncode == 0, done.stderr
    assert [method for method in comments.asked if method != "GET"] == ["POST", "PATCH"]
    more = "[All of it](https://git.example.org/kho/linux/actions/runs/4711)"
    assert comments.by_id[153]["body"] == f"{MARKER}\nsecond\n\n{more}"
    assert len(comments.by_id) == 153
    assert comments.by_id[151]["body"] == f"{MARKER}\nI am khoci, too"


def test_what_is_too_long_is_cut_at_a_line(tmp_path: Path) -> None:
    comments = Comments(REPOSITORY)
    with github.serving(comments) as api:
        write(api, tmp_path / "summary.md", "a line of it\n" * 10_000)
    body = comments.by_id[1]["body"]
    assert 65_000 < len(body) <= 65_536
    assert "\na line of it\n\n[All of it](" in body


def test_a_token_that_may_not_write_is_told(tmp_path: Path) -> None:
    with github.serving(Comments("kho/other")) as api:
        done = write(api, tmp_path / "summary.md", "text")
    assert done.returncode == 1
    assert "HTTP Error 404" in done.stderr


def test_the_token_is_in_no_message(tmp_path: Path) -> None:
    done = write("http://127.0.0.1:1", tmp_path / "summary.md", "text")
    assert done.returncode == 1
    assert TOKEN not in done.stdout + done.stderr
