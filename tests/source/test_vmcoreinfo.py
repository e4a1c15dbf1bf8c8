from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.source.vmcoreinfo import VmcoreInfo, find, parse
from tests.source.dumps import INFO, note, vmcoreinfo


def test_what_a_kernel_says() -> None:
    info = parse(INFO.encode())
    assert (info.release, info.page_size, info.kernel_offset) == ("6.17.13", 4096, 0x1A00_0000)
    assert info.symbol("init_uts_ns") == 0xFFFF_FFFF_82E1_3140
    assert info.symbol("other") is None
    assert info.values["NUMBER(phys_base)"] == "-3"


def test_what_is_missing_or_senseless_is_none() -> None:
    info = VmcoreInfo()
    assert (info.release, info.page_size, info.kernel_offset) == (None, None, None)
    info = parse(b"PAGESIZE=5000\nKERNELOFFSET=zz\nno line\nSYMBOL(x)=" + b"9" * 9000)
    assert (info.page_size, info.kernel_offset) == (None, None)
    assert isinstance(info.symbol("x"), int)


def test_it_is_found_behind_other_notes() -> None:
    found = find(vmcoreinfo())
    assert found is not None
    assert found.values == parse(INFO.encode()).values


@pytest.mark.parametrize("name", [b"CORE", b"VMCOREINFO_XEN", b"vmcoreinfo"])
def test_other_notes_are_not_it(name: bytes) -> None:
    assert find(note(name, b"OSRELEASE=1\n")) is None


def test_a_note_that_is_cut_off_is_none() -> None:
    assert find(vmcoreinfo()[:-5]) is None
    assert find(b"\xff" * 12 + vmcoreinfo()) is None


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_notes(junk: bytes, cut: int) -> None:
    for raw in (junk, vmcoreinfo()[:cut] + junk):
        info = find(raw)
        assert info is None or isinstance(info.values, dict)
    parsed = parse(junk)
    assert all(isinstance(value, str) for value in parsed.values.values())
