"""Which versions say whether a component is understood, from its own to the root's. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from khoci.abi.model import KernelAbi
from khoci.abi.places import holders, own_versions, part_name
from khoci.format.versions import parse


@dataclass(frozen=True, slots=True)
class Level:
    """A version on the way to a component.

    Attributes:
        component: whose version it is.
        name: of the constant.
        value: what is written, and looked for.
        place: where it is defined.
    """

    component: str
    name: str
    value: str
    place: str


def levels(abi: KernelAbi, of: str) -> tuple[Level, ...]:
    """The versions that a reader of a component looks at, its own first, the root's last."""
    found = (level(abi, each) for each in holders(of))
    return tuple(each for each in found if each)


def level(abi: KernelAbi, of: str) -> Level | None:
    """The version of a component itself; None if it has none of its own."""
    known = own_versions(of)
    names = known or sorted(name for name, part in abi.versions.items() if part.component == of)
    for name in names:
        if name in abi.versions:
            part = abi.versions[name]
            return Level(of, name, str(part.value), part.place)
    return None


@dataclass(frozen=True, slots=True)
class Bump:
    """A version that both kernels have, and not the same."""

    old: Level
    new: Level

    @property
    def text(self) -> str:
        """``kho-v3 -> kho-v4``."""
        return f"{self.old.value} -> {self.new.value}"


def bump(old: KernelAbi, new: KernelAbi, of: str) -> Bump | None:
    """The first version on the way to a component that differs, its own first."""
    return next((each for each in bumps(old, new, of)), None)


def bumps(old: KernelAbi, new: KernelAbi, of: str) -> tuple[Bump, ...]:
    """All versions on the way to a component that differ.

    Of a composite version only the parts count that are about the component, or about all.
    """
    found = []
    for holder in holders(of):
        one, other = level(old, holder), level(new, holder)
        if one and other and _differs(one.value, other.value, of):
            found.append(Bump(one, other))
    return tuple(found)


def _differs(old: str, new: str, of: str) -> bool:
    one, other = parse(old), parse(new)
    if not one.rest or not other.rest:
        return one != other
    mine = part_name(of)
    names = {part.name for part in (*one.parts, *other.parts)}
    counted = {one.parts[0].name, other.parts[0].name, mine} if mine in names else names
    return [part for part in one.parts if part.name in counted] != [
        part for part in other.parts if part.name in counted
    ]
