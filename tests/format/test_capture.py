from __future__ import annotations

import json
import zipfile
from dataclasses import fields, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import capture
from khoci.format.capture import Capture, Kernel
from khoci.format.digests import Digest, Digests, digests
from khoci.format.errors import DecodeError
from khoci.format.handover import decode
from khoci.format.memory import Pages, Recorder
from khoci.format.ranges import Range
from tests.format.guests import guest, scratch_array

RAM = (Range(0, 0x9F000), Range(0x10_0000, 1 << 30))
PAGES = Pages(RAM, {0x1000: b"a" * 4096, 0x20_0000: b"b" * 4096})
CAPTURE = Capture(
    pages=PAGES,
    fdt_addr=0x1000,
    scratch=scratch_array(),
    producer=Kernel("next", "6.17.13", "ab" * 32),
    scenario="kho-test",
    source="qemu",
    khoci="0.2.0",
    created="2026-11-23T01:02:03+00:00",
    digests=Digests.of([Digest(0x1000, 0, b"d" * 16), Digest(0x20_0000, 9, b"e" * 16)]),
    extra={"expect": {"family": "A"}, "note": "kept"},
)


def saved(what: Capture = CAPTURE) -> bytes:
    file = BytesIO()
    capture.save(file, what)
    return file.getvalue()


def loaded(content: bytes) -> Capture:
    return capture.load(BytesIO(content))


def facts(what: Capture) -> dict[str, Any]:
    """All but the pages, which have no equality."""
    return {item.name: getattr(what, item.name) for item in fields(what) if item.name != "pages"}


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 0x9E), st.binary(min_size=1, max_size=30), max_size=6))
def test_round_trip_of_pages(contents: dict[int, bytes]) -> None:
    pages = {number << 12: content.ljust(4096, b"\0") for number, content in contents.items()}
    found = loaded(saved(replace(CAPTURE, pages=Pages(RAM, pages)))).pages
    assert (found.ram, found.pages, found.page_size) == (RAM, pages, 4096)


TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
EXTRA = st.dictionaries(st.text(max_size=9).map(lambda key: f"x-{key}"), JSON, max_size=3)


@settings(deadline=None)
@given(
    st.builds(
        Capture,
        pages=st.just(PAGES),
        fdt_addr=st.integers(0, 2**64 - 1),
        scratch=st.none() | st.binary(min_size=1, max_size=64),
        producer=st.builds(Kernel, TEXT, TEXT, TEXT),
        scenario=TEXT,
        source=TEXT,
        khoci=TEXT,
        created=TEXT,
        digests=st.sampled_from([Digests(), CAPTURE.digests]),
        extra=EXTRA,
    )
)
def test_round_trip_of_facts(made: Capture) -> None:
    assert facts(loaded(saved(made))) == facts(made)


@pytest.mark.parametrize("shift", [12, 14, 16])
def test_page_sizes(shift: int) -> None:
    pages = Pages(RAM, {1 << 20: b"p" * (1 << shift)}, 1 << shift)
    found = loaded(saved(Capture(pages, 0)))
    assert found.page_shift == shift
    assert found.pages.pages == pages.pages


def test_paths_and_equal_bytes(tmp_path: Path) -> None:
    target = tmp_path / "a.khocap"
    capture.save(target, CAPTURE)
    assert target.read_bytes() == saved() == saved(loaded(saved()))
    assert capture.load(target).pages.pages == PAGES.pages
    with pytest.raises(FileNotFoundError):
        capture.load(tmp_path / "none.khocap")


def test_extra_keys_never_stand_for_known_ones() -> None:
    made = loaded(saved(replace(CAPTURE, extra={"fdt_addr": 7, "version": 9, "mine": 1})))
    assert (made.fdt_addr, made.extra) == (0x1000, {"mine": 1})


def test_a_page_that_is_not_in_it_is_not_read_as_zeros() -> None:
    with pytest.raises(DecodeError, match="at 0x2000: the page is not in this copy"):
        loaded(saved()).pages.read(0x1FFF, 2)


@pytest.mark.parametrize("family", ["A", "B", "radix"])
def test_a_captured_handover_is_small_and_decodes_as_before(family: str) -> None:
    made = guest(family)
    recorder = Recorder(made.memory)
    before = decode(recorder, made.fdt_addr)
    blocks = [(block.phys, block.order) for block in made.blocks]
    kept = Capture(recorder.recorded(), made.fdt_addr, digests=digests(made.memory, blocks))
    content = saved(kept)
    assert len(content) < 30_000
    found = loaded(content)
    assert decode(found.pages, found.fdt_addr) == before
    assert [(item.phys, item.order) for item in found.digests] == sorted(blocks)


def test_compare_names_the_blocks_that_changed() -> None:
    made = guest("radix")
    blocks = [(block.phys, block.order) for block in made.folios]
    kept = Capture(PAGES, 0, digests=digests(made.memory, blocks))
    assert capture.compare(loaded(saved(kept)), made.memory) == []
    phys, order = blocks[4]
    made.image.write(phys + (4096 << order) - 1, b"!")
    assert capture.compare(loaded(saved(kept)), made.memory) == [(phys, order)]


def version_1(manifest: object = None, **keys: object) -> bytes:
    """A file as khoci 0.1.0 wrote it."""
    default = {"producer": "v6.17.13", "fdt_addr": 4096, "scratch": "", "expect": 1, "pages": 5}
    index = {
        "format": "khoci-capture",
        "version": 1,
        "page_size": 4096,
        "pages": [0x1000],
        "ram": [[0, 1 << 20]],
        "manifest": default if manifest is None else manifest,
        **keys,
    }
    return packed(json.dumps(index).encode(), b"a" * 4096)


def test_version_1_is_read() -> None:
    found = loaded(version_1())
    assert (found.producer, found.fdt_addr) == (Kernel("v6.17.13"), 4096)
    assert (found.scratch, found.scenario, found.created, len(found.digests)) == (None, "", "", 0)
    assert found.extra == {"expect": 1}
    assert found.pages.read(0x1000, 1) == b"a"


def changed(**keys: object) -> bytes:
    """The capture with other values in its index."""
    with zipfile.ZipFile(BytesIO(saved())) as archive:
        index = json.loads(archive.read("capture.json"))
        pages, records = archive.read("pages"), archive.read("digests")
    return packed(json.dumps({**index, **keys}).encode(), pages, records)


def packed(
    index: bytes, pages: bytes, records: bytes = b"", method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("capture.json", index)
        archive.writestr("pages", pages)
        archive.writestr("digests", records)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no whole capture"),
        (b"PK\5\6" + bytes(18), "no item named"),
        (packed(b"{", b""), "cannot be read"),
        (packed(b"[]", b""), "is no khoci capture"),
        (packed(b"[" * 100_000, b""), "cannot be read"),
        (packed(b"\xff", b""), "cannot be read"),
        (packed(b"{}", b"", method=zipfile.ZIP_LZMA), "compressed in an unknown way"),
        (changed(format="other"), "is no khoci capture"),
        (changed(version=3), "has version 3, this khoci reads 1 and 2"),
        (changed(version=[]), r"has version \[\]"),
        (changed(version=True), "has version True"),
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
        (changed(fdt_addr=None), "fdt_addr is not made"),
        (changed(fdt_addr="0x1000"), "fdt_addr is not made"),
        (changed(scratch="xyz"), "scratch is not written in hex"),
        (changed(scratch=[1]), "scratch is not written in hex"),
        (changed(release=6.17), "release is no text"),
        (packed(saved(), b""), "cannot be read"),
        (version_1(manifest=7), "manifest is no object"),
        (version_1(manifest={"fdt_addr": True}), "fdt_addr is not made"),
        (version_1(manifest={"fdt_addr": 1, "key": None}), "key is no text"),
    ],
)
def test_files_that_are_no_capture(content: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=f"^capture: .*{message}"):
        loaded(content)


def test_bad_digests() -> None:
    with zipfile.ZipFile(BytesIO(saved())) as archive:
        index, pages = archive.read("capture.json"), archive.read("pages")
    with pytest.raises(DecodeError, match=r"^capture/digests: 7 bytes are no records"):
        loaded(packed(index, pages, b"7 bytes"))


@pytest.mark.parametrize("limit", ["MAX_INDEX", "MAX_PAGES", "MAX_DIGESTS"])
def test_a_bomb_is_not_unpacked_and_not_made(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved()
    monkeypatch.setattr(capture, limit, 40)
    with pytest.raises(DecodeError, match=r"^capture: .* has more than 40 bytes"):
        loaded(content)
    with pytest.raises(DecodeError, match=r"^capture: .* has more than 40 bytes"):
        saved()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2000), st.binary(max_size=6), st.integers(0, 2000))
def test_damaged_files_raise_nothing_else(at: int, junk: bytes, cut: int) -> None:
    content = saved()
    at %= len(content)
    damaged = (content[:at] + junk + content[at + len(junk) :])[: cut or None]
    try:
        pages = loaded(damaged).pages
    except DecodeError:
        return
    assert all(len(page) == pages.page_size for page in pages.pages.values())


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(json.loads(zipfile.ZipFile(BytesIO(saved())).read("capture.json")))),
    JSON,
)
def test_any_value_of_any_key_is_read_or_refused(key: str, value: object) -> None:
    try:
        found = loaded(changed(**{key: value}))
    except DecodeError:
        return
    assert isinstance(found, Capture)
