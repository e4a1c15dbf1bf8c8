"""GitHub's API on loopback, as far as comments go."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "of the job"  # noqa: S105
BOT = "github-actions[bot]"


@dataclass
class Comments:
    """The comments of all pull requests of ``repository``, and what was asked."""

    repository: str
    by_id: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def add(self, pull: str, login: str, body: str) -> dict[str, Any]:
        """Write one."""
        number = len(self.by_id) + 1
        self.by_id[number] = {"id": number, "pull": pull, "user": {"login": login}, "body": body}
        return self.by_id[number]

    def answer(self, method: str, address: str, data: Any) -> Any:  # noqa: ANN401  (JSON)
        """What the API answers; None for what it has not."""
        parts = urlsplit(address)
        path = parts.path.removeprefix(f"/repos/{self.repository}/issues/").split("/")
        self.asked.append(method)
        match method, path:
            case "GET", [pull, "comments"]:
                asked = {name: int(value[0]) for name, value in parse_qs(parts.query).items()}
                found = [each for each in self.by_id.values() if each["pull"] == pull]
                start = (asked["page"] - 1) * asked["per_page"]
                return found[start : start + asked["per_page"]]
            case "POST", [pull, "comments"]:
                return self.add(pull, BOT, data["body"])
            case "PATCH", ["comments", number]:
                self.by_id[int(number)]["body"] = data["body"]
                return self.by_id[int(number)]
        return None


@contextmanager
def serving(comments: Comments) -> Iterator[str]:
    """Serve them; the address of the API."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            data = json.loads(self.rfile.read(size)) if size else None
            allowed = self.headers["Authorization"] == f"Bearer {TOKEN}"
            answer = comments.answer(self.command, self.path, data) if allowed else None
            content = json.dumps(answer).encode()
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _do  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
