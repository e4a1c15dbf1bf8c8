"""``khoci doctor``: what the host has of what khoci needs, and how to get the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from khoci.errors import EXIT_HARNESS, HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

INSTALL_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "apt-get": ("apt-get", "install", "-y", "--no-install-recommends"),
    "dnf": ("dnf", "install"),
    "pacman": ("pacman", "-S", "--needed"),
}
_REFRESH = ("apt-get", "update")


@dataclass(frozen=True, slots=True)
class Need:
    """Something of the host: how to see it, what for, and its packages on apt, dnf and pacman.

    ``command`` prints what is found in its first line, and fails where it is missing; a
    ``stdin`` is given to it.
    """

    name: str
    command: tuple[str, ...]
    purpose: str
    apt: str
    dnf: str
    pacman: str
    required: bool = True
    stdin: str = ""
    found_word: str = ""

    def package(self, manager: str) -> str:
        """Its package with this package manager."""
        return {"apt-get": self.apt, "dnf": self.dnf, "pacman": self.pacman}[manager]


def _tool(name: str, purpose: str, *packages: str, required: bool = True) -> Need:
    apt, dnf, pacman = packages * 3 if len(packages) == 1 else packages
    return Need(name, (name, "--version"), purpose, apt, dnf, pacman, required)


_COMPILE = ("gcc", "-xc", "-", "-o", "/dev/null")
_QEMU = ("qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86")
NEEDS = (
    _tool("qemu-system-x86_64", "boots the kernels", *_QEMU),
    _tool("gcc", "builds kernels and the guest's init", "gcc"),
    _tool("ld", "links them", "binutils"),
    _tool("make", "builds kernels", "make"),
    _tool("flex", "builds kernels", "flex"),
    _tool("bison", "builds kernels", "bison"),
    _tool("bc", "builds kernels", "bc"),
    _tool("lz4", "packs kernel images", "lz4"),
    _tool("git", "applies patches, reads git trees", "git"),
    Need(
        name="libelf headers",
        command=(*_COMPILE, "-fsyntax-only"),
        stdin="#include <gelf.h>\n",
        found_word="gelf.h",
        purpose="build the kernel's objtool",
        apt="libelf-dev",
        dnf="elfutils-libelf-devel",
        pacman="libelf",
    ),
    Need(
        name="static libc",
        command=(*_COMPILE, "-static"),
        stdin="int main(void) { return 0; }\n",
        found_word="libc.a",
        purpose="links the guest's init",
        apt="libc6-dev",
        dnf="glibc-static",
        pacman="glibc",
    ),
    _tool("setpriv", "ends guests when khoci dies", "util-linux"),
    Need(
        name="bubblewrap",
        command=("bwrap", "--version"),
        purpose="the sandbox that series from lists are built in",
        apt="bubblewrap",
        dnf="bubblewrap",
        pacman="bubblewrap",
        required=False,
    ),
    _tool("ccache", "makes second builds fast", "ccache", required=False),
    _tool("zstd", "unpacks images of distributions", "zstd", required=False),
    _tool("perl", "some kernel configs", "perl", "perl-interpreter", "perl", required=False),
)

TEST_NEEDS = (
    Need(
        name="public-inbox",
        command=("public-inbox-init", "--help"),
        purpose="serves the mail that the tests fetch",
        found_word="public-inbox-init",
        apt="public-inbox",
        dnf="public-inbox",
        pacman="public-inbox",
    ),
    Need(
        name="slurm",
        command=("slurmctld", "-V"),  # sbatch says nothing where no cluster is configured
        purpose="runs cells on several nodes in the tests",
        apt="slurm-wlm",
        dnf="slurm-slurmctld",
        pacman="slurm-llnl",
    ),
    Need(
        name="munge",
        command=("munge", "--version"),
        purpose="lets the nodes of that trust each other",
        apt="munge",
        dnf="munge",
        pacman="munge",
    ),
    _tool("chromium", "shows the page of a report to the tests", "chromium"),
    _tool("zsh", "completes khoci's words in the tests", "zsh"),
    _tool("fish", "completes khoci's words in the tests", "fish"),
)
"""What khoci's own tests need besides."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A need and what the host has of it; ``found`` is empty where it is missing."""

    need: Need
    found: str


def examine(needs: Iterable[Need] = NEEDS) -> list[Finding]:
    """Look for everything khoci needs."""
    return [Finding(need, _probe(need)) for need in needs]


def missing(findings: Iterable[Finding], *, required_only: bool = False) -> list[Need]:
    """The needs that the host does not meet."""
    return [
        finding.need
        for finding in findings
        if not finding.found and (finding.need.required or not required_only)
    ]


def table(findings: Sequence[Finding]) -> str:
    """The findings as text, one a line."""
    width = max(len(finding.need.name) for finding in findings)
    return "\n".join(_row(finding, width) for finding in findings)


def install_command(needs: Iterable[Need], manager: str) -> list[str]:
    """The command line that installs what is needed, for root."""
    return [
        *INSTALL_COMMANDS[manager],
        *dict.fromkeys(need.package(manager) for need in needs),
    ]


def package_manager() -> str | None:
    """The first known package manager that the host has."""
    return next((name for name in INSTALL_COMMANDS if shutil.which(name)), None)


def install(needs: Sequence[Need]) -> None:
    """Install packages with apt-get, as root or through sudo.

    Raises:
        HarnessError: it fails, or the host has no apt-get; the message has the command to run.
    """
    manager = package_manager()
    if manager is None:
        names = ", ".join(need.name for need in needs)
        raise HarnessError(f"no apt-get, dnf or pacman here: install by hand: {names}")
    command = install_command(needs, manager)
    if manager != "apt-get":
        raise HarnessError(f"run as root, then khoci doctor again: {' '.join(command)}")
    for step in (list(_REFRESH), command):
        _run_as_root(step)


@click.command(short_help="What the host has and lacks.")
@click.option("--install", "wants_install", is_flag=True, help="Install what is missing.")
@click.option("--tests", is_flag=True, help="And what khoci's own tests need.")
@click.option("--json", "as_json", is_flag=True, help="the same for programs")
@click.pass_context
def doctor(context: click.Context, *, wants_install: bool, tests: bool, as_json: bool) -> None:
    """List what khoci needs of this host, found or missing.

    Exit code 0 if all that is required is there, else 3.

    Example: khoci doctor --install
    """
    needs = (*NEEDS, *TEST_NEEDS) if tests else NEEDS
    findings = examine(needs)
    if wants_install and (lacking := missing(findings)):
        install(lacking)
        findings = examine(needs)
    click.echo(_json(findings) if as_json else table(findings))
    if lacking := missing(findings, required_only=True):
        click.echo(f"\n{_advice(lacking)}", err=as_json)
        context.exit(EXIT_HARNESS)


def _json(findings: Iterable[Finding]) -> str:
    needs = [
        {
            "need": finding.need.name,
            "purpose": finding.need.purpose,
            "required": finding.need.required,
            "found": finding.found or None,
        }
        for finding in findings
    ]
    return json.dumps({"schema": 1, "needs": needs}, indent=2)


def _advice(needs: Sequence[Need]) -> str:
    names = ", ".join(need.name for need in needs)
    manager = package_manager()
    if manager is None:
        return f"missing: {names}"
    return f"missing: {names}; to install: {' '.join(install_command(needs, manager))}"


def _row(finding: Finding, width: int) -> str:
    need = finding.need
    absent = "MISSING" if need.required else "missing (optional)"
    state = finding.found or f"{absent}: {need.purpose}"
    return f"{need.name:<{width}}  {state}"


def _probe(need: Need) -> str:
    try:
        result = subprocess.run(
            need.command, input=need.stdin, capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return need.found_word or result.stdout.strip().partition("\n")[0].strip("* ") or "found"


def _run_as_root(command: list[str]) -> None:
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise HarnessError(f"run as root, then khoci doctor again: {' '.join(command)}")
        command = ["sudo", *command]
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(command, env=quiet, check=False).returncode != 0:
        raise HarnessError(f"cannot install what is missing: {' '.join(command)} failed")
