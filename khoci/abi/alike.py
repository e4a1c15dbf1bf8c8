"""Whether two layouts lie alike in memory, and what is the same under another name. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from khoci.abi.model import Field, KernelAbi, Layout, Part


def renamed_parts(old: KernelAbi, new: KernelAbi) -> dict[str, str]:
    """New names by old ones, of what one kernel has and the other has under another name."""
    pairs: dict[str, str] = {}
    for kind in ("structs", "constants"):
        was: Mapping[str, Part] = getattr(old, kind)
        now: Mapping[str, Part] = getattr(new, kind)
        gone = [was[name] for name in sorted(was.keys() - now.keys())]
        come = [now[name] for name in sorted(now.keys() - was.keys())]
        for part in gone:
            other = next((each for each in come if _is_equal(part, each, pairs)), None)
            if other:
                pairs[part.name] = other.name
                come.remove(other)
        numbers = [part for part in gone if part.name not in pairs]
        for part in numbers:
            other = next((each for each in come if _both_numbers(part, each)), None)
            if other and _all_equal(old, new):
                pairs[part.name] = other.name
                come.remove(other)
    return pairs


def _is_equal(old: Part, new: Part, pairs: Mapping[str, str]) -> bool:
    if old.component != new.component:
        return False
    one, other = old.value, new.value
    if isinstance(one, Layout) and isinstance(other, Layout):
        own = {**pairs, old.name: new.name}
        return all(
            isinstance(a := old.at(at), Layout)
            and isinstance(b := new.at(at), Layout)
            and same_layout(a, b, own)
            for at in {*old.values, *new.values}
        )
    return old.values == new.values


def _both_numbers(old: Part, new: Part) -> bool:
    same = old.component == new.component and old.file == new.file
    return same and isinstance(old.value, int) and isinstance(new.value, int)


def _all_equal(old: KernelAbi, new: KernelAbi) -> bool:
    """Whether all constants and layouts that both kernels have are equal."""
    return all(
        part.values == new.parts[name].values
        for name, part in old.parts.items()
        if name in new.parts
    )


def same_layout(old: Layout, new: Layout, renamed: Mapping[str, str]) -> bool:
    """Whether both lie alike in memory, and no member is where another of the same name was."""
    if old.size != new.size or len(old.fields) != len(new.fields):
        return False
    pairs = list(zip(old.fields, new.fields, strict=True))
    if not all(_same_field(one, other, renamed) for one, other in pairs):
        return False
    moved = {other.name for one, other in pairs if one.name != other.name}
    return not moved & {each.name for each in old.fields}


def _same_field(old: Field, new: Field, renamed: Mapping[str, str]) -> bool:
    alike = old.place == new.place and _type(old.type, renamed) == new.type
    to = not old.to or not new.to or _type(old.to, renamed) == new.to
    return alike and to


def _type(text: str, renamed: Mapping[str, str]) -> str:
    return " ".join(renamed.get(word, word) for word in text.split(" "))


def other_names(old: Layout, new: Layout) -> list[str]:
    """The members that are called otherwise, in words."""
    pairs = zip(old.fields, new.fields, strict=True)
    return [f"{a.name} -> {b.name}" for a, b in pairs if a.name != b.name]


def layout_change(old: Layout, new: Layout) -> str:
    """What differs between two layouts, in words."""
    if old.size != new.size:
        return f"had {old.size} bytes and has {new.size}"
    was, now = ({each.name: each for each in of.fields} for of in (old, new))
    moved = [
        name
        for name in was
        if name in now and (was[name].place, was[name].type) != (now[name].place, now[name].type)
    ]
    return f"other members in {new.size} bytes" + (f": {', '.join(moved)}" if moved else "")
