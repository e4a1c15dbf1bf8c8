from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from khoci.kernel.cache import Artifact
from tests.vm.conftest import Run, command, run_matrix

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]


def qemu_processes(marker: str) -> list[int]:
    """QEMU processes whose environment holds a marker that only one test sets."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text()
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if name.startswith("qemu-system") and marker.encode() in environment:
            found.append(int(folder.name))
    return found


def wait_until(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def write_matrix(folder: Path, kernels: str, names: str, accelerator: str = "") -> Path:
    (folder / "kernels.toml").write_text(kernels)
    (folder / "policy.toml").write_text('never = ["panic"]\n')
    matrix = folder / "own.toml"
    matrix.write_text(f'kernels = [{names}]\nscenarios = ["reserve-mem"]\n{accelerator}')
    return matrix


def ready(name: str, kernel: Artifact, cmdline: str = "") -> str:
    return (
        f'[kernel."{name}"]\ncmdline = "{cmdline}"\nsources = [{{ image = "{kernel.image}", '
        f'system_map = "{kernel.system_map}", config = "{kernel.config}" }}]\n'
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_guest_dies_with_khoci_and_the_run_resumes(
    kernels: dict[str, Artifact], tmp_path: Path, number: signal.Signals
) -> None:
    assert kernels
    marker = f"KHOCI_TEST_MARKER={tmp_path}"
    before = set(Path("/dev/shm").iterdir())
    process = subprocess.Popen(
        command("matrix", "run", "--kernels", "7.3", "-j", "1"),
        cwd=tmp_path,
        env={**os.environ, "KHOCI_TEST_MARKER": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    wait_until(lambda: list(tmp_path.glob("runs/*/*.json")) and qemu_processes(marker))
    first = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/*.json")}
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    wait_until(lambda: not qemu_processes(marker), 10)
    assert set(Path("/dev/shm").iterdir()) <= before
    assert b"Traceback" not in errors
    if number is not signal.SIGKILL:
        assert process.returncode == 130

    resumed = run_matrix(tmp_path, "--resume")
    assert resumed.status == 0, resumed.errors
    assert len(resumed.results) == 3
    assert {path: path.stat().st_mtime_ns for path in first} == first


@pytest.fixture(scope="module")
def panicking(kernels: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All pairs of a good kernel and one that panics for want of an init."""
    folder = tmp_path_factory.mktemp("panicking")
    good, bad = ready("good", kernels["7.3"]), ready("bad", kernels["7.3"], "rdinit=/nothing")
    return run_matrix(
        folder, str(write_matrix(folder, good + bad, '"good", "bad"')), "--pairs", "all"
    )


def test_a_consumer_that_panics_is_told_at_once(panicking: Run) -> None:
    result = panicking.results["good", "bad", "reserve-mem"]
    assert result["verdict"] == "panic"
    assert "Kernel panic - not syncing" in json.dumps(result["components"]["memory map"])
    assert panicking.results["good", "good", "reserve-mem"]["verdict"] == "restored"


def test_a_producer_that_does_not_come_up_is_an_error_and_no_verdict(panicking: Run) -> None:
    result = panicking.results["bad", "good", "reserve-mem"]
    assert panicking.status == 3
    assert result["verdict"] == "error"
    assert "bad: did not get to the jump" in json.dumps(result["components"])
    log = panicking.folder / result["files"]["producer.log"]
    assert "Kernel panic - not syncing" in log.read_text()


def test_an_image_that_is_none_is_an_error(kernels: dict[str, Artifact], tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(b"this is no kernel" * 1000)
    text = ready("good", kernels["7.3"]) + (
        f'[kernel."none"]\nsources = [{{ image = "{image}", '
        f'system_map = "{kernels["7.3"].system_map}" }}]\n'
    )
    run = run_matrix(tmp_path, str(write_matrix(tmp_path, text, '"good", "none"')))
    assert run.status == 3
    assert run.results["none", "good", "reserve-mem"]["verdict"] == "error"
    assert "Traceback" not in run.errors


@pytest.mark.parametrize(
    ("cmdline", "verdict"),
    [("panic=0 rdinit=/nothing", "panic"), ("8250.nr_uarts=1", "hang")],
)
def test_a_consumer_that_stays_is_told_apart(
    kernels: dict[str, Artifact], tmp_path: Path, cmdline: str, verdict: str
) -> None:
    text = ready("good", kernels["7.3"]) + ready("bad", kernels["7.3"], cmdline)
    matrix = write_matrix(tmp_path, text, '"good", "bad"')
    done = subprocess.run(
        command("cell", "run", "good", "bad", "reserve-mem", "--matrix", str(matrix)),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert f"good -> bad reserve-mem: {verdict}" in done.stdout
    assert done.returncode == (1 if verdict == "panic" else 0)


def test_qemu_command_can_be_printed(kernels: dict[str, Artifact]) -> None:
    assert kernels
    done = subprocess.run(
        command("cell", "run", "6.17", "7.3", "kho-test", "--print-qemu"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("qemu-system-x86_64 ")
    assert "-kernel" in done.stdout
    assert done.stdout.count("\n") == 1
