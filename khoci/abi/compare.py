"""What a kernel makes of the handover of another one, by the ABI of both. Pure.

One kernel writes, the other reads: that something is newly required is a break from old to new,
and none from new to old.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from khoci.abi.levels import Bump, bump, bumps, level, levels
from khoci.abi.model import Field, KernelAbi, Layout, Need, Part
from khoci.abi.places import holders, is_feature_mask


class Judgement(StrEnum):
    """What a difference means to who reads what the other kernel wrote."""

    SAME = "same"
    COMPATIBLE = "compatible"
    NEEDLESS = "needless bump"
    DECLARED = "declared break"
    SILENT = "silent break"

    @property
    def rank(self) -> int:
        """How bad it is: 0 for the same."""
        return list(Judgement).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference.

    Attributes:
        judgement: what it means.
        component: what it is a part of.
        name: of what differs.
        what: in words, what differs.
        old: as it was, None if it is new or about code.
        new: as it is, None if it is gone or about code.
        version: the governing version in words: ``kho-v1`` or ``kho-v3 -> kho-v4``.
        places: ``file:line`` on both sides.
        hint: whether it is from a pattern over code, and no proof.
        reason: why it is let pass, empty if it is not.
    """

    judgement: Judgement
    component: str
    name: str
    what: str
    old: Part | None = None
    new: Part | None = None
    version: str = ""
    places: tuple[str, ...] = ()
    hint: bool = False
    reason: str = ""

    @property
    def key(self) -> str:
        """What a suppression names it by."""
        return f"{self.component}:{self.name}"


def compare(old: KernelAbi, new: KernelAbi) -> tuple[Finding, ...]:
    """What differs, the worst first; nothing where all is as it was."""
    return _Comparison(old, new).findings()


def worst(findings: tuple[Finding, ...]) -> Judgement:
    """The verdict on all; what is let pass does not count."""
    counted = (finding.judgement for finding in findings if not finding.reason)
    return max(counted, key=lambda judgement: judgement.rank, default=Judgement.SAME)


class _Comparison:
    def __init__(self, old: KernelAbi, new: KernelAbi) -> None:
        self.old = old
        self.new = new
        self.renamed = _renamed(old, new)
        self.subtrees = {
            of: (_has(old, of), _has(new, of)) for of in {*_components(old), *_components(new)}
        }

    def findings(self) -> tuple[Finding, ...]:
        parts = [*self._parts(), *self._needs(), *self._gone()]
        found = [*parts, *self._versions(parts)]
        return tuple(
            sorted(
                found,
                key=lambda each: (-each.judgement.rank, each.hint, each.component, each.name),
            )
        )

    def _parts(self) -> Iterator[Finding]:
        old = {**self.old.constants, **self.old.structs}
        new = {**self.new.constants, **self.new.structs}
        others = set(self.renamed.values())
        for name in sorted(old.keys() | new.keys()):
            if name in old and name in new:
                yield from self._changed(old[name], new[name])
            elif name in self.renamed:
                yield self._called_otherwise(old[name], new[self.renamed[name]])
            elif name in old:
                yield from self._left(old[name])
            elif name not in others:
                yield self._came(new[name])

    def _changed(self, old: Part, new: Part) -> Iterator[Finding]:
        if old.component == "uapi":
            return
        shifts = sorted({*self.old.shifts, *self.new.shifts})
        differing = [at for at in shifts if not self._equal(old, new, at)]
        if differing and is_feature_mask(old.name):
            what = self._how(old, new, differing, shifts)
            yield self._finding(Judgement.COMPATIBLE, old, new, what)
        elif differing:
            yield self._broken(old, new, self._how(old, new, differing, shifts))
        elif isinstance(old.value, Layout) and isinstance(new.value, Layout):
            names = _other_names(old.value, new.value)
            if names:
                what = f"members have other names: {', '.join(names)}"
                yield self._finding(Judgement.COMPATIBLE, old, new, what)

    def _equal(self, old: Part, new: Part, shift: int) -> bool:
        one, other = old.at(shift), new.at(shift)
        if isinstance(one, Layout) and isinstance(other, Layout):
            return _same_layout(one, other, self.renamed)
        return one == other

    def _how(self, old: Part, new: Part, differing: list[int], shifts: list[int]) -> str:
        where = ""
        if len(differing) < len(shifts):
            pages = ", ".join(f"{1 << shift >> 10} KiB" for shift in differing)
            where = f" with pages of {pages} only"
        first = differing[0]
        one, other = old.at(first), new.at(first)
        if isinstance(one, Layout) and isinstance(other, Layout):
            return f"{_layout_change(one, other)}{where}"
        return f"was {_shown(one)} and is {_shown(other)}{where}"

    def _called_otherwise(self, old: Part, new: Part) -> Finding:
        if old.values == new.values or isinstance(old.value, Layout):
            what = f"is called {new.name} now"
        else:
            what = (
                f"= {_shown(old.value)} is gone and {new.name} = {_shown(new.value)} is new: "
                "all that both kernels compute is the same for every size of a page"
            )
        return self._finding(Judgement.SAME, old, new, what)

    def _left(self, old: Part) -> Iterator[Finding]:
        if self._is_new_or_gone_subtree(old.component):
            return
        if isinstance(old.value, int):
            yield self._finding(Judgement.COMPATIBLE, old, None, "is gone")
        else:
            yield self._broken(old, None, "is gone")

    def _came(self, new: Part) -> Finding:
        return self._finding(Judgement.COMPATIBLE, None, new, "is new")

    def _broken(self, old: Part, new: Part | None, what: str) -> Finding:
        found = bump(self.old, self.new, old.component)
        judgement = Judgement.DECLARED if found else Judgement.SILENT
        return self._finding(judgement, old, new, what, found)

    def _finding(
        self,
        judgement: Judgement,
        old: Part | None,
        new: Part | None,
        what: str,
        found: Bump | None = None,
    ) -> Finding:
        part = old or new
        if part is None:
            raise ValueError("neither was nor is")
        return Finding(
            judgement=judgement,
            component=part.component,
            name=part.name,
            what=what,
            old=old,
            new=new,
            version=self._version(part.component, found),
            places=tuple(each.place for each in (old, new) if each),
        )

    def _version(self, of: str, found: Bump | None) -> str:
        if found:
            return found.text
        both = [each for each in levels(self.old, of) if level(self.new, each.component)]
        return both[0].value if both else ""

    def _is_new_or_gone_subtree(self, of: str) -> bool:
        """Whether only one of the kernels has what the root holds and a component is in."""
        outermost = holders(of)[-2] if len(holders(of)) > 1 else of
        was, is_now = self.subtrees.get(outermost, (True, True))
        return outermost in _SUBTREES and was != is_now

    def _needs(self) -> Iterator[Finding]:
        before, after = _by_name(self.old.needs), _by_name(self.new.needs)
        for key in sorted(before.keys() | after.keys()):
            one, other = before.get(key), after.get(key)
            if key[0] == "check":
                yield from self._check(one, other)
            elif other is not None and not self._is_new_or_gone_subtree(other.component):
                yield from self._need(one, other)

    def _need(self, old: Need | None, new: Need) -> Iterator[Finding]:
        word = f"{new.what} {new.name}"
        if new.what == "subtree":
            return
        is_new = new.required and (old is None or not old.required)
        if is_new and word not in self.old.writes:
            yield self._of_code(new, word, f"is required now, in {new.function}", old)
        elif old and _differ(old.type, new.type):
            yield self._of_code(new, word, f"was read as {old.type} and is as {new.type}", old)

    def _of_code(self, new: Need, name: str, what: str, old: Need | None) -> Finding:
        found = bump(self.old, self.new, new.component)
        places = (old.place, new.place) if old else (new.place,)
        return Finding(
            judgement=Judgement.DECLARED if found else Judgement.SILENT,
            component=new.component,
            name=name,
            what=what,
            version=self._version(new.component, found),
            places=places,
            hint=True,
        )

    def _check(self, old: Need | None, new: Need | None) -> Iterator[Finding]:
        need = old or new
        if need is None or (old and new):
            return
        if self._is_new_or_gone_subtree(need.component):
            return
        what = f"{'a check that is gone' if old else 'a check that is new'}, in {need.function}"
        yield Finding(
            judgement=Judgement.SAME,
            component=need.component,
            name=f"if ({need.name})",
            what=what,
            version=self._version(need.component, None),
            places=(need.place,),
            hint=True,
        )

    def _gone(self) -> Iterator[Finding]:
        """What the root holds, and the reader does not know."""
        for of, (was, is_now) in sorted(self.subtrees.items()):
            if of in _SUBTREES and was and not is_now:
                found = bump(self.old, self.new, "root")
                mine = level(self.old, of)
                yield Finding(
                    judgement=Judgement.DECLARED if found else Judgement.SILENT,
                    component=of,
                    name=of,
                    what="is written, and nobody reads it",
                    version=self._version("root", found),
                    places=(mine.place,) if mine else (),
                )
            elif of in _SUBTREES and is_now and not was:
                mine = level(self.new, of)
                yield Finding(
                    judgement=Judgement.COMPATIBLE,
                    component=of,
                    name=of,
                    what="is new",
                    version=mine.value if mine else "",
                    places=(mine.place,) if mine else (),
                )

    def _versions(self, found: list[Finding]) -> Iterator[Finding]:
        """The versions that changed, and whether anything did that they are the first to govern."""
        touched = {each.component for each in found if each.judgement is not Judgement.SAME}
        governed = {of: bumps(self.old, self.new, of)[:1] for of in touched}
        for of in sorted({*_components(self.old), *_components(self.new)}):
            one, other = level(self.old, of), level(self.new, of)
            if not one or not other or one.value == other.value:
                continue
            mine = [name for name, each in governed.items() if each and each[0].old == one]
            what = f"changed, as {_listed(mine)} did" if mine else "changed, and nothing else did"
            yield Finding(
                judgement=Judgement.DECLARED if mine else Judgement.NEEDLESS,
                component=of,
                name=other.name,
                what=what,
                version=Bump(one, other).text,
                places=(one.place, other.place),
            )


_SUBTREES = frozenset({"luo", "reserve_mem", "kho_test", "kexec-metadata"})


def suppressed(findings: tuple[Finding, ...], reasons: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings with the reason for each that is let pass: by ``component:name``."""
    return tuple(replace(each, reason=reasons.get(each.key, "")) for each in findings)


def _listed(names: list[str]) -> str:
    return ", ".join(sorted(names))


def _components(abi: KernelAbi) -> set[str]:
    return {part.component for part in abi.parts.values()} - {"uapi"}


def _has(abi: KernelAbi, of: str) -> bool:
    return any(part.component == of for part in abi.parts.values())


def _by_name(needs: tuple[Need, ...]) -> dict[tuple[str, str, str], Need]:
    """The needs by what they are for; of several, one that is required."""
    found: dict[tuple[str, str, str], Need] = {}
    for need in needs:
        key = (need.what, need.component, need.name)
        if key not in found or (need.required and not found[key].required):
            found[key] = need
    return found


def _differ(old: str, new: str) -> bool:
    return bool(old and new and old != new and "void" not in (old, new))


def _renamed(old: KernelAbi, new: KernelAbi) -> dict[str, str]:
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
            and _same_layout(a, b, own)
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


def _same_layout(old: Layout, new: Layout, renamed: Mapping[str, str]) -> bool:
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


def _other_names(old: Layout, new: Layout) -> list[str]:
    pairs = zip(old.fields, new.fields, strict=True)
    return [f"{a.name} -> {b.name}" for a, b in pairs if a.name != b.name]


def _layout_change(old: Layout, new: Layout) -> str:
    if old.size != new.size:
        return f"had {old.size} bytes and has {new.size}"
    was, now = ({each.name: each for each in of.fields} for of in (old, new))
    moved = [
        name
        for name in was
        if name in now and (was[name].place, was[name].type) != (now[name].place, now[name].type)
    ]
    return f"other members in {new.size} bytes" + (f": {', '.join(moved)}" if moved else "")


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
