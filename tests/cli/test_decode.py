"""``khoci decode`` and ``khoci diff-decode`` as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.decode.plain import SCHEMA
from khoci.format import capture
from khoci.format.handover import decode
from khoci.format.memory import Pages

CAPTURES = Path(__file__).parents[1] / "format" / "captures"
NEW = CAPTURES / "v6.18.15-reserve-mem.khocap"
LUO = CAPTURES / "v7.3.4-luo.khocap"


def khoci(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "khoci", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "80"},
    )


def test_a_capture_as_text() -> None:
    done = khoci("decode", NEW)
    assert (done.returncode, done.stderr) == (0, "")
    assert "memory map at 0x2be000: layout B, 6 blocks" in done.stdout
    assert done.stdout.endswith("no problems\n")


def test_json_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    done = khoci("decode", LUO, "--format", "json", "--component", "luo", "-o", target)
    assert (done.returncode, done.stdout) == (0, "")
    document = json.loads(target.read_text())
    assert [item["name"] for item in document["components"]] == ["luo"]
    assert document["components"][0]["facts"]["sessions"] == 67


def test_output_goes_where_a_link_points_and_into_a_pipe_as_it_is(tmp_path: Path) -> None:
    target, link, pipe = tmp_path / "out", tmp_path / "link", tmp_path / "pipe"
    link.symlink_to(target)
    assert khoci("decode", NEW, "-o", link).returncode == 0
    assert link.is_symlink()
    assert "layout B" in target.read_text()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert khoci("decode", NEW, "-o", pipe).returncode == 0
        assert os.read(reader, 1 << 16).decode() == target.read_text()
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert khoci("decode", NEW, "-o", "/dev/stdout").stdout == target.read_text()


def test_output_that_cannot_be(tmp_path: Path) -> None:
    capture = tmp_path / "kept.khocap"
    capture.write_bytes(NEW.read_bytes())
    for target, message in (
        (capture, f"khoci: {capture}: is what was read; name another file\n"),
        (tmp_path / "no/x", f"khoci: {tmp_path}/no/x: there is no folder {tmp_path}/no\n"),
        (Path("/dev/full"), "khoci: /dev/full: cannot be written: No space left on device\n"),
    ):
        done = khoci("decode", capture, "-o", target)
        assert (done.returncode, done.stderr) == (2, message)
    assert capture.read_bytes() == NEW.read_bytes()
    assert not Path("/dev/full").is_file()


def test_a_capture_that_is_cut_off(tmp_path: Path) -> None:
    cut = tmp_path / "cut.khocap"
    cut.write_bytes(NEW.read_bytes()[:-100])
    done = khoci("decode", cut)
    assert done.returncode == 2
    assert "cut off, or changed; copy it again" in done.stderr


def test_the_schema_is_published() -> None:
    done = khoci("decode", "--schema")
    assert json.loads(done.stdout)["properties"]["schema"] == {"const": SCHEMA}


def test_checks_that_hold_and_checks_that_fail(tmp_path: Path) -> None:
    good = khoci("decode", "--check", LUO)
    assert good.returncode == 0
    assert good.stdout.count("ok: ") == 7
    bad = khoci("decode", "--check", without_a_page(LUO, tmp_path / "cut.khocap"))
    assert bad.returncode == 1
    assert "FAILED: everything is decoded" in bad.stdout


def without_a_page(path: Path, target: Path) -> Path:
    """A copy of a capture without the first page that was kept of LUO."""
    kept = capture.load(path)
    pages = {**kept.pages.pages}
    (luo,) = (
        item
        for item in decode(kept.pages, kept.fdt_addr, scratch=kept.scratch).components
        if item.name == "luo"
    )
    assert luo.address
    del pages[luo.address]
    capture.save(target, replace(kept, pages=Pages(kept.pages.ram, pages, partial=True)))
    return target


def test_as_another_consumer() -> None:
    done = khoci("decode", "--as", "6.17", NEW)
    assert done.returncode == 0
    assert "lost: 64.0 KiB of reserve_mem[khoci-small]" in done.stdout
    assert "refuses the handover" in khoci("decode", "--as", "7.3", NEW).stdout
    plain = json.loads(khoci("decode", "--as", "6.17", "--format", "json", NEW).stdout)
    assert plain["lost"][0]["owner"] == "reserve_mem[khoci-small]"


def test_the_difference_of_two_readings() -> None:
    done = khoci("diff-decode", NEW, "6.18", "6.17")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "from v6.18.15 to v6.17.13"
    same = khoci("diff-decode", NEW, "6.18", "7.0")
    assert (same.returncode, same.stdout) == (
        0,
        "v6.18.15 and v7.0.13 reserve the same memory\n",
    )
    plain = json.loads(khoci("diff-decode", NEW, "6.18", "6.17", "--format", "json").stdout)
    assert [item["size"] for item in plain["lost"]] == [65536]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "name a FILE, or say --live"),
        ((NEW, "--live"), 2, "name a FILE, or say --live"),
        ((NEW, "--component", "reserv_mem"), 2, "no component is called 'reserv_mem'"),
        ((NEW, "--as", "5.10"), 2, "nothing says what '5.10' accepts"),
        ((NEW, "--root", "0x1000"), 2, "0x1000"),
        ((NEW, "--root", "here"), 2, "no address"),
        ((NEW, "--scratch", "xy"), 2, "hex digits"),
        (("nowhere.khocap",), 2, "nowhere.khocap"),
        (("/proc/self/exe",), 2, "is no"),
        ((NEW, "--as", "6.17", "--format", "dot"), 2, "text or json"),
    ],
)
def test_wrong_use_is_one_line(arguments: tuple[str | Path, ...], status: int, words: str) -> None:
    done = khoci("decode", *arguments)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert done.stdout == ""
