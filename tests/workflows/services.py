"""Stand-ins for what GitHub has and a machine has not: repositories, caches, artifacts, actions."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.vm.caches import linked
from tests.workflows.expressions import NotUnderstoodError

With = Mapping[str, str]
_PINNED = re.compile(r"(?P<action>[\w.-]+/[\w.-]+)@[0-9a-f]{40}")


@dataclass
class Services:
    """What outlives a job.

    Attributes:
        server: a folder ``OWNER/NAME`` for each repository.
        caches: a folder with a folder for each key.
        artifacts: a folder with a folder for each artifact.
        restored: the keys that a job was given.
    """

    server: Path
    caches: Path
    artifacts: Path
    restored: list[str] = field(default_factory=list)

    def commit(self, repository: str, ref: str) -> str:
        """The id of a branch, a tag or an id."""
        return self._git(repository, "rev-parse", "--verify", f"{ref}^{{commit}}").strip()

    def show(self, repository: str, commit: str, path: str) -> str:
        """A file as it is at a commit."""
        return self._git(repository, "show", f"{commit}:{path}")

    def clone(self, repository: str, commit: str, folder: Path) -> None:
        """Make a fresh clone that is at a commit."""
        url = f"file://{self.server / repository}"
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", url, str(folder)], check=True)
        git = ["git", "-C", str(folder)]
        subprocess.run([*git, "checkout", "--quiet", "--detach", commit], check=True)

    def _git(self, repository: str, *words: str) -> str:
        command = ["git", "-C", str(self.server / repository), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@dataclass
class Place:
    """A job's view of it: the services, its workspace, and what is to be done at its end."""

    services: Services
    workspace: Path
    github: Mapping[str, object]
    at_end: list[Callable[[], None]] = field(default_factory=list)


def act(uses: str, given: With, place: Place) -> Mapping[str, str]:
    """Do what an action of GitHub's does; its outputs.

    Raises:
        NotUnderstoodError: it is none of those known here, is not pinned, or is asked for more.
    """
    pinned = _PINNED.fullmatch(uses)
    if pinned is None:
        raise NotUnderstoodError(f"{uses}: is not pinned by a full digest")
    if pinned["action"] not in _ACTIONS:
        raise NotUnderstoodError(f"{uses}: nobody stands in for it")
    action, known = _ACTIONS[pinned["action"]]
    if more := given.keys() - known:
        raise NotUnderstoodError(f"{uses}: {', '.join(sorted(more))}")
    return action(given, place)


def _checkout(_given: With, place: Place) -> Mapping[str, str]:
    place.workspace.rmdir()
    place.services.clone(str(place.github["repository"]), str(place.github["sha"]), place.workspace)
    return {}


def _cache(given: With, place: Place) -> Mapping[str, str]:
    kept, paths = place.services.caches / given["key"], given["path"].split()
    found = [kept] if kept.is_dir() else _newest(place.services.caches, given.get("restore-keys"))

    def save() -> None:
        for path in paths:
            if (place.workspace / path).is_dir():
                linked(place.workspace / path, kept / path)

    if found != [kept]:
        place.at_end.append(save)
    for one in found:
        place.services.restored.append(one.name)
        linked(one, place.workspace)
    return {"cache-hit": "true" if found == [kept] else "false"}


def _newest(caches: Path, prefix: str | None) -> list[Path]:
    """The cache that was made last of those whose key begins like this, if there is one."""
    found = [path for path in caches.iterdir() if prefix and path.name.startswith(prefix)]
    return sorted(found, key=lambda path: path.stat().st_mtime)[-1:]


def _upload(given: With, place: Place) -> Mapping[str, str]:
    paths = [place.workspace / path for path in given["path"].split()]
    is_packed = given.get("archive") != "false"
    if not is_packed:
        assert paths[0].is_file(), f"{paths[0]}: one file is uploaded as it is"
    name = given["name"] if is_packed else paths[0].name
    assert not set(name) & set('":<>|*?\r\n\\/'), f"an artifact cannot be called {name}"
    kept = place.services.artifacts / name
    if kept.exists():
        assert given.get("overwrite") == "true", f"there is an artifact {name} already"
        shutil.rmtree(kept)
    files = [f for path in paths for f in _files(path) if not _is_hidden(f, place.workspace)]
    if not files:
        assert given["if-no-files-found"] == "ignore", f"{paths}: there is nothing to upload"
        return {}
    root = Path(os.path.commonpath([path if path.is_dir() else path.parent for path in paths]))
    for file in files:
        target = kept / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)  # as a zip does: contents, no modes, no times
    return {}


def _download(given: With, place: Place) -> Mapping[str, str]:
    target = place.workspace / given["path"]
    there = sorted(path.name for path in place.services.artifacts.iterdir())
    if "name" in given:
        assert given["name"] in there, f"there is no artifact {given['name']}"
        names = [given["name"]]
    else:
        assert given["merge-multiple"] == "true", "without it each has a folder of its own"
        names = fnmatch.filter(there, given["pattern"])
    for name in names:
        shutil.copytree(place.services.artifacts / name, target, dirs_exist_ok=True)
    return {}


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]


def _is_hidden(path: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(below).parts)


_ACTIONS: Mapping[str, tuple[Callable[[With, Place], Mapping[str, str]], frozenset[str]]] = {
    "actions/checkout": (_checkout, frozenset({"persist-credentials"})),
    "actions/cache": (_cache, frozenset({"path", "key", "restore-keys"})),
    "actions/upload-artifact": (
        _upload,
        frozenset({"name", "path", "archive", "if-no-files-found", "overwrite"}),
    ),
    "actions/download-artifact": (
        _download,
        frozenset({"name", "path", "pattern", "merge-multiple"}),
    ),
}
