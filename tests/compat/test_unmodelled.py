from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat.predict import Prediction, cell_verdict, predict
from khoci.config.abi import Abi
from khoci.verdicts import Verdict
from tests.compat.test_predict import RELEASES, captured

BASE = RELEASES.select("7.3")
WHY = "struct kho_thing changed (include/linux/kho/abi/thing.h)"


def mutant(component: str, name: str = "mutant", why: str = WHY, digest: str = "") -> Abi:
    return replace(
        BASE,
        name=name,
        base=BASE.name,
        unmodelled={component: why},
        digests={component: digest or why},
    )


def predicted(producer: Abi | None, consumer: Abi, *components: str) -> Prediction:
    kept, handover = captured("v7.3.4", "kho-test")
    return predict(kept.pages, handover, consumer, None, components, producer)


def corrupt(prediction: Prediction) -> set[str]:
    return {name for name, item in prediction.items() if item.verdict is Verdict.CORRUPT}


@pytest.mark.parametrize(
    ("component", "wrong"),
    [
        ("memory map", {"memory map"}),
        ("scratch", {"scratch"}),
        ("vmalloc", {"vmalloc", "kho_test", "memfd"}),
        ("luo", {"luo", "memfd"}),
        ("block", {"memfd"}),
        ("memfd", {"memfd"}),
        ("root", {"root", "luo", "memfd", "kho_test", "vmalloc", "kexec-metadata", "reserve_mem"}),
    ],
)
def test_one_side_has_a_layout_of_its_own(component: str, wrong: set[str]) -> None:
    named = ("vmalloc", "memfd")
    for sides in ((BASE, mutant(component)), (mutant(component), BASE)):
        prediction = predicted(*sides, *named)
        assert corrupt(prediction) == wrong & prediction.keys()
        assert cell_verdict(prediction) is Verdict.CORRUPT
    reason = predicted(mutant(component), BASE, *named)[min(wrong & prediction.keys())].reason
    assert reason == (
        f"{component} has another layout under the same version, it may be worse: of mutant, {WHY}"
    )


def test_both_sides_have_layouts_of_their_own() -> None:
    one, other = mutant("luo"), mutant("luo", "other", "struct other")
    assert corrupt(predicted(one, other)) == {"luo"}
    assert "of mutant, struct kho_thing" in predicted(one, other)["luo"].reason
    assert "of other, struct other" in predicted(one, other)["luo"].reason


def test_the_same_layout_on_both_sides_is_understood_by_them() -> None:
    one = mutant("luo")
    plain = predicted(BASE, BASE, "memfd")
    prediction = predicted(one, replace(one, name="again"), "memfd")
    assert plain["memfd"].verdict is Verdict.ABSENT
    assert prediction["memfd"].verdict is Verdict.ACCEPTED
    assert WHY in prediction["memfd"].reason
    assert prediction["luo"].verdict is plain["luo"].verdict is Verdict.RESTORED


def test_the_same_struct_changed_in_two_ways() -> None:
    one, other = mutant("luo", digest="1"), mutant("luo", "other", digest="2")
    assert one.unmodelled == other.unmodelled
    assert corrupt(predicted(one, other)) == {"luo"}


def test_a_map_that_only_khoci_cannot_read_is_not_called_deadly() -> None:
    kept, handover = captured("v7.3.4", "kho-test")
    old = RELEASES.select("7.0")
    strange = replace(
        old,
        root=replace(old.root, compatible="kho-v4"),
        unmodelled={"memory map": WHY},
        digests={"memory map": "1"},
    )
    alone = predict(kept.pages, handover, replace(strange, unmodelled={}))
    both = predict(kept.pages, handover, strange, producer=strange)
    other = replace(strange, digests={"memory map": "2"})
    unlike = predict(kept.pages, handover, strange, producer=other)
    assert cell_verdict(alone) in (Verdict.PANIC, Verdict.ERROR)
    assert cell_verdict(both) is Verdict.ACCEPTED
    assert cell_verdict(unlike) in (Verdict.PANIC, Verdict.ERROR)


def test_another_version_is_refused_whatever_else_changed() -> None:
    bumped = replace(mutant("root"), root=replace(BASE.root, compatible="kho-v5"))
    prediction = predicted(BASE, bumped, "memfd")
    assert prediction["luo"].verdict is Verdict.REFUSED
    assert prediction["memfd"].verdict is Verdict.ABSENT
    assert prediction["root"].reason == "mutant understands kho-v5, not kho-v4, and says so"


def test_a_producer_that_nobody_described_is_taken_for_a_release() -> None:
    assert predicted(None, BASE) == predicted(BASE, BASE)
    assert corrupt(predicted(None, mutant("luo"))) == {"luo"}


def sized(layout: str) -> Abi:
    base = RELEASES.select("6.18")
    return replace(base, name="sized", memory_map=replace(base.memory_map, layout=layout))


@pytest.mark.parametrize(
    ("producer", "layout", "manner"),
    [
        ("v6.18.15", "1024", "sized reads 1024 of each bitmap's 4096 bytes"),
        ("v6.16.12", "1024", "sized reads 1024 bytes for each bitmap of 512"),
        ("v6.17.13", "64", "sized reads 64 of each bitmap's 512 bytes"),
    ],
)
def test_bitmaps_of_another_size_under_the_same_version(
    producer: str, layout: str, manner: str
) -> None:
    kept, handover = captured(producer, "reserve-mem")
    prediction = predict(kept.pages, handover, sized(layout))
    assert cell_verdict(prediction) in (Verdict.CORRUPT, Verdict.PANIC)
    assert manner in prediction["memory map"].reason


def test_a_consumer_that_dies_of_the_version_reads_no_layout() -> None:
    assert BASE.luo
    bumped = replace(mutant("luo"), luo=replace(BASE.luo, compatible="luo-v6"))
    prediction = predicted(BASE, bumped, "memfd")
    assert prediction["luo"].verdict is Verdict.PANIC
    assert prediction["memfd"].verdict is Verdict.ABSENT
