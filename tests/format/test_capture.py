from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import capture
from khoci.format.errors import DecodeError
from khoci.format.handover import decode
from khoci.format.memory import Pages, Recorder
from khoci.format.ranges import Range
from tests.format.guests import guest

if TYPE_CHECKING:
    from pathlib import Path

RAM = (Range(0, 0x9F000), Range(0x10_0000, 1 << 30))
PAGES = Pages(RAM, {0x1000: b"a" * 4096, 0x20_0000: b"b" * 4096})
MANIFEST = {"kernel": "v6.17.13", "fdt_addr": 4096, "expect": {"family": "A"}}


def saved(pages: Pages = PAGES, manifest: dict[str, Any] | None = None) -> bytes:
    file = BytesIO()
    capture.save(file, pages, MANIFEST if manifest is None else manifest)
    return file.getvalue()


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 0x9E), st.binary(min_size=1, max_size=30), max_size=6))
def test_round_trip(contents: dict[int, bytes]) -> None:
    pages = {number << 12: content.ljust(4096, b"\0") for number, content in contents.items()}
    loaded, manifest = capture.load(BytesIO(saved(Pages(RAM, pages))))
    assert (loaded.ram, loaded.pages, loaded.page_size) == (RAM, pages, 4096)
    assert manifest == MANIFEST


def test_paths_and_equal_bytes(tmp_path: Path) -> None:
    target = tmp_path / "a.khocap"
    capture.save(target, PAGES, MANIFEST)
    assert target.read_bytes() == saved()
    assert capture.load(target)[0].pages == PAGES.pages
    with pytest.raises(FileNotFoundError):
        capture.load(tmp_path / "none.khocap")


@pytest.mark.parametrize("family", ["A", "B", "radix"])
def test_a_captured_handover_is_small_and_decodes_as_before(family: str) -> None:
    made = guest(family)
    recorder = Recorder(made.memory)
    before = decode(recorder, made.fdt_addr)
    content = saved(recorder.recorded())
    assert len(content) < 30_000
    assert decode(capture.load(BytesIO(content))[0], made.fdt_addr) == before


def changed(**keys: object) -> bytes:
    """The capture with other values in its index."""
    with zipfile.ZipFile(BytesIO(saved())) as archive:
        index = json.loads(archive.read("capture.json"))
        content = archive.read("pages")
    return packed(json.dumps({**index, **keys}).encode(), content)


def packed(index: bytes, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("capture.json", index)
        archive.writestr("pages", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a zip file"),
        (b"PK\5\6" + bytes(18), "no item named"),
        (packed(b"{", b""), "cannot be read"),
        (packed(b"[]", b""), "is no khoci capture"),
        (packed(b"[" * 100_000, b""), "cannot be read"),
        (packed(b"\xff", b""), "cannot be read"),
        (packed(b"{}", b"", zipfile.ZIP_LZMA), "compressed in an unknown way"),
        (changed(format="other"), "is no khoci capture"),
        (changed(version=2), "has version 2, not 1"),
        (changed(page_size=4097), "page_size is 4097"),
        (changed(page_size=[]), "page_size is not made"),
        (changed(pages=[0x1000]), "another number of pages"),
        (changed(pages=[0x1000, 0x1000]), "not ascending"),
        (changed(pages=[0x1000, 0x20_0001]), "not aligned"),
        (changed(pages=[0x1000, 2**64]), "pages is not made of 64-bit numbers"),
        (changed(pages=[0x1000, "x"]), "pages is not made"),
        (changed(pages=None), "pages is not made"),
        (changed(pages=[0x1000, 1 << 40]), "outside RAM"),
        (changed(ram=[]), "ram is no list of pairs"),
        (changed(ram=[[0, 1, 2]]), "ram is no list of pairs"),
        (changed(ram=[[0, -1]]), "ram is not made"),
        (changed(ram={"0": 1}), "ram is no list"),
        (changed(manifest=7), "manifest is no object"),
    ],
)
def test_files_that_are_no_capture(content: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=f"^capture: .*{message}"):
        capture.load(BytesIO(content))


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MAX_PAGES", 4096)
    with pytest.raises(DecodeError, match="pages has more than 4096 bytes"):
        capture.load(BytesIO(saved()))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 2000))
def test_damaged_files_raise_nothing_else(at: int, junk: bytes, cut: int) -> None:
    content = saved()
    at %= len(content)
    damaged = (content[:at] + junk + content[at + len(junk) :])[: cut or None]
    try:
        pages, _ = capture.load(BytesIO(damaged))
    except DecodeError:
        return
    assert all(len(page) == pages.page_size for page in pages.pages.values())
