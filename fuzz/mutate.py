"""Mutations that know what they change: pages that point to each other, counts, trees, files."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from fuzz import members
from fuzz.guest import Guest
from fuzz.trees import change_tree
from khoci.format.fdt import MAGIC
from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Callable

    Native = Callable[[bytes, int], bytes]
    """libFuzzer's own mutation of some bytes, which knows what they were compared with."""
    Mutator = Callable[[bytes, random.Random, Native], bytes]

NUMBERS = (
    *(0, 1, 2, 3, 8, 10, 11, 12, 16, 19, 20, 31, 32, 47, 48, 51, 52, 53, 63, 64, 127, 128, 129),
    *(254, 255, 256, 511, 512, 513, 819, 820, 4095, 4096, 4097, 10000, 10001, 0x10000, 0x40000),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**52 - 1, 2**52, 2**53, 2**63, 2**64 - 4096, 2**64 - 1),
)
_TREE_CHANGES = 0.3


def guest(data: bytes, rng: random.Random, native: Native) -> bytes:
    """Change a few things of a guest's memory, arguments or RAM."""
    changed = Guest.parse(data)
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        change = rng.choices(_CHANGES, _WEIGHTS)[0]
        change(changed, rng, native)
    return changed.pack()


def plain(data: bytes, rng: random.Random, native: Native) -> bytes:
    """Change a file: a word, a number of bytes, or whatever libFuzzer thinks of."""
    if data.startswith(MAGIC) and rng.random() < _TREE_CHANGES:
        return change_tree(data, rng) or data
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if content and rng.random() < 0.6:
            _put(content, rng, rng.choice(NUMBERS))
        else:
            content = bytearray(native(bytes(content), len(content) + 64))
    return bytes(content[: rng.randrange(len(content) + 1)] if rng.random() < 0.05 else content)


def pieces(data: bytes, rng: random.Random, native: Native) -> bytes:
    """Change one of several members; one that is JSON is changed as a value."""
    changed = members.parse(data)
    if not changed or rng.random() < 0.05:
        changed[rng.randrange(members.MAX_MEMBERS)] = native(b"", 64)
    number = rng.choice(list(changed))
    if rng.random() < 0.05:
        del changed[number]
    else:
        as_json = changed[number].startswith(b"{") and rng.random() < 0.7
        changed[number] = (_json if as_json else plain)(changed[number], rng, native)
    return members.pack(changed)


def _word(changed: Guest, rng: random.Random, _native: Native) -> None:
    page = _page(changed, rng)
    _put(page, rng, _value(changed, rng))


def _pointer(changed: Guest, rng: random.Random, native: Native) -> None:
    """Turn a word that points to a page to another page: cycles and shared pages."""
    page = _page(changed, rng)
    targets = {address.to_bytes(8, "little") for address in changed.pages}
    end = len(page.rstrip(b"\0")) + 8
    found = [start for start in range(0, end, 4) if bytes(page[start : start + 8]) in targets]
    if found:
        start = rng.choice(found)
        page[start : start + 8] = _address(changed, rng).to_bytes(8, "little")
    else:
        _word(changed, rng, native)


def _bytes(changed: Guest, rng: random.Random, native: Native) -> None:
    page = _page(changed, rng)
    used = page.rstrip(b"\0")
    content = native(bytes(used), len(page))[: len(page)]
    page[:] = content.ljust(len(page), b"\0")


def _tree(changed: Guest, rng: random.Random, native: Native) -> None:
    found = [page for page in changed.pages.values() if page.startswith(MAGIC)]
    page = rng.choice(found) if found else None
    tree = change_tree(bytes(page), rng) if page else None
    if page is None or tree is None or len(tree) > len(page):
        _pointer(changed, rng, native)
    else:
        page[:] = tree.ljust(len(page), b"\0")


def _copy(changed: Guest, rng: random.Random, _native: Native) -> None:
    source = rng.choice(list(changed.pages)) if changed.pages else 0
    size = 1 << changed.page_shift
    target = rng.choice((_address(changed, rng), source + size)) & -size & (2**64 - 1)
    changed.pages[target] = bytearray(_page(changed, rng))


def _fill(changed: Guest, rng: random.Random, _native: Native) -> None:
    page = _page(changed, rng)
    start = rng.choice((0, 8, 16, rng.randrange(len(page))))
    size = rng.choice((8, 512, len(page))) if start < len(page) else 0
    fill = rng.choice((b"\0", b"\xff", b"\x01"))
    page[start : start + size] = fill * len(page[start : start + size])


def _argument(changed: Guest, rng: random.Random, _native: Native) -> None:
    index = rng.randrange(len(changed.args) + 1)
    changed.args[index : index + 1] = [_value(changed, rng)]


def _ram(changed: Guest, rng: random.Random, _native: Native) -> None:
    """RAM that ends, begins, has a hole, or lies at the very end of 64 bits."""
    page = _address(changed, rng) & ~0xFFFF
    changed.ram = rng.choice(
        (
            [Range(0, page)],
            [Range(page, 1 << 28)],
            [Range(0, page), Range(page + 0x10000, 1 << 28)],
            [*changed.ram, Range(2**64 - 0x100000, 0x100000)],
            [Range(0, 1 << 28), Range(1 << 32, 1 << 28)],
        )
    )


def _shift(changed: Guest, rng: random.Random, _native: Native) -> None:
    """The same content in pages of another size."""
    whole = Guest(changed.ram, {}, changed.args, rng.choice((12, 14, 16)))
    size = 1 << whole.page_shift
    for address, page in changed.pages.items():
        for start in range(0, len(page), size):
            target = (address + start) & -size
            merged = whole.pages.setdefault(target, bytearray(size))
            offset = (address + start) % size
            piece = page[start : start + size]
            merged[offset : offset + len(piece)] = piece
    changed.pages, changed.page_shift = whole.pages, whole.page_shift


_CHANGES: tuple[Callable[[Guest, random.Random, Native], None], ...] = (
    *(_word, _pointer, _bytes, _tree, _copy, _fill, _argument, _ram, _shift),
)
_WEIGHTS = (30, 20, 20, 15, 5, 5, 4, 2, 1)


def _page(changed: Guest, rng: random.Random) -> bytearray:
    if not changed.pages:
        changed.pages[changed.arg(0) & -1 << changed.page_shift & (2**64 - 1)] = bytearray(
            1 << changed.page_shift
        )
    return changed.pages[rng.choice(list(changed.pages))]


def _put(content: bytearray, rng: random.Random, value: int) -> None:
    """Write a number of 1 to 8 bytes into the used part, at an offset that fits it."""
    size = rng.choice((1, 2, 4, 4, 8, 8, 8, 8))
    used = min(len(content), len(content.rstrip(b"\0")) + 16)
    start = rng.randrange(used) // min(size, 4) * min(size, 4)
    order = "big" if content.startswith(MAGIC) and rng.random() < 0.5 else "little"
    old = int.from_bytes(content[start : start + size], "little")
    value = rng.choice((value, value, value, old + 1, old - 1, old ^ 1 << rng.randrange(size * 8)))
    piece = (value % (1 << size * 8)).to_bytes(size, "big" if order == "big" else "little")
    content[start : start + size] = piece[: len(content) - start]


def _value(changed: Guest, rng: random.Random) -> int:
    kind = rng.randrange(4)
    if kind == 0:
        return _address(changed, rng)
    if kind == 1:
        return rng.randrange(0x40000) << 12 | rng.choice((0, rng.randrange(20)))
    return rng.choice(NUMBERS) if kind == 2 else rng.getrandbits(rng.choice((8, 16, 32, 64)))


def _address(changed: Guest, rng: random.Random) -> int:
    """Of a page, or of something in or near it."""
    address = rng.choice(list(changed.pages)) if changed.pages else 0
    offset = rng.choice((0, 0, 0, 0, 8, 512, 1 << changed.page_shift, -512, rng.randrange(16)))
    return (address + offset) % (1 << 64)


def _json(content: bytes, rng: random.Random, native: Native) -> bytes:
    """Put another value at some place of a JSON document."""
    try:
        value = json.loads(content)
    except ValueError:
        return plain(content, rng, native)
    return json.dumps(_other(value, rng)).encode()


def _other(value: Any, rng: random.Random) -> Any:  # noqa: ANN401
    """The value with one of its leaves, or itself, replaced."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = rng.choice(keys)
        if rng.random() < 0.1:
            del value[key]
        else:
            value[key] = _other(value[key], rng)
        return value
    return rng.choice((None, True, -1, 0.5, "", "0x", "\u202e", [], {}, [[]], 2**70, *NUMBERS))
