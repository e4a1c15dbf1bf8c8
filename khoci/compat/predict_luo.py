"""What a consumer will make of LUO and of what is inside of it; the rules of ``predict``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from khoci.compat.handed import kinds, owners
from khoci.compat.outlook import Outlook, not_found
from khoci.config.abi import LuoAbi
from khoci.format.components import Component, whole
from khoci.format.extents import Extents
from khoci.format.memfd import Memfd
from khoci.results import Expected
from khoci.verdicts import Verdict

_TESTS = "liveupdate-test-flb"
_UNDECODED = "khoci could not decode it"


def panic(outlook: Outlook) -> str | None:
    """Why the consumer's LUO cannot read the state, and therefore panics, or None."""
    reader, state = outlook.luo_reader, outlook.handover.luo
    if reader is None or state is None:
        return None
    wanted = f"{reader.compatible} ({reader.form})"
    written = f"{state.version} ({state.shape.value})"
    text = None
    if not outlook.finds("luo"):
        text = not_found(outlook)
    elif wanted != written:
        text = f"LUO of {outlook.abi.name} wants {wanted}, not {written}"
    elif reader.session and str(state.session_version) != reader.session:
        text = f"LUO of {outlook.abi.name} wants {reader.session}, not {state.session_version}"
    elif reader.flb and str(state.flb_version) != reader.flb:
        there = state.flb_version or "a state without the node luo-flb"
        text = f"LUO of {outlook.abi.name} wants {reader.flb}, not {there}"
    return text and f"{text}: luo_early_startup fails, and that is a panic"


def luo(outlook: Outlook) -> Expected:
    """LUO itself."""
    found = _state(outlook)
    if found.verdict is not Verdict.RESTORED:
        return found
    return _all_or_none(outlook) or found


def _state(outlook: Outlook) -> Expected:
    """The state without what is in its sessions."""
    state, component = outlook.handover.luo, outlook.component("luo")
    if outlook.luo_reader is None:
        if state and state.sessions == 0:
            text = "no session was handed over, and the consumer does not read the empty state"
            return Expected(Verdict.ABSENT, text)
        return Expected(Verdict.DROPPED, f"nothing in {outlook.abi.name} reads it")
    if state is None or component is None:
        return Expected(Verdict.ACCEPTED, _UNDECODED)
    lost = outlook.lost("luo", component.owned)
    if lost:
        return Expected(Verdict.CORRUPT, lost)
    return Expected(Verdict.RESTORED, f"{outlook.abi.name} understands {state.version}")


def _all_or_none(outlook: Outlook) -> Expected | None:
    """Sessions are read when /dev/liveupdate is opened first; one that is not spoils it for all."""
    foreign = list(_foreign(outlook))
    if not foreign:
        return None
    names = ", ".join(dict.fromkeys(foreign))
    text = f"{outlook.abi.name} has no handler for {names}: it gives up all sessions"
    return Expected(Verdict.REFUSED, text)


def _foreign(outlook: Outlook) -> Iterator[str]:
    """The kinds of file that no handler restores."""
    reader = outlook.luo_reader
    files = {
        str(item.version)
        for name, found in kinds(outlook.handover).items()
        for item in found
        if name not in ("session", "flb")
    }
    yield from sorted(files - set(reader.handlers if reader else ()))


def inside(name: str) -> Callable[[Outlook], Expected]:
    """The rule for all of one kind: sessions, or files of a kind."""

    def rule(outlook: Outlook) -> Expected:
        found, items = luo(outlook), kinds(outlook.handover).get(name, [])
        if found.verdict is Verdict.RESTORED:
            return _restored(outlook, items)
        return _lost(outlook, name) or found

    return rule


def _restored(outlook: Outlook, items: list[Component]) -> Expected:
    name = outlook.abi.name
    if any(isinstance(item.value, Memfd) and item.value.unknown_seals for item in items):
        return Expected(Verdict.REFUSED, f"{name} does not know some of the seals")
    lost = (outlook.lost(item.title, whole([item])) for item in items)
    text = next((text for text in lost if text), None)
    if text:
        return Expected(Verdict.CORRUPT, text)
    return Expected(Verdict.RESTORED, f"{name} understands each, and all their pages are reserved")


def flbs(outlook: Outlook) -> Expected:
    """Objects that are bound to files: those of the kernel's own test are known."""
    found, reader = luo(outlook), outlook.luo_reader
    if found.verdict is not Verdict.RESTORED or reader is None:
        return _lost(outlook, "flb") or found
    return _used(outlook, reader)


def _lost(outlook: Outlook, name: str) -> Expected | None:
    """What nobody reads is worse than dropped where its memory is not kept either."""
    if outlook.luo_reader is not None:
        return None
    lost = outlook.lost(name, owners(outlook.handover).get(name, Extents.of(())))
    return Expected(Verdict.CORRUPT, lost) if lost else None


def _used(outlook: Outlook, reader: LuoAbi) -> Expected:
    if "flbs" not in reader.limits:
        return Expected(Verdict.DROPPED, f"nothing in {outlook.abi.name} reads them")
    labels = [item.label for item in kinds(outlook.handover).get("flb", [])]
    if not all(label.startswith(_TESTS) for label in labels):
        return Expected(Verdict.ACCEPTED, "who uses one in the consumer decides what becomes of it")
    if not outlook.traits.has("LIVEUPDATE_TEST"):
        return Expected(Verdict.DROPPED, f"{outlook.abi.name} is built without their user")
    return Expected(Verdict.RESTORED, "lib/tests/liveupdate.c gets its objects back")
