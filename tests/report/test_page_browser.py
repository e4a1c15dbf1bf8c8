"""The page in a real browser, from a file as from a CI's artifacts."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from khoci.cli.serve import HOST, server_of
from khoci.report import page
from khoci.report.model import Block, CellEvidence, Excerpt, Gap, MemoryView, Phase, Report
from tests.report import example

SWITCHES = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
HOSTILE = "<script>document.title = 'taken'</script>"
EVIDENCE = CellEvidence(
    producer_log=Excerpt(("kexec_core: Starting new kernel",), 100, 100, ()),
    consumer_log=Excerpt(("Linux version", HOSTILE, "end"), 7, 9, (1,)),
    before="root at 0x1000: kho-v4",
    after="v7.3.4 reserves 1 block, 4.0 KiB",
    memory=(
        MemoryView(
            "a at the jump", ((0, 1 << 30),), ((1 << 24, 1 << 24),), (Block(4096, 4096, "root"),)
        ),
        MemoryView("b when it was up", ((0, 1 << 30),), (), (Block(4096, 4096, "root", "kept"),)),
    ),
    phases=(Phase("boot", 0.0, 1.5), Phase("jump", 1.5, 0.5)),
)


def report() -> Report:
    return replace(example.report(), evidence=lambda _: EVIDENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is not installed: khoci doctor --install --tests")
    with sync_playwright() as playwright:
        with_it = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield with_it
        with_it.close()


class Watched:
    """A page that is open, what it asked for, and what its console said."""

    def __init__(self, browser: Browser, file: Path, scheme: str = "light") -> None:
        self.context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.address = file.as_uri()
        self.page.goto(self.address)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Watched]:
    """The page; in the end it has asked for nothing and complained of nothing."""
    file = tmp_path / "page.html"
    file.write_text(page.render(report()), encoding="utf-8")
    found = Watched(browser, file)
    yield found
    assert [url for url in found.asked if url.partition("#")[0] != found.address] == []
    assert found.said == []
    found.context.close()


def cell(page_: Page, label: str):  # type: ignore[no-untyped-def]
    return page_.get_by_role("button", name=re.compile(f"^{re.escape(label)}"))


PANIC = "kho-words-v1 to v6.18.15, memfd: panic"
PANIC_FRAGMENT = "#cell=kho-words-v1..v6.18.15..memfd"


def test_a_click_shows_the_evidence(opened: Watched) -> None:
    cell(opened.page, PANIC).click()
    panel = opened.page.locator("#panel")
    expect(panel).to_be_visible()
    for words in (
        "Kernel panic - not syncing",
        "khoci cell run kho-words-v1 v6.18.15 memfd",
        "policy: panic must never happen",
        "root at 0x1000: kho-v4",
        "v7.3.4 reserves 1 block",
        "Log of the consumer, lines 7 to 9 of 9",
        "Log of the producer, lines 100 to 100 of 100",
    ):
        expect(panel).to_contain_text(words)
    assert opened.page.url.endswith(PANIC_FRAGMENT)


def test_a_log_line_stays_text(opened: Watched) -> None:
    cell(opened.page, PANIC).click()
    expect(opened.page.locator("#panel mark")).to_have_text(HOSTILE)
    assert opened.page.locator("#panel script").count() == 0
    assert opened.page.title() == "khoci 20261123-120000-00ff"


def test_a_long_log_is_shown_around_what_decided(browser: Browser, tmp_path: Path) -> None:
    lines = tuple(f"line {number}" for number in range(60))
    long = replace(EVIDENCE, consumer_log=Excerpt(lines, 1, 60, (50,)))
    file = tmp_path / "page.html"
    file.write_text(page.render(replace(report(), evidence=lambda _: long)), encoding="utf-8")
    found = Watched(browser, file)
    cell(found.page, PANIC).click()
    line = found.page.locator("#panel mark").bounding_box()
    log = found.page.locator("#panel pre", has_text="line 50").bounding_box()
    found.context.close()
    assert line
    assert log
    assert log["y"] < line["y"] < log["y"] + log["height"] / 2


def test_lines_that_are_left_out_of_a_log_are_counted(browser: Browser, tmp_path: Path) -> None:
    lines = ("BUG: far away", "Kernel panic")
    parts = replace(EVIDENCE, consumer_log=Excerpt(lines, 11, 200, (0, 1), Gap(1, 88)))
    file = tmp_path / "page.html"
    file.write_text(page.render(replace(report(), evidence=lambda _: parts)), encoding="utf-8")
    found = Watched(browser, file)
    cell(found.page, PANIC).click()
    expect(found.page.locator("#panel pre", has_text="Kernel panic")).to_have_text(
        "BUG: far away\n[88 lines are left out]\nKernel panic\n"
    )
    expect(found.page.locator("#panel")).to_contain_text("lines 11 to 100 of 200")
    found.context.close()


def test_pictures_are_shown(opened: Watched) -> None:
    cell(opened.page, PANIC).click()
    pictures = opened.page.locator("#panel svg[role=img]")
    expect(pictures).to_have_count(2)
    box = pictures.nth(1).bounding_box()
    assert box
    assert box["width"] > 200
    assert box["height"] > 40


def test_the_filter_is_in_the_address_and_comes_back_from_it(opened: Watched) -> None:
    opened.page.get_by_label("scenario").select_option("kho-test")
    opened.page.locator("input[value=panic]").check()
    opened.page.locator("input[value=corrupt]").check()
    expect(opened.page.locator("#shown")).to_have_text("2 of 14 cells")
    address = opened.page.url
    assert address.endswith("#scenario=kho-test&verdict=corrupt%2Cpanic")
    opened.page.goto("about:blank")
    opened.asked.clear()
    opened.page.goto(address)
    expect(opened.page.locator("#shown")).to_have_text("2 of 14 cells")
    assert opened.page.locator("figure.grid:visible").count() == 1
    opened.page.get_by_role("button", name="show all").click()
    expect(opened.page.locator("#shown")).to_have_text("14 of 14 cells")
    assert "#" not in opened.page.url


def test_a_component_can_be_looked_at_alone(opened: Watched) -> None:
    opened.page.get_by_label("component").select_option("root")
    label = "kho-words-v1 to v6.18.15, memfd: root restored"
    expect(cell(opened.page, label)).to_have_text("restored")


def test_a_permalink_opens_its_cell(opened: Watched) -> None:
    opened.page.goto("about:blank")
    opened.asked.clear()
    opened.page.goto(opened.address + PANIC_FRAGMENT)
    expect(opened.page.locator("#panel")).to_contain_text("Kernel panic")
    expect(cell(opened.page, PANIC)).to_have_attribute("aria-current", "true")


def test_a_change_leads_to_its_cell(opened: Watched) -> None:
    opened.page.get_by_role("link", name="v7.3.4 \N{RIGHTWARDS ARROW} kho-words-v1").first.click()
    expect(opened.page.locator("#panel h2")).to_contain_text("v7.3.4")


def test_all_can_be_done_by_keys(opened: Watched) -> None:
    keys = opened.page.keyboard
    keys.press("/")
    expect(opened.page.locator("#scenario")).to_be_focused()
    opened.page.locator("figure.grid button").first.focus()
    keys.press("ArrowDown")
    keys.press("ArrowRight")
    middle = opened.page.locator("figure.grid").first.locator("tbody tr:nth-child(2) button").nth(1)
    expect(middle).to_be_focused()
    keys.press("Enter")
    expect(opened.page.locator("#panel")).to_be_focused()
    keys.press("Escape")
    expect(opened.page.locator("#panel")).to_be_hidden()
    expect(middle).to_be_focused()
    for _ in range(2):
        keys.press("ArrowDown")
    last = opened.page.locator("figure.grid").nth(1).locator("button").first
    expect(last).to_be_focused()
    assert opened.page.locator("figure.grid button[tabindex='0']").count() == 1


def test_the_command_is_copied(opened: Watched) -> None:
    opened.context.grant_permissions(["clipboard-read", "clipboard-write"])
    cell(opened.page, PANIC).click()
    opened.page.get_by_role("button", name="copy").click()
    expect(opened.page.get_by_role("button", name=re.compile("copied|selected"))).to_be_visible()
    copied = opened.page.evaluate("navigator.clipboard.readText()")
    assert copied == "khoci cell run kho-words-v1 v6.18.15 memfd"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["", PANIC_FRAGMENT])
def test_axe_finds_nothing_serious(
    browser: Browser, tmp_path: Path, scheme: str, fragment: str
) -> None:
    file = tmp_path / "page.html"
    file.write_text(page.render(report()), encoding="utf-8")
    found = Watched(browser, file, scheme)
    found.page.goto(found.address + fragment)
    results = Axe().run(found.page)
    serious = [
        (each["id"], [node["html"][:200] for node in each["nodes"]][:3])
        for each in results.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    found.context.close()
    assert serious == []


def test_on_a_narrow_screen_nothing_is_out_of_reach(opened: Watched) -> None:
    opened.page.set_viewport_size({"width": 360, "height": 800})
    cell(opened.page, PANIC).click()
    proof = opened.page.locator("#panel .proof").first
    proof.scroll_into_view_if_needed()
    box = proof.bounding_box()
    assert box
    assert box["width"] > 200
    for place in ("document.documentElement", "document.querySelector('#panel')"):
        assert opened.page.evaluate(f"{place}.scrollWidth - {place}.clientWidth") == 0
    words = opened.page.locator("#panel svg text").first.bounding_box()
    assert words
    assert words["height"] > 8


def test_on_paper_nothing_is_in_the_way(opened: Watched) -> None:
    cell(opened.page, PANIC).click()
    opened.page.emulate_media(media="print")
    expect(opened.page.locator(".filters")).to_be_hidden()
    assert opened.page.evaluate("getComputedStyle(document.querySelector('#panel')).position") == (
        "static"
    )
    assert len(opened.page.pdf()) > 1000


def test_a_run_that_goes_on_is_followed(browser: Browser) -> None:
    states = [report()]

    def content() -> str:
        return page.render(states[-1], live=True)

    with server_of(content, lambda: str(len(states)), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            follow(browser, server.server_port, states)
        finally:
            server.shutdown()
            thread.join()


def follow(browser: Browser, port: int, states: list[Report]) -> None:
    opened = browser.new_context().new_page()
    opened.goto(f"http://{HOST}:{port}/{PANIC_FRAGMENT}")
    expect(opened.locator("#panel")).to_contain_text("Kernel panic")
    while not opened.evaluate("performance.getEntriesByName('khoci-asked').length"):
        opened.wait_for_timeout(100)
    states.append(replace(states[0], run="20261123-120000-0100"))
    expect(opened).to_have_title("khoci 20261123-120000-0100", timeout=30_000)
    expect(opened.locator("#panel")).to_contain_text("Kernel panic")
    opened.context.close()
