"""khoci with boots that are not made: what a fake kernel says of itself is what comes of it.

The rest is real: commands, git, patches, builds of the fake tree, results on disk. The verdict that
the sources of a kernel name is the cell's; one that says ``dead`` does not boot at all. Each boot
is noted in ``boots``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from khoci import __main__
from khoci.bisect import trial
from khoci.results import CellResult, Evidence, Judgement
from khoci.verdicts import Verdict

if TYPE_CHECKING:
    from khoci.compat.bench import Bench
    from khoci.compat.plan import Cell

BOOTS = Path("boots")
WORDS = (*Verdict, "dead", "qemu", "interrupt", "pause")


async def boot(bench: Bench, cell: Cell, folder: Path) -> CellResult:
    """The result of a cell as the sources of both kernels say."""
    with BOOTS.open("a") as noted:
        noted.write(f"{cell.name}\n")
    says = {name: _says(bench, name) for name in cell.pair}
    both = {word for words in says.values() for word in words}
    if "interrupt" in both and not Path("go-on").exists():
        raise KeyboardInterrupt
    while "pause" in both and not Path("go-on").exists():
        Path("paused").touch()
        time.sleep(0.01)
    (folder / "consumer.log").write_text("a line\n")
    if "qemu" in both:
        return _result(bench, cell, Verdict.ERROR, "QEMU did not start: no")
    if "dead" in says[cell.producer]:
        return _result(bench, cell, Verdict.ERROR, f"{cell.producer}: did not get to the jump")
    if "dead" in says[cell.consumer]:
        return _result(bench, cell, Verdict.PANIC, "Kernel panic")
    verdict = next((Verdict(word) for word in Verdict if word in both), Verdict.RESTORED)
    return _result(bench, cell, verdict, f"it is {verdict}")


def _says(bench: Bench, name: str) -> set[str]:
    text = bench.kernels[name].image.read_text()
    return {word for word in WORDS if f"{word};" in text}


def _result(bench: Bench, cell: Cell, verdict: Verdict, text: str) -> CellResult:
    root = Judgement(Verdict.RESTORED, (Evidence("log", "found"),))
    own = Judgement(verdict, (Evidence("guest", text),))
    components = {"memfd": own} if verdict is Verdict.ERROR else {"root": root, "memfd": own}
    return CellResult(
        cell.producer,
        cell.consumer,
        cell.scenario,
        verdict,
        components,
        reproduce=f"khoci cell run {cell.producer} {cell.consumer} --matrix {bench.matrix}",
    )


def main() -> None:
    """As `khoci.__main__.main`."""
    vars(trial)["run_cell"] = boot
    __main__.main()


if __name__ == "__main__":
    main()
