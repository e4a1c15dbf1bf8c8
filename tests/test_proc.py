from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from khoci.errors import HarnessError
from khoci.proc import dying_with_parent, require_tool


def test_a_tool_that_is_there() -> None:
    assert Path(require_tool("sh")).is_absolute()


def test_a_tool_that_is_missing_is_one_line_that_says_what_to_do() -> None:
    with pytest.raises(HarnessError, match=r"^no-such-tool is not installed: run 'khoci doctor"):
        require_tool("no-such-tool")


def test_the_command_itself_is_unchanged() -> None:
    done = subprocess.run(
        dying_with_parent(["echo", "a b", "$c"]), capture_output=True, text=True, check=True
    )
    assert done.stdout == "a b $c\n"


def test_it_dies_with_a_parent_that_is_killed() -> None:
    code = """
import subprocess, sys, time
from khoci.proc import dying_with_parent
child = subprocess.Popen(dying_with_parent(["sleep", "1000"]))
time.sleep(0.2)
print(child.pid, flush=True)
time.sleep(1000)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}/comm").read_text() == "sleep\n"
        parent.kill()
    assert gone(child)


def gone(pid: int) -> bool:
    """Whether the process ends, or is a zombie, within a few seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            os.kill(pid, 0)
        except (OSError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
