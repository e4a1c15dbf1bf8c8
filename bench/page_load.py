"""How long a browser takes for the page of a large run, against that of a usual one.

Both are loaded from a file in headless Chromium, by turns; a page is ready when its script has run
and every cell of the grid is there. The median of several loads is taken.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import click
from playwright.sync_api import Browser, sync_playwright

from khoci.report import page
from khoci.report.model import CellEvidence, Excerpt, KernelInRun, Report
from khoci.results import CellResult, Evidence, Expected, Judgement
from khoci.verdicts import Verdict

USUAL, LARGE = 8, 50
"""Kernels: 64 cells and 2,500."""
_COMPONENTS = ("root", "memory map", "scratch", "kexec-metadata", "luo", "kho_test")
_SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
_READY = "performance.getEntriesByName('khoci-ready')[0]?.startTime"


def report_of(kernels: int) -> Report:
    """Each kernel with each, in one scenario, with logs and trees as of real cells."""
    names = [f"v7.{number}.1" for number in range(kernels)]
    verdicts = [each for each in Verdict if each is not Verdict.ERROR]
    cells = tuple(
        _cell(one, other, verdicts[(x * 7 + y * 3) % len(verdicts)])
        for x, one in enumerate(names)
        for y, other in enumerate(names)
    )
    return Report(
        run="bench",
        matrix="bench",
        kernels=tuple(KernelInRun(name) for name in names),
        scenarios=("kho-test",),
        results=cells,
        evidence=_evidence,
    )


def _cell(producer: str, consumer: str, verdict: Verdict) -> CellResult:
    line = "[    0.123456] KHO: found kexec handover data of another kernel, as it should be"
    proof = (Evidence("log", line), Evidence("digest", f"content equal, {'0' * 12}"))
    return CellResult(
        producer,
        consumer,
        "kho-test",
        verdict,
        {name: Judgement(verdict, proof) for name in _COMPONENTS},
        reproduce=f"khoci cell run {producer} {consumer} kho-test",
        prediction={name: Expected(verdict, "the formats are equal") for name in _COMPONENTS},
    )


def _evidence(result: CellResult) -> CellEvidence:
    name = f"{result.producer} {result.consumer}"
    lines = tuple(f"[    {at}.000000] {name}: a line of a kernel's log" for at in range(60))
    tree = "\n".join(f"{result.producer} block {at}" for at in range(60))
    return CellEvidence(Excerpt(lines, 1, 600, (12,)), Excerpt(lines, 1, 600, (12,)), tree, tree)


def load(browser: Browser, file: Path) -> float:
    """Seconds until the page is ready, in a browser that has not seen it."""
    context = browser.new_context()
    opened = context.new_page()
    opened.goto(file.as_uri())
    seconds = float(opened.evaluate(_READY)) / 1000
    context.close()
    return seconds


def main() -> None:
    """Load both by turns and print seconds, sizes and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: khoci doctor --install --tests")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        files = {count: Path(folder) / f"{count}.html" for count in (USUAL, LARGE)}
        for count, file in files.items():
            file.write_text(page.render(report_of(count)), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=chromium, args=_SWITCHES)
        load(browser, files[USUAL])
        taken = {count: [load(browser, files[count])] for count in files}
        for _ in range(rounds - 1):
            for count, file in files.items():
                taken[count].append(load(browser, file))
        browser.close()
        for count, file in files.items():
            size = file.stat().st_size / (1 << 20)
            median = statistics.median(taken[count])
            click.echo(f"{count * count} cells, {size:.1f} MiB: ready after {median:.2f} s")
        ratio = statistics.median(taken[LARGE]) / statistics.median(taken[USUAL])
        click.echo(
            f"{LARGE * LARGE // USUAL // USUAL} times the cells take {ratio:.1f} times as long"
        )


if __name__ == "__main__":
    main()
