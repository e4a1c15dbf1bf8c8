"""Types that have several names, on x86_64. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from khoci.abi.lexer import Tokens

_BITS = (8, 16, 32, 64)
_SAME: Mapping[str, str] = {
    **{f"__{sign}{bits}": f"{sign}{bits}" for sign in "us" for bits in _BITS},
    **{f"uint{bits}_t": f"u{bits}" for bits in _BITS},
    **{f"int{bits}_t": f"s{bits}" for bits in _BITS},
    **dict.fromkeys(("phys_addr_t", "dma_addr_t", "resource_size_t"), "u64"),
    **dict.fromkeys(("size_t", "uintptr_t", "pgoff_t", "ulong"), "u64"),
    **dict.fromkeys(("ssize_t", "loff_t", "intptr_t", "ptrdiff_t"), "s64"),
    **dict.fromkeys(("gfp_t", "uint"), "u32"),
    "umode_t": "u16",
    "ushort": "u16",
    "_Bool": "bool",
}
_WORDS: Mapping[str, int] = {
    "unsigned": 32,
    "signed": 32,
    "int": 32,
    "long": 64,
    "short": 16,
    "char": 8,
}
"""Words that make a type together, and the bits of one that has no narrower or wider word."""
_MOST_WORDS = 5
_MOST_TYPEDEFS = 8
"""Typedefs of typedefs that are followed."""
_LONGEST = 40
"""Tokens of the longest type that has a name of its own."""

SIZES: Mapping[str, int] = {
    **{f"{sign}{bits}": bits // 8 for sign in "us" for bits in _BITS},
    "bool": 1,
}
"""Bytes of the types that `same_types` leaves."""


def same_types(code: Tokens, aliases: Mapping[str, Tokens] | None = None) -> Tokens:
    """The code with one name for each of the types that have several.

    Args:
        code: to go through.
        aliases: types by the names that typedefs give them.
    """
    return _integers(_plain(code, aliases) if aliases else code)


def resolved(typedefs: Mapping[str, Tokens]) -> dict[str, Tokens]:
    """Each type without the names that other typedefs give, as far as it stays short."""
    found = {name: body for name, body in typedefs.items() if name not in body}
    for _ in range(_MOST_TYPEDEFS):
        longer = {name: _plain(body, found) for name, body in found.items()}
        found |= {name: body for name, body in longer.items() if len(body) <= _LONGEST}
    return found


def _plain(code: Tokens, aliases: Mapping[str, Tokens]) -> Tokens:
    tags = {index + 1 for index, word in enumerate(code) if word in ("struct", "union", "enum")}
    return tuple(
        part
        for index, word in enumerate(code)
        for part in (aliases.get(word, (word,)) if index not in tags else (word,))
    )


def _integers(code: Tokens) -> Tokens:
    found: list[str] = []
    words: list[str] = []
    for word in code:
        if word in _WORDS and len(words) < _MOST_WORDS:
            words.append(word)
            continue
        if words:
            found.append(_integer(words))
        words = [word] if word in _WORDS else []
        if not words:
            found.append(_SAME.get(word, word))
    return (*found, _integer(words)) if words else tuple(found)


def _integer(words: list[str]) -> str:
    """The type that words make in any order; the kernel is built with an unsigned ``char``."""
    bits = next((_WORDS[word] for word in words if _WORDS[word] != 32), 32)
    unsigned = "unsigned" in words or (bits == 8 and "signed" not in words)
    return f"{'u' if unsigned else 's'}{bits}"
