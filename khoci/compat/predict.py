"""What a consumer will make of a handover: from a capture to one verdict a component. Pure.

The components are those of ``verdict``, and a verdict means the same: there it comes from what was
seen, here from what the decoders say was handed over and what ``matrix/abi`` says the consumer
understands. Reading the memory map as the consumer does, mistakes included, is ``format.reading``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from khoci.compat import predict_luo
from khoci.compat.handed import FIRST, PARTS, kinds, owners, present
from khoci.compat.outlook import ConsumerTraits, Outlook, look, not_found, share
from khoci.compat.unmodelled import Unmodelled
from khoci.config.abi import Abi, KhoTestAbi
from khoci.format.components import Component, whole
from khoci.format.handover import Handover
from khoci.format.memory import Memory
from khoci.format.ranges import Range
from khoci.format.root import Root
from khoci.results import Expected
from khoci.verdicts import Verdict, worst

Prediction = dict[str, Expected]

_MEMFD = predict_luo.inside("memfd")

_UNDECODED = "khoci could not decode it"
_NOT_FOUND = {
    "reserve_mem": Verdict.REFUSED,
    "kho_test": Verdict.REFUSED,
    "kexec-metadata": Verdict.DROPPED,
}
"""What a blob that cannot be retrieved means: a warning, a failed test, nothing."""


def predict(
    memory: Memory,
    handover: Handover,
    abi: Abi,
    traits: ConsumerTraits | None = None,
    components: Collection[str] = (),
    producer: Abi | None = None,
) -> Prediction:
    """What will become of each component of ``handover``.

    What is inside of LUO (sessions, files and objects bound to them) is listed too, all of a kind
    together; parts of others (``vmalloc``, ``block``) only if ``components`` has them.

    Args:
        memory: of the producer at the jump, at least the pages of its memory map.
        handover: what was decoded from it.
        abi: the consumer's.
        traits: what else is known of the consumer.
        components: those to list besides, also where nothing of them is handed over.
        producer: the producer's Abi; None to take it for a release.
    """
    traits = traits or ConsumerTraits()
    unmodelled = Unmodelled(producer, abi)
    names = [name for name in present(handover) if name not in PARTS or name in components]
    nothing = Expected(Verdict.ABSENT, "nothing of this is handed over")
    refusal = _refusal(handover.root, abi, traits)
    if refusal:
        taken = dict.fromkeys(names, Expected(Verdict.REFUSED, refusal))
        return _crashed({**dict.fromkeys(components, nothing), **taken}, traits)
    outlook = look(memory, handover, abi, traits)
    end = _end(outlook)
    if end and unmodelled.alike:
        end = unmodelled.unknown(unmodelled.alike)
    if end:
        root = Expected(Verdict.ACCEPTED, f"{abi.name} takes the root over")
        absent = dict.fromkeys(components, nothing)
        return {**absent, **dict.fromkeys(names, end), "root": root}
    absent = {name: unmodelled.expected(name, nothing) for name in components}
    found = {name: unmodelled.expected(name, _expected(outlook, name)) for name in names}
    return _crashed({**absent, **found}, traits)


def unreadable(reason: str, components: Collection[str] = ()) -> Prediction:
    """What to expect where the root is no FDT: kho_populate of every release refuses it."""
    text = f"there is no root FDT to read, and every consumer says so: {reason}"
    return dict.fromkeys((*FIRST, *components), Expected(Verdict.REFUSED, text))


def _crashed(prediction: Prediction, traits: ConsumerTraits) -> Prediction:
    """The prediction for a consumer that is made to panic when it is up."""
    if not traits.crash:
        return prediction
    return {
        name: expected
        if expected.verdict is Verdict.ABSENT
        else Expected(Verdict.PANIC, f"khoci makes it panic; until then {expected}")
        for name, expected in prediction.items()
    }


def cell_verdict(prediction: Prediction) -> Verdict:
    """What is to be expected of the cell: the worst of its components."""
    return worst(expected.verdict for expected in prediction.values())


def _refusal(root: Root, abi: Abi, traits: ConsumerTraits) -> str | None:
    """Why the whole handover is not taken (add_kho, kho_populate), or None."""
    if not traits.has("KEXEC_HANDOVER"):
        return f"{abi.name} is built without CONFIG_KEXEC_HANDOVER, and says so"
    if str(root.version) != abi.root.compatible:
        return f"{abi.name} understands {abi.root.compatible}, not {root.version}, and says so"
    if abi.memory_map.pointer_0_refused and not root.memory_map:
        return f"{abi.name} refuses a handover whose memory map is at address 0"
    return None


def _end(outlook: Outlook) -> Expected | None:
    """What becomes of all but the root if the consumer dies, or khoci cannot tell; else None."""
    panic = _map_panic(outlook) or predict_luo.panic(outlook)
    if panic:
        return Expected(Verdict.PANIC, panic)
    if outlook.reading.error:
        text = f"khoci cannot follow the map as {outlook.abi.name} does: {outlook.reading.error}"
        return Expected(Verdict.ERROR, text)
    return None


def _map_panic(outlook: Outlook) -> str | None:
    """Why reading the memory map is deadly, or None."""
    if not len(outlook.reading.outside):
        return None
    return "; ".join((outlook.manner, *outlook.reading.notes))


def _expected(outlook: Outlook, name: str) -> Expected:
    if not outlook.finds(name):
        return Expected(_NOT_FOUND.get(name, Verdict.ACCEPTED), not_found(outlook))
    if name in RULES:
        return RULES[name](outlook)
    if name in kinds(outlook.handover):
        return predict_luo.inside(name)(outlook)
    return Expected(Verdict.ACCEPTED, "khoci has no rule")


def _first(found: Iterable[str | None]) -> str | None:
    return next((text for text in found if text), None)


def _lost_root(outlook: Outlook) -> str | None:
    address = outlook.handover.fdt_addr
    if address is None:
        return None
    return outlook.lost("the root FDT", outlook.pages(Range(address, 1)))


def _lost_regions(outlook: Outlook) -> Iterator[str | None]:
    value = outlook.handover.reserve_mem
    for item in value.regions if value else ():
        yield outlook.lost(f"reserve_mem[{item.name}]", outlook.pages(item.range))


def _lost_test(outlook: Outlook) -> str | None:
    """What is lost of the test that nobody in the consumer gives back by itself."""
    component = outlook.component("kho_test")
    if component is None or component.address is None:
        return None
    if outlook.test_reader is None:
        return outlook.lost("kho_test", whole([component]))
    return outlook.lost("kho_test", outlook.pages(Range(component.address, 1)))


def _lost_of(outlook: Outlook) -> Iterator[str | None]:
    """What is lost of all that has to stay as it is, owner by owner.

    That is all but the folios of a test that is run: it gives them back.
    """
    for owner, needed in owners(outlook.handover).items():
        if owner != "kho_test" or outlook.test_reader is None:
            yield outlook.lost(owner, needed)


def _root(outlook: Outlook) -> Expected:
    lost = _lost_root(outlook)
    if lost:
        return Expected(Verdict.CORRUPT, lost)
    text = f"{outlook.abi.name} understands {outlook.abi.root.compatible} and keeps its page"
    return Expected(Verdict.RESTORED, text)


def _memory_map(outlook: Outlook) -> Expected:
    gained = outlook.gained
    if gained:
        size = share(gained.size, (outlook.reserved & outlook.ram).size)
        text = f"{outlook.manner}: {size} that it reserves were preserved by nobody"
        return Expected(Verdict.CORRUPT, text)
    lost = _first(_lost_of(outlook))
    if lost:
        return Expected(Verdict.CORRUPT, lost)
    text = f"{outlook.abi.name} reserves all that has to stay as it is"
    return Expected(Verdict.RESTORED, text)


def _scratch(outlook: Outlook) -> Expected:
    if outlook.handover.scratch is None:
        return Expected(Verdict.ACCEPTED, "the producer's scratch areas are not known")
    if not outlook.traits.kho:
        return Expected(Verdict.ACCEPTED, "a consumer with KHO off does not show its scratch areas")
    return Expected(Verdict.RESTORED, "the areas that are passed on are used again as they are")


def _reserve_mem(outlook: Outlook) -> Expected:
    component, wanted = outlook.component("reserve_mem"), outlook.abi.reserve_mem.compatible
    written = component.version if component else None
    if written is not None and str(written) != wanted:
        return Expected(Verdict.REFUSED, f"{outlook.abi.name} wants {wanted}, not {written}")
    if outlook.handover.reserve_mem is None:
        return Expected(Verdict.ACCEPTED, _UNDECODED)
    lost = _first(_lost_regions(outlook))
    if lost:
        return Expected(Verdict.CORRUPT, f"the regions are revived, but {lost}")
    return Expected(Verdict.RESTORED, "the regions are revived, and all their pages are reserved")


def _kho_test(outlook: Outlook) -> Expected:
    reader, component = outlook.test_reader, outlook.component("kho_test")
    if component is None or component.value is None:
        return Expected(Verdict.ACCEPTED, _UNDECODED)
    if reader is None:
        return _unread_test(outlook)
    if not outlook.traits.kho:
        return Expected(Verdict.DROPPED, "lib/test_kho.c does nothing and says nothing, KHO is off")
    refusal, loss = _test_refusal(outlook, reader, component), _test_loss(outlook, component)
    failure = refusal or loss
    if failure is None:
        return Expected(Verdict.RESTORED, "lib/test_kho.c understands the list and gets each folio")
    if not reader.says_failure:
        return Expected(Verdict.DROPPED, f"{failure}, and lib/test_kho.c says nothing of it")
    verdict = Verdict.REFUSED if refusal and not loss else Verdict.CORRUPT
    return Expected(verdict, f"{failure}, and lib/test_kho.c says that it failed")


def _unread_test(outlook: Outlook) -> Expected:
    lost = _lost_test(outlook)
    if lost:
        return Expected(Verdict.CORRUPT, lost)
    text = f"{outlook.abi.name} has no lib/test_kho.c: nobody reads it, and its memory is kept"
    return Expected(Verdict.ACCEPTED, text)


def _test_refusal(outlook: Outlook, reader: KhoTestAbi, component: Component) -> str | None:
    """Why lib/test_kho.c of the consumer takes no folio at all, or None if it does."""
    test, name = outlook.handover.kho_test, outlook.abi.name
    if str(component.version) != reader.compatible:
        return f"{name} wants {reader.compatible}, not {component.version}"
    if test and test.shape and test.shape.value != reader.list:
        return f"{name} wants the list of folios {reader.list}, it is {test.shape.value}"
    return None


def _test_loss(outlook: Outlook, component: Component) -> str | None:
    """Why it does not get all of them, or None if it does.

    The checksum is not held against the folios: a capture does not have their content.
    """
    test, name = outlook.handover.kho_test, outlook.abi.name
    if test and test.area and test.area.order and not outlook.abi.huge_runs:
        return f"{name} maps the first page of each run for all pages of the list"
    return outlook.lost("kho_test", whole([component]))


def _vmalloc(outlook: Outlook) -> Expected:
    """What becomes of its users: files, or the kernel's own test."""
    return _kho_test(outlook) if outlook.component("kho_test") else _MEMFD(outlook)


def _metadata(outlook: Outlook) -> Expected:
    value, wanted, name = outlook.handover.metadata, outlook.abi.metadata, outlook.abi.name
    if value is None:
        return Expected(Verdict.ACCEPTED, _UNDECODED)
    if wanted is None or not outlook.traits.kho:
        return Expected(Verdict.DROPPED, f"nothing in {name} reads it")
    if value.version != wanted:
        return Expected(Verdict.REFUSED, f"{name} wants version {wanted}, not {value.version}")
    return Expected(Verdict.RESTORED, f"{name} understands version {wanted}")


RULES: Mapping[str, Callable[[Outlook], Expected]] = {
    "root": _root,
    "memory map": _memory_map,
    "scratch": _scratch,
    "reserve_mem": _reserve_mem,
    "kho_test": _kho_test,
    "luo": predict_luo.luo,
    "session": predict_luo.inside("session"),
    "memfd": _MEMFD,
    "flb": predict_luo.flbs,
    "vmalloc": _vmalloc,
    "block": predict_luo.inside("session"),
    "kexec-metadata": _metadata,
}
