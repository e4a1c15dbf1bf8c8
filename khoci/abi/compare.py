"""What a kernel makes of the handover of another one, by the ABI of both. Pure.

One kernel writes, the other reads: that something is newly required is a break from old to new,
and none from new to old.
"""

from __future__ import annotations

from collections.abc import Iterator

from khoci.abi.alike import layout_change, other_names, renamed_parts, same_layout
from khoci.abi.findings import Finding, Judgement
from khoci.abi.levels import Bump, bump, bumps, level, levels
from khoci.abi.model import KernelAbi, Layout, Need, Part
from khoci.abi.places import holders, is_feature_mask


def compare(old: KernelAbi, new: KernelAbi) -> tuple[Finding, ...]:
    """What differs, the worst first; nothing where all is as it was."""
    return _Comparison(old, new).findings()


class _Comparison:
    def __init__(self, old: KernelAbi, new: KernelAbi) -> None:
        self.old = old
        self.new = new
        self.renamed = renamed_parts(old, new)
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
            names = other_names(old.value, new.value)
            if names:
                what = f"members have other names: {', '.join(names)}"
                yield self._finding(Judgement.COMPATIBLE, old, new, what)

    def _equal(self, old: Part, new: Part, shift: int) -> bool:
        one, other = old.at(shift), new.at(shift)
        if isinstance(one, Layout) and isinstance(other, Layout):
            return same_layout(one, other, self.renamed)
        return one == other

    def _how(self, old: Part, new: Part, differing: list[int], shifts: list[int]) -> str:
        where = ""
        if len(differing) < len(shifts):
            pages = ", ".join(f"{1 << shift >> 10} KiB" for shift in differing)
            where = f" with pages of {pages} only"
        first = differing[0]
        one, other = old.at(first), new.at(first)
        if isinstance(one, Layout) and isinstance(other, Layout):
            return f"{layout_change(one, other)}{where}"
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


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
