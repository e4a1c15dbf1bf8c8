"""Keep one comment on a pull request: the one with the marker is changed, else one is added."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

MARKER = "<!-- khoci -->"
MOST = 65_536
"""Characters that GitHub takes."""
_BOT = "github-actions[bot]"
_A_PAGE = 100
_SECONDS = 30


def body(text: str, more: str) -> str:
    """What is written: the marker, the text as far as it fits, and where all of it is."""
    room = MOST - len(MARKER) - len(more) - 4
    shown = text if len(text) <= room else text[:room].rpartition("\n")[0]
    return f"{MARKER}\n{shown}\n\n{more}"


def ask(method: str, address: str, data: object = None) -> Any:  # noqa: ANN401  (JSON)
    """What GitHub's API answers."""
    env = os.environ
    request = urllib.request.Request(  # noqa: S310  (GitHub says where its API is)
        f"{env['GITHUB_API_URL']}/repos/{env['GITHUB_REPOSITORY']}/{address}",
        method=method,
        data=None if data is None else json.dumps(data).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {env['GITHUB_TOKEN']}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
        return json.load(answer)


def own(pull: str) -> int | None:
    """The id of the comment that was written before."""
    page = 1
    while comments := ask("GET", f"issues/{pull}/comments?per_page={_A_PAGE}&page={page}"):
        for each in comments:
            if each["user"]["login"] == _BOT and each["body"].startswith(MARKER):
                return int(each["id"])
        page += 1
    return None


def main() -> None:
    """Write the comment that the file has."""
    env = os.environ
    here = f"{env['GITHUB_SERVER_URL']}/{env['GITHUB_REPOSITORY']}"
    more = f"[All of it]({here}/actions/runs/{env['GITHUB_RUN_ID']})"
    text = body(Path(sys.argv[1]).read_text(encoding="utf-8"), more)
    known = own(env["PULL"])
    if known is None:
        ask("POST", f"issues/{env['PULL']}/comments", {"body": text})
    else:
        ask("PATCH", f"issues/comments/{known}", {"body": text})


if __name__ == "__main__":
    main()
