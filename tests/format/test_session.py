from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import session
from khoci.format.errors import DecodeError, Place
from khoci.format.ranges import Range
from khoci.format.session import File, Session
from khoci.format.versions import Version
from tests.format.encoders import GIB, Image, u64
from tests.format.payloads import FILE, SESSION

PLACE = Place("root/LUO/luo-session")
U64 = st.integers(0, 2**64 - 1)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", max_size=63)
SESSIONS = st.builds(Session, NAMES, U64, U64)
FILES = st.builds(
    File, st.builds(Version, NAMES.filter(bool).map(lambda n: n[:40]), st.integers(0, 99)), U64, U64
)


def packed(item: Session) -> bytes:
    return SESSION.pack(item.name.encode(), item.files, item.count)


@given(SESSIONS, FILES)
def test_round_trip_of_an_entry(item: Session, file: File) -> None:
    assert session.parse_session(packed(item)) == item
    raw = FILE.pack(str(file.handler).encode(), file.data, file.token)
    assert session.parse_file(raw) == file


def test_sizes_are_the_kernels() -> None:
    assert (SESSION.size, FILE.size) == (session.SESSION_SIZE, session.FILE_SIZE) == (80, 64)


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"x" * 63, "x" * 63), (b"x" * 64, "x" * 64), ("größe".encode(), r"gr\xc3\xb6\xc3\x9fe")],
)
def test_names(name: bytes, shown: str) -> None:
    assert session.parse_session(SESSION.pack(name, 0, 0)).name == shown


@settings(max_examples=30, deadline=None)
@given(st.lists(SESSIONS, max_size=60))
def test_round_trip_of_the_array(items: list[Session]) -> None:
    image = Image()
    content = u64(len(items)) + b"".join(map(packed, items))
    header = image.put(content.ljust(0x10000, b"\xa5"), 0x10000)
    found, folio = session.session_array(image.memory(), header, PLACE)
    assert (found, folio) == (tuple(items), Range(header, 0x10000))


@settings(max_examples=30, deadline=None)
@given(st.lists(FILES, max_size=128))
def test_round_trip_of_a_file_array(items: list[File]) -> None:
    image = Image()
    entries = (FILE.pack(str(item.handler).encode(), item.data, item.token) for item in items)
    address = image.put(b"".join(entries).ljust(0x2000, b"\xa5"), 0x2000)
    owner = Session("vm", address, len(items))
    found, folio = session.file_array(image.memory(), owner, PLACE)
    assert (found, folio) == (tuple(items), Range(address, 0x2000))


@pytest.mark.parametrize(("count", "fits"), [(819, True), (820, False), (2**64 - 1, False)])
def test_the_most_sessions_of_6_19_to_7_1(count: int, fits: bool) -> None:
    image = Image()
    header = image.put(u64(count), 0x10000)
    if fits:
        assert len(session.session_array(image.memory(), header, PLACE)[0]) == count
        return
    with pytest.raises(DecodeError, match=f"{count} sessions, there is room for 819"):
        session.session_array(image.memory(), header, PLACE)


@pytest.mark.parametrize("count", [129, 2**64 - 1])
def test_more_files_than_6_19_to_7_1_can_have(count: int) -> None:
    with pytest.raises(DecodeError, match=f"{count} files, there is room for 128"):
        session.file_array(Image().memory(), Session("vm", 0x20_0000, count), PLACE)


def test_larger_pages_have_room_for_more() -> None:
    image = Image()
    header = image.put(u64(820), 16 << 16)
    assert len(session.session_array(image.memory(), header, PLACE, 16)[0]) == 820


@pytest.mark.parametrize(
    ("address", "message"),
    [(0x10_1000, "16 pages is not aligned"), (GIB, "not all in RAM"), (2**64 - 0x10000, "RAM")],
)
def test_an_array_that_is_nowhere(address: int, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        session.session_array(Image().memory(), address, PLACE)
