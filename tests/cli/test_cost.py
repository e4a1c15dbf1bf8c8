"""What `khoci cost` says and leaves behind; with boots that only say that they were."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from khoci.cli import cost
from khoci.cli.cost import cost_command
from khoci.cost import measuring
from khoci.cost.boot import Setup
from khoci.costs import Measured, Point, points_up_to
from khoci.errors import HarnessError, UsageError
from tests.cost.made import measured, setup_in

POINTS = points_up_to(1000)


@dataclass
class Host:
    """Stands for kernels and QEMU, where a guest may hang."""

    setup: Setup
    each: int = 168
    prepared: int = 0
    broken: list[Point] = field(default_factory=list)

    def prepare(self, *_: object) -> list[Setup]:
        self.prepared += 1
        return [self.setup]

    async def measure(self, _setup: Setup, point: Point, _folder: Path) -> Measured:
        if point in self.broken:
            raise HarnessError("the guest hangs")
        return measured(point, self.each)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(setup_in(tmp_path, POINTS))
    monkeypatch.setenv("KHOCI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cost, "prepare", found.prepare)
    monkeypatch.setattr(measuring, "measure", found.measure)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cost_command, ["7.3", "--most", "1000", *arguments])


@pytest.mark.usefixtures("host")
def test_a_folder_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cost"
    done = run("-o", str(folder))
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Instructions of a handover without blocks\n")
    stored = json.loads((folder / "cost.json").read_text())
    assert [each["kernel"] for each in stored["kernels"]] == ["v7.3.4"]
    assert len(stored["kernels"][0]["measured"]) == len(POINTS)
    assert {"cost.md", "cost.html", "early-boot.svg"} < {path.name for path in folder.iterdir()}


def test_a_folder_that_cannot_be_is_told_before_anything_is_built(
    host: Host, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = run("-o", str(tmp_path / "file" / "cost"))
    assert isinstance(done.exception, OSError)
    assert host.prepared == 0


@pytest.mark.usefixtures("host")
def test_a_ready_image_leaves_no_folder(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        cost_command, ["debian-7.3-cloud", "-o", str(tmp_path / "cost")], standalone_mode=False
    )
    assert isinstance(done.exception, UsageError)
    assert not (tmp_path / "cost").exists()


@pytest.mark.usefixtures("host")
def test_it_is_data_and_markdown_too() -> None:
    assert run("--markdown").stdout.startswith("**Instructions of a handover")
    assert json.loads(run("--json").stdout)["schema"] == 1


def test_one_that_cannot_be_measured_is_an_error_of_the_harness(host: Host) -> None:
    host.broken.append(Point(100))
    done = run()
    assert done.exit_code == 3
    assert "v7.3.4: 100 blocks, 4K: could not be measured: the guest hangs\n" in done.stdout
    host.broken.clear()
    assert run().exit_code == 0


def test_how_far_it_is_from_what_was_measured(host: Host) -> None:
    told = "v7.3.4: "
    assert f"{told}nothing was measured before" in run("--fresh").stderr
    assert f"{told}at most 0.00% from what was measured before" in run("--fresh").stderr
    host.each = 210
    assert f"{told}at most 20.00% from" in run("--fresh").stderr
    host.broken.extend(POINTS)
    assert f"{told}could not be measured again" in run("--fresh").stderr
