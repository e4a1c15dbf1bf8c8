"""Runs workflows as GitHub does, as far as those here need it: every ``run:`` step as it stands.

What GitHub has and a machine has not is in `services`. Jobs run one after the other, in one
workspace that is emptied between them: as on GitHub, a job finds at the same path only what
artifacts and caches brought there. Containers, runners and time limits are not looked at. A key,
a context or a function that is not known is an error.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.workflows.expressions import (
    NotUnderstoodError,
    Strict,
    as_text,
    evaluated,
    interpolated,
    is_true,
    names_in,
)
from tests.workflows.services import Place, Services, act

SUCCESS, FAILURE, SKIPPED = "success", "failure", "skipped"
_STATUS = frozenset({"always", "cancelled", "failure", "success"})
_SHELL = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
_SECONDS = 900

_WORKFLOW = frozenset({"name", "on", "permissions", "concurrency", "defaults", "env", "jobs"})
_JOB = frozenset(
    {"name", "needs", "if", "runs-on", "container", "timeout-minutes", "permissions", "strategy"}
    | {"steps", "env", "outputs", "environment", "uses", "with"}
)
_STEP = frozenset({"name", "id", "if", "env", "run", "uses", "with", "shell"})

Context = Mapping[str, Any]
Plain = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """What a workflow runs for.

    Attributes:
        name: of the event.
        repository: ``OWNER/NAME`` of the one that it is in.
        ref: of it.
        sha: of it.
        payload: what GitHub says of it.
        inputs: of whom runs it by hand.
    """

    name: str
    repository: str
    ref: str
    sha: str
    payload: Plain = field(default_factory=dict)
    inputs: Plain = field(default_factory=dict)


@dataclass
class Step:
    """A step that was run: its command and what it printed."""

    job: str
    name: str
    command: str
    status: int
    output: str


@dataclass
class Done:
    """What came of a workflow.

    Attributes:
        jobs: how each ended, by its id; the worst of all with a matrix.
        steps: all commands, in order.
        summary: what the jobs said for people.
        matrices: what the jobs with a matrix were made of, by their id.
    """

    jobs: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    summary: str = ""
    matrices: dict[str, list[Plain]] = field(default_factory=dict)

    @property
    def result(self) -> str:
        """Of the workflow."""
        return FAILURE if FAILURE in self.jobs.values() else SUCCESS

    def told(self) -> str:
        """All that was printed, for who has to find out why."""
        return "\n".join(f"== {s.job}: {s.name} ({s.status})\n{s.output}" for s in self.steps)


@dataclass(frozen=True)
class Source:
    """The repository that a workflow is of, and the id of its commit."""

    repository: str
    sha: str


def load(text: str) -> Plain:
    """A workflow or an action; the key ``on`` is that and not true, as YAML 1.1 has it."""
    data = yaml.safe_load(text)
    return {("on" if key is True else key): value for key, value in data.items()}


def commands_in(text: str) -> list[str]:
    """All that a workflow or action runs by ``run:``."""
    data = load(text)
    jobs = data["jobs"].values() if "jobs" in data else [data["runs"]]
    return [step["run"] for job in jobs for step in job.get("steps", ()) if "run" in step]


class Runner:
    """Runs workflows for one event.

    Args:
        folder: an empty one, for the workspace and what belongs to the machine.
        services: what outlives a job.
        event: what it is for.
        env: what the machine has in its environment.
        more: contexts that the repository's owner fills, ``vars`` and ``secrets``.
    """

    def __init__(
        self,
        folder: Path,
        services: Services,
        event: Event,
        env: Mapping[str, str],
        more: Context,
    ) -> None:
        self.folder = folder
        self.services = services
        self.event = event
        self.env = env
        self.more = more
        self.done = Done()

    def run(self, repository: str, ref: str, path: str, inputs: Context) -> Done:
        """Run a workflow of a repository, with these inputs."""
        source = Source(repository, self.services.commit(repository, ref))
        workflow = load(self.services.show(repository, source.sha, path))
        _known(workflow, _WORKFLOW, path)
        _only_bash(workflow.get("defaults", {"run": {"shell": "bash"}}))
        contexts = {
            **self.more,
            "github": self._github(),
            "inputs": Strict(self._inputs(workflow["on"], inputs)),
            "needs": {},
        }
        env = self._filled(workflow.get("env", {}), contexts)
        outputs: dict[str, Plain] = {}
        for name in _in_order(workflow["jobs"]):
            job = workflow["jobs"][name]
            _known(job, _JOB, f"{path}: {name}")
            needed = Strict({each: outputs[each] for each in _listed(job.get("needs", ()))})
            here = {**contexts, "needs": needed}
            if not self._wanted(job, [each["result"] for each in needed.values()], here):
                outputs[name] = {"result": SKIPPED, "outputs": {}}
            elif "uses" in job:
                outputs[name] = self._call(job, here)
            else:
                outputs[name] = self._job(name, job, here, env, source)
            self.done.jobs[name] = outputs[name]["result"]
        return self.done

    def files(self, source: Source) -> Path:
        """A fresh clone of it, made when something in it is used."""
        folder = self.folder / "_actions" / source.repository / source.sha
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            self.services.clone(source.repository, source.sha, folder)
        return folder

    def _github(self) -> Context:
        event = self.event
        return Strict(
            repository=event.repository,
            ref=event.ref,
            sha=event.sha,
            event_name=event.name,
            event=event.payload,
            token="of the job",  # noqa: S106
            run_id="4711",
        )

    def _inputs(self, on: Context, given: Context) -> Plain:
        kind = "workflow_dispatch" if self.event.name == "workflow_dispatch" else "workflow_call"
        declared = (on if isinstance(on, Mapping) else {}).get(kind, {}).get("inputs", {})
        if more := given.keys() - declared.keys():
            raise NotUnderstoodError(f"there are no inputs {', '.join(sorted(more))}")
        types = {"string": str, "boolean": bool}
        found = {name: given.get(name, each["default"]) for name, each in declared.items()}
        for name, value in found.items():
            if not isinstance(value, types[declared[name]["type"]]):
                raise NotUnderstoodError(f"input {name} is {value!r}")
        return found

    def _wanted(self, job: Context, results: Sequence[str], contexts: Context) -> bool:
        return holds(job.get("if"), SUCCESS if set(results) <= {SUCCESS} else FAILURE, contexts)

    def _call(self, job: Context, contexts: Context) -> Plain:
        """A job that is another workflow: its jobs are counted as if they were of this one."""
        place, _, ref = job["uses"].partition("@")
        owner, name, path = place.split("/", 2)
        inner = Runner(self.folder, self.services, self.event, self.env, self.more)
        given = self._filled_values(job.get("with", {}), contexts)
        done = inner.run(f"{owner}/{name}", ref, path, given)
        self.done.jobs |= done.jobs
        self.done.steps += done.steps
        self.done.summary += done.summary
        self.done.matrices |= done.matrices
        return {"result": done.result, "outputs": {}}

    def _job(
        self, name: str, job: Context, contexts: Context, env: Mapping[str, str], source: Source
    ) -> Plain:
        strategy = job.get("strategy", {})
        if not strategy:
            return self._once(name, job, contexts, env, source)
        if strategy["fail-fast"] is not False or strategy.keys() != {"fail-fast", "matrix"}:
            raise NotUnderstoodError(f"{name}: strategy {strategy}")
        matrix = interpolated(strategy["matrix"], contexts, {})
        if matrix.keys() != {"include"}:
            raise NotUnderstoodError(f"{name}: matrix {matrix}")
        self.done.matrices[name] = matrix["include"]
        assert 0 < len(matrix["include"]) <= 256, "GitHub takes 1 to 256 jobs"
        results = []
        for index, values in enumerate(matrix["include"]):
            here = {
                **contexts,
                "matrix": Strict(values),
                "strategy": Strict({"job-index": index}),
            }
            results.append(self._once(name, job, here, env, source)["result"])
        return {"result": FAILURE if FAILURE in results else SUCCESS, "outputs": {}}

    def _once(
        self, name: str, job: Context, contexts: Context, env: Mapping[str, str], source: Source
    ) -> Plain:
        workspace = self.folder / "workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        shutil.rmtree(self.folder / "temp", ignore_errors=True)
        workspace.mkdir(parents=True)
        (self.folder / "temp").mkdir()
        github = contexts["github"]
        place = Place(self.services, workspace, github)
        contexts = {
            **contexts,
            "runner": Strict(arch="X64"),
            "job": Strict(workflow_sha=source.sha, workflow_repository=source.repository),
        }
        own = {**env, **self._filled(job.get("env", {}), {**contexts, "env": env})}
        running = _Job(self, name, place, source, contexts, own)
        running.steps(job["steps"])
        if running.status == SUCCESS:
            for each in place.at_end:
                each()
        self.done.summary += running.summary()
        here = {**contexts, "steps": Strict(running.outputs)}
        outputs = self._filled_values(job.get("outputs", {}), here)
        return {"result": running.status, "outputs": Strict(outputs)}

    def _filled(self, values: Context, contexts: Context) -> dict[str, str]:
        return {k: as_text(v) for k, v in self._filled_values(values, contexts).items()}

    def _filled_values(self, values: Context, contexts: Context) -> Plain:
        return {name: filled(value, contexts) for name, value in values.items()}


@dataclass
class _Job:
    """A job while it runs: what its steps have said so far."""

    runner: Runner
    name: str
    place: Place
    source: Source
    contexts: Context
    env: dict[str, str]
    status: str = SUCCESS
    path: list[str] = field(default_factory=list)
    outputs: dict[str, Plain] = field(default_factory=dict)

    def steps(self, steps: Iterable[Context]) -> None:
        for step in steps:
            _known(step, _STEP, f"{self.name}: {step.get('name')}")
            here = {**self.contexts, "steps": Strict(self.outputs), "env": self.env}
            if not holds(step.get("if"), self.status, here):
                self._said(step, {})
            elif "uses" in step:
                self._uses(step, here)
            else:
                self._run(step, here)

    def summary(self) -> str:
        file = self.runner.folder / "temp/summary"
        return file.read_text(encoding="utf-8") if file.is_file() else ""

    def _uses(self, step: Context, here: Context) -> None:
        given = {name: as_text(filled(v, here)) for name, v in step.get("with", {}).items()}
        if not step["uses"].startswith("$/"):
            self._said(step, act(step["uses"], given, self.place))
            return
        folder = self.runner.files(self.source) / step["uses"].removeprefix("$/")
        action = load((folder / "action.yml").read_text(encoding="utf-8"))
        declared = action.get("inputs", {})
        if more := given.keys() - declared.keys():
            raise NotUnderstoodError(f"{step['uses']}: {', '.join(more)}")
        inputs = {name: given.get(name, each.get("default")) for name, each in declared.items()}
        if None in inputs.values():
            raise NotUnderstoodError(f"{step['uses']}: lacks an input")
        contexts = {**self.contexts, "inputs": Strict(inputs)}
        own = {**self.env, "GITHUB_ACTION_PATH": str(folder)}
        inner = _Job(self.runner, self.name, self.place, self.source, contexts, own)
        inner.path, inner.status = self.path, self.status
        if action["runs"]["using"] != "composite":
            raise NotUnderstoodError(f"{step['uses']}: {action['runs']['using']}")
        inner.steps(action["runs"]["steps"])
        self.status = inner.status
        inner.env.pop("GITHUB_ACTION_PATH")
        self.env = inner.env
        after = {**contexts, "steps": Strict(inner.outputs)}
        outputs = action.get("outputs", {})
        self._said(step, {k: as_text(filled(v["value"], after)) for k, v in outputs.items()})

    def _said(self, step: Context, outputs: Mapping[str, str]) -> None:
        if "id" in step:
            self.outputs[step["id"]] = {"outputs": dict(outputs)}

    def _run(self, step: Context, here: Context) -> None:
        if step.get("shell", "bash") != "bash":
            raise NotUnderstoodError(f"{self.name}: shell {step['shell']}")
        temp = self.runner.folder / "temp"
        files = {name: temp / name.lower() for name in ("OUTPUT", "ENV", "PATH")}
        for file in files.values():
            file.write_text("")
        script = temp / "step.sh"
        script.write_text(as_text(filled(step["run"], here)), encoding="utf-8")
        own = {name: as_text(filled(v, here)) for name, v in step.get("env", {}).items()}
        done = subprocess.run(
            [*_SHELL, str(script)],
            cwd=self.place.workspace,
            env={**self._machine(), **self.env, **own, **self._told(files)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
        shown = Step(self.name, str(step.get("name")), step["run"], done.returncode, done.stdout)
        self.runner.done.steps.append(shown)
        if done.returncode:
            self.status = FAILURE
        self._said(step, _pairs(files["OUTPUT"]))
        self.env |= _pairs(files["ENV"])
        self.path[:0] = reversed(files["PATH"].read_text().split())

    def _machine(self) -> dict[str, str]:
        env = dict(self.runner.env)
        return {**env, "PATH": ":".join([*self.path, env["PATH"]])}

    def _told(self, files: Mapping[str, Path]) -> dict[str, str]:
        github = self.contexts["github"]
        return {
            **{f"GITHUB_{name}": str(file) for name, file in files.items()},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(self.runner.folder / "temp/summary"),
            "GITHUB_WORKSPACE": str(self.place.workspace),
            "GITHUB_SERVER_URL": f"file://{self.runner.services.server}",
            "GITHUB_REPOSITORY": str(github["repository"]),
            "GITHUB_SHA": str(github["sha"]),
            "GITHUB_REF": str(github["ref"]),
            "GITHUB_RUN_ID": str(github["run_id"]),
            "GITHUB_EVENT_NAME": str(github["event_name"]),
        }


def filled(value: object, contexts: Context) -> Any:  # noqa: ANN401  (as the workflow has it)
    """A value of a workflow with its holes filled."""
    return interpolated(value, contexts, {}) if isinstance(value, str) else value


def holds(condition: object, status: str, contexts: Context) -> bool:
    """Whether an ``if:`` is true, after what was before ended so."""
    if condition is None:
        return status == SUCCESS
    text = str(condition).strip()
    text = text.removeprefix("${{").removesuffix("}}") if text.startswith("${{") else text
    functions: Mapping[str, Callable[[], bool]] = {
        "always": lambda: True,
        "cancelled": lambda: False,
        "failure": lambda: status == FAILURE,
        "success": lambda: status == SUCCESS,
    }
    if not names_in(text) & _STATUS and status != SUCCESS:
        return False
    return is_true(evaluated(text, contexts, functions))


def _in_order(jobs: Context) -> list[str]:
    """The ids of jobs, each behind those that it needs."""
    found: list[str] = []
    while len(found) < len(jobs):
        ready = [
            name
            for name, job in jobs.items()
            if name not in found and {*_listed(job.get("needs", ()))} <= {*found}
        ]
        if not ready:
            raise NotUnderstoodError("jobs need each other")
        found += ready
    return found


def _listed(needs: str | Sequence[str]) -> list[str]:
    return [needs] if isinstance(needs, str) else [*needs]


def _known(data: Context, keys: frozenset[str], where: str) -> None:
    if more := data.keys() - keys:
        raise NotUnderstoodError(f"{where}: {', '.join(sorted(map(str, more)))}")


def _only_bash(defaults: Context) -> None:
    if defaults != {"run": {"shell": "bash"}}:
        raise NotUnderstoodError(f"defaults: {json.dumps(defaults)}")


def _pairs(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    if any("=" not in line or "<<" in line.partition("=")[0] for line in lines):
        raise NotUnderstoodError(f"{file.name}: {lines}")
    return {name: value for name, _, value in (line.partition("=") for line in lines)}
