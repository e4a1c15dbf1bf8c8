"""A real Slurm on this machine: munged, slurmctld and some slurmd, in a folder of their own.

Nodes are called node1, node2, ...; each has ``KHOCI_CACHE`` of its own, set by a task prolog.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")

_CONF = """
ClusterName=khoci
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/prolog
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,batch_sched_delay=1,requeue_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
KillWait=5
MinJobAge=300
SlurmdParameters=config_overrides
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclass
class Cluster:
    """What was started.

    Attributes:
        folder: with configuration, logs, and a cache for each node.
        environment: that makes Slurm's commands find it.
        nodes: the process of each slurmd, by name.
    """

    folder: Path
    environment: Mapping[str, str]
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def cache(self, node: str) -> Path:
        """The cache that khoci has on a node."""
        return self.folder / f"cache.{node}"

    def ask(self, *command: str) -> str:
        """What a command of Slurm answers."""
        return subprocess.run(
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def tell(self, node: str, line: str) -> None:
        """Give what runs on a node more environment: ``export NAME=value``."""
        (self.folder / f"prolog.{node}").write_text(f"{line}\n")

    def start(self, node: str) -> None:
        """Start a node, or start it again."""
        self.nodes[node] = self._run(["slurmd", "-D", "-N", node], node)

    def kill(self, node: str) -> None:
        """Kill a node and all that runs on it, at once."""
        for pid in (self.nodes[node].pid, *self.processes(node)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.nodes[node].wait()

    def processes(self, node: str) -> list[int]:
        """What Slurm has started on a node: the step daemons, then all that runs in the steps."""
        wanted = (f"SLURM_CONF={self.folder}/slurm.conf", f"SLURMD_NODENAME={node}")
        inside = [pid for pid, text in _files("environ") if {*wanted} <= {*text.split("\0")}]
        parents = {pid: int(text.rpartition(")")[2].split()[1]) for pid, text in _files("stat")}
        daemons = [pid for pid, text in _files("comm") if text.startswith("slurmstepd")]
        return [*(pid for pid in daemons if pid in {parents.get(each) for each in inside}), *inside]

    def _run(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.out").open("ab") as log:
            return subprocess.Popen(
                [f"/usr/sbin/{command[0]}", *command[1:]],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def is_installed() -> bool:
    """Whether this machine has it."""
    paths = f"{os.environ['PATH']}:/usr/sbin"
    return all(shutil.which(name, path=paths) for name in NEEDED)


@contextmanager
def cluster(folder: Path, count: int = 3) -> Iterator[Cluster]:
    """Start a cluster, and end all of it."""
    _configure(folder, count)
    found = Cluster(folder, {"SLURM_CONF": str(folder / "slurm.conf")})
    others = [found._run(["munged", "--foreground", "--force", *_munge(folder)], "munged")]
    try:
        _wait_for((folder / "munge.socket").exists, "munged", found)
        others.append(found._run(["slurmctld", "-D", "-c"], "slurmctld"))
        for number in range(1, count + 1):
            found.start(f"node{number}")
        _wait_for(lambda: _idle(found) == count, "idle nodes", found)
        yield found
    finally:
        with suppress(subprocess.CalledProcessError):
            found.ask("scancel", "--me")
            time.sleep(0.5)
        for node in found.nodes:
            found.kill(node)
        for process in reversed(others):
            process.terminate()
            process.wait(20)


def _configure(folder: Path, count: int) -> None:
    (folder / "state").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(64))
    (folder / "munge.key").chmod(0o600)
    prolog = folder / "prolog"
    prolog.write_text(
        f'#!/bin/sh\necho "export KHOCI_CACHE={folder}/cache.$SLURMD_NODENAME"\n'
        f'cat "{folder}/prolog.$SLURMD_NODENAME" 2>/dev/null || true\n'
    )
    prolog.chmod(0o755)
    host = socket.gethostname()
    port, *ports = _free_ports(count + 1)
    nodes = "\n".join(
        f"NodeName=node{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={each} CPUs=1 "
        "RealMemory=8000 State=UNKNOWN"
        for number, each in enumerate(ports, 1)
    )
    text = _CONF.format(host=host, port=port, folder=folder, nodes=nodes)
    (folder / "slurm.conf").write_text(text)


def _munge(folder: Path) -> list[str]:
    files = {
        "socket": "socket",
        "key-file": "key",
        "pid-file": "pid",
        "seed-file": "seed",
        "log-file": "log",
    }
    return [f"--{option}={folder}/munge.{name}" for option, name in files.items()]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _idle(found: Cluster) -> int:
    try:
        return found.ask("sinfo", "--noheader", "--Node", "--format=%T").split().count("idle")
    except subprocess.CalledProcessError:
        return -1


def _wait_for(there: object, what: str, found: Cluster) -> None:
    assert callable(there)
    for _ in range(300):
        if there():
            return
        time.sleep(0.2)
    logs = "".join(path.read_text(errors="replace")[-2000:] for path in found.folder.glob("*.out"))
    raise RuntimeError(f"no {what} within a minute:\n{logs}")


def _files(name: str) -> Iterator[tuple[int, str]]:
    """This file of each process."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            yield int(folder.name), (folder / name).read_bytes().decode(errors="replace")
