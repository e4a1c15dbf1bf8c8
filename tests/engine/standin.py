"""A stand-in for kubectl and a cluster: indexes of a Job are processes of this machine.

It knows what khoci asks for, and nothing else: ``apply -f -``, ``get jobs|pods``, ``logs`` and
``delete jobs``. The command and the environment of the container are taken as they stand, and its
working folder is moved to a new one. State is in the folder ``$STANDIN``.

``$STANDIN/alpha.path`` is the PATH of pods on the node alpha, if it is there.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

NODES = ("alpha", "beta")
ROOT = Path(os.environ.get("STANDIN", ""))


def apply(manifest: dict[str, Any]) -> None:
    folder = ROOT / manifest["metadata"]["name"]
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps(manifest))
    avoided = _avoided(manifest)
    nodes = [node for node in NODES if node not in avoided]
    for index in range(manifest["spec"]["completions"]):
        _start(manifest, folder / str(index), index, nodes[index % len(nodes)])


def _avoided(manifest: dict[str, Any]) -> list[str]:
    affinity = manifest["spec"]["template"]["spec"].get("affinity")
    if affinity is None:
        return []
    terms = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    found: list[str] = terms["nodeSelectorTerms"][0]["matchExpressions"][0]["values"]
    return found


def _start(manifest: dict[str, Any], pod: Path, index: int, node: str) -> None:
    (pod / "work").mkdir(parents=True)
    (pod / "node").write_text(node)
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    own = {each["name"]: each["value"] for each in container["env"]}
    own = {name: value.replace("/work", str(pod / "work")) for name, value in own.items()}
    given = ROOT / f"{node}.path"
    path = given.read_text() if given.is_file() else os.environ["PATH"]
    environment = {**os.environ, **own, "JOB_COMPLETION_INDEX": str(index), "PATH": path}
    line = ["sh", "-c", '"$@"; echo $? > ../exit', "sh", *container["command"]]
    with (pod / "log").open("wb") as log:
        process = subprocess.Popen(
            ["/bin/sh", *line[1:]],
            cwd=pod / "work",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (pod / "pid").write_text(str(process.pid))


def jobs() -> list[dict[str, Any]]:
    found = []
    for file in sorted(ROOT.glob("*/job.json")):
        manifest = json.loads(file.read_text())
        codes = {
            int(exit_file.parent.name): int(exit_file.read_text() or 0)
            for exit_file in file.parent.glob("*/exit")
        }
        done = [str(index) for index, code in sorted(codes.items()) if code == 0]
        failed = [str(index) for index, code in sorted(codes.items()) if code]
        ended = len(codes) == manifest["spec"]["completions"]
        kind = "Failed" if failed else "Complete"
        conditions = [{"type": kind, "status": "True"}] if ended else []
        manifest["status"] = {
            "completedIndexes": ",".join(done),
            "failedIndexes": ",".join(failed),
            "conditions": conditions,
        }
        found.append(manifest)
    return found


def pods() -> list[dict[str, Any]]:
    found = []
    for file in sorted(ROOT.glob("*/*/pid")):
        pod = file.parent
        code = (pod / "exit").read_text().strip() if (pod / "exit").is_file() else ""
        phase = {"": "Running", "0": "Succeeded"}.get(code, "Failed")
        state = {"terminated": {"exitCode": int(code)}} if code else {"running": {}}
        found.append(
            {
                "metadata": {
                    "name": f"{pod.parent.name}-{pod.name}",
                    "labels": {"batch.kubernetes.io/job-name": pod.parent.name},
                    "annotations": {"batch.kubernetes.io/job-completion-index": pod.name},
                },
                "spec": {"nodeName": (pod / "node").read_text()},
                "status": {"phase": phase, "containerStatuses": [{"state": state}]},
            }
        )
    return found


def delete() -> None:
    for file in ROOT.glob("*/*/pid"):
        if not (file.parent / "exit").is_file():
            os.killpg(int(file.read_text()), signal.SIGTERM)
    for file in ROOT.glob("*/job.json"):
        file.unlink()


def main(words: list[str]) -> None:
    if words[0] == "apply":
        apply(json.load(sys.stdin))
    elif words[0] == "get":
        json.dump({"items": jobs() if words[1] == "jobs" else pods()}, sys.stdout)
    elif words[0] == "logs":
        name, _, index = words[1].rpartition("-")
        sys.stdout.write((ROOT / name / index / "log").read_text().splitlines()[-1])
    elif words[0] == "delete":
        delete()
    else:
        raise SystemExit(f"the stand-in does not know {words}")


if __name__ == "__main__":
    main(sys.argv[1:])
