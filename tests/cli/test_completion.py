"""Completion in the shells that people use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run import stored

BASH = r"""
eval "$(khoci completion bash)"
COMP_WORDS=($LINE)
[[ $LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_khoci_completion khoci
printf '%s\n' "${COMPREPLY[@]}"
"""

# A real line editor on a terminal of its own, where Tab lists what there is, unless more is typed
# before the list is there. So each Tab is waited for: until nobody asks khoci any more.
ZSH = r"""
zmodload zsh/zpty zsh/zselect
zpty shell "PS1= TERM=dumb ZDOTDIR=$PWD zsh -f -i"
zpty -w shell "autoload -Uz compinit; compinit -u; LISTMAX=1000"
zpty -w shell "source <(khoci completion zsh); print ready-\$((1+1))"
while zpty -r shell line; do [[ $line == *ready-2* ]] && break; done
seen=""
type_and_wait() {
  local quiet=0 part
  zpty -w -n shell "$1"
  while (( quiet < 10 )); do
    zselect -t 10
    if zpty -r -t shell part; then seen+=$part; quiet=0; continue; fi
    [[ -s asked && ! -e asking ]] && (( quiet += 1 ))
  done
}
type_and_wait "$LINE"$'\t'
type_and_wait $'\t'
print -r -- "$seen"
zpty -d shell
"""

FISH = r"""
khoci completion fish | source
complete -C "$LINE" | string split -f 1 \t
"""

SHELLS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a run, and a ``khoci`` for the shells."""
    stored.whole(tmp_path)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "khoci"
    command.write_text(
        f"#!/bin/sh\ncd {tmp_path}\n[ $1 ] || echo >>asked; touch asking\n"
        f'{sys.executable} -m khoci "$@"\nrm asking\n'
    )
    command.chmod(0o755)
    return tmp_path


def completed(shell: str, line: str, home: Path) -> list[str]:
    """The words that the shell shows for a line that ends where Tab is hit."""
    program = shutil.which(shell)
    assert program, f"{shell} is not installed: khoci doctor --install --tests"
    done = subprocess.run(
        [program, "-c", SHELLS[shell]],
        cwd=home,
        env={
            **os.environ,
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "HOME": str(home),
            "LINE": line,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout.replace("plain,", "").split()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "wanted", "unwanted"),
    [
        ("khoci s", ["selftest", "scenario", "series", "show"], "report"),
        ("khoci show la", ["last"], "releases"),
        ("khoci show last v6.18", ["v6.18.15..v6.18.15", "v6.18.15..v7.2.12"], "v7.2.12..v7.2.12"),
        ("khoci matrix run re", ["releases"], "default"),
        ("khoci matrix run --scenarios kho-test,mem", ["kho-test,memfd"], "kho-test"),
        ("khoci report --format j", ["json", "junit"], "html"),
    ],
)
def test_words_are_completed(
    shell: str, line: str, wanted: list[str], unwanted: str, home: Path
) -> None:
    words = completed(shell, line, home)
    assert {*wanted} <= {*words}
    assert unwanted not in words


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_one_that_its_shell_reads(shell: str, home: Path) -> None:
    script = subprocess.run(
        [sys.executable, "-m", "khoci", "completion", shell],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    program = shutil.which(shell)
    assert program
    subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_a_run_that_cannot_be_read_breaks_nothing(home: Path) -> None:
    (home / "runs" / "x" / "meta").mkdir(parents=True)
    (home / "runs" / "x" / "meta" / "run.json").write_text("{")
    assert completed("bash", "khoci show x v", home) == []
