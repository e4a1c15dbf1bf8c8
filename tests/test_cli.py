from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from khoci.__main__ import _exit_code
from khoci.cli import cli
from khoci.config.kernels import load_kernels
from khoci.config.matrix import load_matrix
from khoci.paths import data_dir
from khoci.results import CellResult, Evidence, Judgement
from khoci.run.folder import RunFolder, new_run
from khoci.run.matrix import Plan, make_plan
from khoci.verdicts import Verdict
from tests.terminal import on_terminal
from tests.vm import tiny

GOOD = 'kernels = ["v1.0"]\nscenarios = ["kho-test"]\npairs = "self"\n'
KERNELS = '[kernel."v1.0"]\nsources = [{ image = "v1.0", system_map = "v1.0.map" }]\n'
KNOWN = """
[[known]]
producers = ["1.0"]
consumers = ["1.0"]
scenarios = ["kho-test"]
verdict = "panic"
reason = "it is old"
link = "docs/x.md"
"""
CELL = ("v1.0", "v1.0", "kho-test")

Khoci = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests: the agent is compiled once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a matrix of one ready image that does not boot; the current one."""
    folder = tmp_path / "home"
    (folder / "matrix").mkdir(parents=True)
    (folder / "matrix" / "mine.toml").write_text(GOOD)
    (folder / "matrix" / "kernels.toml").write_text(KERNELS)
    (folder / "matrix" / "policy.toml").write_text('never = ["panic"]\n')
    (folder / "matrix" / "v1.0").write_bytes(bytes(1 << 14))
    (folder / "matrix" / "v1.0.map").write_text("ffffffff81000000 T machine_kexec\n")
    monkeypatch.setenv("KHOCI_CACHE", str(cache))
    monkeypatch.setenv("KHOCI_ACCEL", "tcg")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def khoci(home: Path) -> Khoci:
    """Runs the real command."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "khoci", *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


@pytest.fixture
def inside(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Khoci:
    """The same within this process, which is faster."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr("sys.argv", ["khoci", *arguments])
        code = _exit_code()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, code, out, err)

    return run


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def plan_of(home: Path) -> Plan:
    matrix = load_matrix(home / "matrix" / "mine.toml", "mine")
    return make_plan(matrix, load_kernels(home / "matrix" / "kernels.toml"), accelerator="tcg")


def finished_run(home: Path, verdict: Verdict) -> RunFolder:
    """A run whose one cell has a result."""
    plan = plan_of(home)
    run = new_run(home / "runs", plan.to_json())
    judgement = Judgement(verdict, (Evidence("log", "a line"),))
    run.store(plan.cells[0].name, CellResult(*CELL, verdict, {"root": judgement}))
    return run


# wrong use


TYPO = "typo.toml: unknown key 'kernles' (did you mean 'kernels'?)"


def check_wrong_use(run: Khoci, home: Path, arguments: tuple[str, ...], message: str) -> None:
    """One line, exit code 2, nothing left behind."""
    (home / "matrix" / "typo.toml").write_text(GOOD.replace("kernels", "kernles"))
    (home / "matrix" / "broken.toml").write_text("kernels = [\n")
    before = files(home)
    done = run(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("khoci: ")
    assert message in line
    assert done.stdout == ""
    assert files(home) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("matrix", "run", "mine", "--kernels", "2.0"), "unknown kernel '2.0'"),
        (("matrix", "run", "mine", "--scenarios", "memdf"), "unknown scenario 'memdf'"),
        (("matrix", "run", "typo"), TYPO),
        (("matrix", "run", "--run", "20260101-000000-aaaa"), "no run '20260101-000000-aaaa'"),
    ],
)
def test_wrong_use_of_the_real_command(
    khoci: Khoci, home: Path, arguments: tuple[str, ...], message: str
) -> None:
    check_wrong_use(khoci, home, arguments, message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("matrix", "plan", "mine", "--kernels", "v1.1"), "(did you mean 'v1.0'?)"),
        (("cell", "run", "v1.0", "v9", "kho-test", "--matrix", "mine"), "unknown kernel 'v9'"),
        (
            ("cell", "run", "v1.0", "v1.0", "memfd:x=1", "--matrix", "mine"),
            "has no parameter 'x'",
        ),
        (("matrix", "run", "nine"), "no matrix file 'nine'"),
        (("matrix", "run", "elsewhere/default"), "no matrix file 'elsewhere/default'"),
        (("matrix", "plan", "mine", "--kernels", ""), "--kernels"),
        (("matrix", "plan", "mine", "--scenarios", ","), "--scenarios"),
        (("cell", "run", "v1.0", "v1.0", "kho-test", "--keep", "matrix/v1.0"), "is no folder"),
        (("cell", "run", "1.0", "1.0", "kho-test", "--keep", "a", "--print-qemu"), "--keep goes"),
        (("fault", "run", "map-cycl"), "(did you mean 'map-cycle'?)"),
        (("selftest", "liar-tset"), "(did you mean 'liar-test'?)"),
        (("matrix", "run", "broken"), "broken.toml: is not valid TOML"),
        (("matrix", "run", "--resume"), "there is no run in runs/"),
        (("matrix", "run", "mine", "--pairs", "sideways"), "'sideways' is not one of"),
        (("matrix", "run", "mine", "-j", "0"), "0 is not in the range"),
        (("matrix", "run", "mine", "--accel", "warp"), "'warp' is not one of"),
        (("matrix", "run", "mine", "--no-such-option"), "--no-such-option"),
        (("no-such-command",), "No such command 'no-such-command'"),
        (("cell", "run", "v1.0"), "Missing argument 'CONSUMER'"),
        (("completion",), "Choose from: bash, zsh, fish"),
    ],
)
def test_wrong_use(inside: Khoci, home: Path, arguments: tuple[str, ...], message: str) -> None:
    check_wrong_use(inside, home, arguments, message)


def test_a_typo_in_the_policy_is_told_before_anything_runs(inside: Khoci, home: Path) -> None:
    (home / "matrix" / "policy.toml").write_text("nevr = []\n")
    done = inside("matrix", "run", "mine")
    assert done.returncode == 2
    assert "policy.toml: unknown key 'nevr' (did you mean 'never'?)" in done.stderr
    assert not (home / "runs").exists()


# the host


@pytest.mark.parametrize(
    "arguments",
    [("matrix", "run", "mine"), ("cell", "run", *CELL, "--matrix", "mine"), ("cost", "7.3")],
    ids=["matrix", "cell", "cost"],
)
def test_a_missing_qemu_is_one_line_and_leaves_nothing(
    khoci: Khoci, home: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("gcc", "as", "ld", "setpriv"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    before = files(home)
    done = khoci(*arguments, PATH=str(tools))
    assert done.returncode == 3
    assert done.stderr == (
        "khoci: qemu-system-x86_64 is not installed: run 'khoci doctor --install'\n"
    )
    assert files(home) == before


def test_a_kernel_that_is_not_there(inside: Khoci, home: Path) -> None:
    (home / "matrix" / "v1.0").unlink()
    done = inside("cell", "run", *CELL, "--matrix", "mine")
    assert done.returncode == 2
    assert done.stderr == "khoci: v1.0: matrix/v1.0 does not exist\n"


def test_an_image_that_does_not_boot_is_an_error_of_one_cell(khoci: Khoci, home: Path) -> None:
    done = khoci("matrix", "run", "mine", "-j", "1")
    assert done.returncode == 3
    assert "ERROR: v1.0 -> v1.0 kho-test" in done.stdout
    assert "root: QEMU did not start: qemu: " in done.stdout
    assert done.stderr.endswith("some cells could not be run: see ERROR above\n")
    assert "Traceback" not in done.stderr
    (run,) = (home / "runs").iterdir()
    assert (run / "v1.0..v1.0..kho-test.json").is_file()
    assert done.stdout.endswith(f"results: runs/{run.name}/\n")


def test_an_unwritable_folder_is_one_line(inside: Khoci, home: Path) -> None:
    (home / "runs").write_text("a file")
    done = inside("matrix", "run", "mine")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("khoci: runs")


@pytest.mark.parametrize(
    ("number", "shell"),
    [
        (signal.SIGINT, ()),
        (signal.SIGTERM, ()),
        (signal.SIGTERM, ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")),
        (signal.SIGKILL, ()),
    ],
)
def test_a_run_that_is_stopped_in_the_middle_of_a_cell(
    home: Path, number: signal.Signals, shell: tuple[str, ...]
) -> None:
    (home / "matrix" / "v1.0").write_bytes(tiny.image(tiny.SPIN))
    with subprocess.Popen(
        [*shell, sys.executable, "-m", "khoci", "matrix", "run", "mine"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        qemu = wait_for_qemu(process.pid)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert out == ""
    assert is_gone(qemu)
    (run,) = (home / "runs").iterdir()
    assert list(run.glob("*.json")) == []
    assert (run / "meta" / "run.json").is_file()
    if number != signal.SIGKILL:
        assert process.returncode == 130
        assert err.splitlines()[-1] == "khoci: interrupted"
        assert "Traceback" not in err
        assert not [path for path in run.rglob("*") if path.name.startswith(".")]


def wait_for_qemu(pid: int) -> Path:
    """The folder in /proc of the QEMU that process ``pid`` started."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if "qemu" in (Path("/proc") / child / "comm").read_text():
                    return Path("/proc") / child
        time.sleep(0.02)
    raise TimeoutError("khoci started no QEMU")


def is_gone(process: Path) -> bool:
    for _ in range(100):
        if not process.is_dir() or ") Z " in (process / "stat").read_text():
            return True
        time.sleep(0.05)
    return False


def test_a_reader_that_leaves_early_is_no_traceback(home: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "khoci", "matrix", "plan", "mine"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141


COLOUR = re.compile(r"\x1b\[(\d+;)*(3|9)\d")


@pytest.mark.parametrize(
    ("environment", "moves", "coloured"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_a_run_on_a_terminal(
    home: Path, environment: dict[str, str], moves: bool, coloured: bool
) -> None:
    command = [sys.executable, "-m", "khoci", "matrix", "run", "mine"]
    seen = on_terminal(command, environment)
    assert seen.status == 3
    assert "running 1 cells (tcg, -j " in seen.text
    assert ("\x1b[2K" in seen.text) is moves
    assert bool(COLOUR.search(seen.text)) is coloured
    assert ("\x1b" in seen.text) is (moves or coloured)
    assert seen.text.count("\x1b[?25l") == seen.text.count("\x1b[?25h") == moves
    assert "ERROR: v1.0 -> v1.0 kho-test" in click.unstyle(seen.text)
    assert max(map(len, click.unstyle(seen.text).splitlines())) <= 80


def test_an_error_that_cannot_be_told_keeps_its_exit_code(home: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "khoci", "matrix", "plan", "nine"], stderr=full, check=False
        )
    assert done.returncode == 2


# plan, runs, policy


def test_the_plan(home: Path) -> None:
    done = invoke("matrix", "plan", "mine")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "kernel v1.0: cached",
        "cell v1.0 -> v1.0 kho-test",
        "1 cells of 1 kernels",
    ]
    assert not (home / "runs").exists()


def test_the_plan_of_the_releases() -> None:
    done = invoke("matrix", "plan", str(data_dir("matrix") / "releases.toml"))
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "832 cells of 8 kernels"


def test_options_take_the_place_of_the_file(home: Path) -> None:
    done = invoke(
        "matrix", "plan", "mine", "--scenarios", "reserve-mem, kho-test", "--pairs", "all"
    )
    assert "2 cells of 1 kernels" in done.output
    done = invoke("matrix", "plan", "mine", "--pairs", "upgrade")
    assert "0 cells of 1 kernels" in done.output


@pytest.mark.parametrize(
    ("verdict", "policy", "code", "words"),
    [
        (Verdict.RESTORED, 'never = ["panic"]', 0, ""),
        (Verdict.PANIC, "never = []", 0, ""),
        (Verdict.PANIC, 'never = ["panic"]', 1, "policy: v1.0 -> v1.0 kho-test: panic must never"),
        (Verdict.PANIC, f'never = ["panic"]{KNOWN}', 0, ""),
        (Verdict.REFUSED, f'never = ["panic"]{KNOWN}', 1, "panic was known, it is refused now"),
    ],
)
def test_the_policy_decides_the_exit_code(
    home: Path, verdict: Verdict, policy: str, code: int, words: str
) -> None:
    (home / "matrix" / "policy.toml").write_text(policy)
    run = finished_run(home, verdict)
    done = invoke("matrix", "run", "--resume")
    assert done.exit_code == code
    assert words in done.stderr
    assert bool(words) == bool(done.stderr)
    assert f"results: runs/{run.id}/" in done.stdout


def test_a_finished_run_repeats_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished_run(home, Verdict.RESTORED)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    monkeypatch.setenv("PATH", "")
    for arguments in (("--resume",), ("--run", run.id), ("--resume", "--run", str(run.path))):
        done = invoke("matrix", "run", *arguments)
        assert done.exit_code == 0
        assert "1 restored" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_resume_runs_what_ended_in_an_error(inside: Khoci, home: Path) -> None:
    run = finished_run(home, Verdict.ERROR)
    done = inside("matrix", "run", "--resume")
    assert done.returncode == 3
    result = run.load(plan_of(home).cells[0].name)
    assert result is not None
    assert "QEMU did not start" in result.components["root"].evidence[0].text
    assert [path.name for path in (home / "runs").iterdir()] == [run.id]


def test_a_run_of_another_version(home: Path) -> None:
    data = replace(plan_of(home)).to_json()
    new_run(home / "runs", {**data, "chains": 3})
    done = invoke("matrix", "run", "--resume")
    assert "begun by another version of khoci" in str(done.exception)


def test_print_qemu_boots_nothing(home: Path) -> None:
    done = invoke("cell", "run", *CELL, "--matrix", "mine", "--print-qemu")
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    assert line.startswith("qemu-system-x86_64 ")
    assert "-kernel matrix/v1.0 " in line


def test_a_cell_keeps_its_evidence_where_asked_for(home: Path) -> None:
    done = invoke("cell", "run", *CELL, "--matrix", "mine", "--keep", "kept")
    assert done.exit_code == 3
    assert "run it again: khoci cell run v1.0 v1.0 kho-test --matrix mine" in done.stdout
    assert (home / "kept" / "qemu.log").is_file()


@pytest.mark.parametrize("words", [("--help",), ("matrix", "run", "-h"), ("--version",)])
def test_help(words: tuple[str, ...]) -> None:
    assert invoke(*words).exit_code == 0
