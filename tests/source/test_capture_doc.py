"""docs/capture-format.md has a reader in it: it reads what khoci writes."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

from khoci.format import capture
from khoci.format.capture import Capture, Kernel
from khoci.format.digests import RECORD, digests
from khoci.format.memory import Pages
from khoci.format.ranges import Range

DOC = Path(__file__).parents[2] / "docs" / "capture-format.md"
CAPTURES = sorted((Path(__file__).parents[1] / "format" / "captures").glob("*.khocap"))
PAGES = Pages((Range(0, 1 << 30),), {0x1000: b"a" * 4096, 0x5000: b"b" * 4096})


def reader() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    return str(code)


def run(path: Path) -> list[str]:
    command = [sys.executable, "-I", "-c", reader(), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_it_is_short_and_needs_nothing() -> None:
    lines = [line for line in reader().splitlines() if line.strip()]
    assert len(lines) <= 15
    imported = re.findall(r"^(?:import|from) (.*?)(?: import.*)?$", reader(), re.MULTILINE)
    modules = {name.strip() for line in imported for name in line.split(",")}
    assert modules
    assert modules <= sys.stdlib_module_names


def test_it_reads_what_khoci_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.khocap"
    found = digests(PAGES, [(0x1000, 0), (0x4000, 2)])
    capture.save(path, Capture(PAGES, 0x1000, producer=Kernel("n", "7.3.4", "k"), digests=found))
    assert run(path) == [
        "7.3.4 root FDT at 0x1000",
        f"page 0x1000 {hashlib.sha256(b'a' * 4096).hexdigest()}",
        f"page 0x5000 {hashlib.sha256(b'b' * 4096).hexdigest()}",
        *(f"block {item.phys:#x} order {item.order} {item.value.hex()}" for item in found),
    ]


def test_it_reads_all_captures_old_and_new() -> None:
    for path in CAPTURES:
        loaded = capture.load(path)
        first, *rest = run(path)
        assert first == f"{loaded.producer.release} root FDT at {loaded.fdt_addr:#x}"
        assert len(rest) == len(loaded.pages.pages) + len(loaded.digests)


def test_it_names_every_key_and_member() -> None:
    text = DOC.read_text()
    index = capture._index(Capture(PAGES, 0))
    assert [key for key in index if f"`{key}`" not in text] == []
    assert all(f"`{name}`" in text for name in ("capture.json", "pages", "digests"))
    assert RECORD.format == "<QB16s"
