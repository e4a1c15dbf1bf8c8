"""Whole handovers: decoded, owned, and shown in every format."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import jsonschema

from fuzz import claims, mutate, seeds
from fuzz.family import Family
from fuzz.guest import Guest
from khoci.compat.predict import predict
from khoci.config.abi import default_folder, load_releases
from khoci.decode import check, consumer, dot, plain, text
from khoci.decode.found import Found
from khoci.format import handover
from tests.format import encoders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.handover import Handover
    from khoci.format.memory import Memory

_SCHEMA = jsonschema.Draft202012Validator(plain.schema())
_RELEASES = load_releases(default_folder()).all


def _handover(data: bytes) -> None:
    guest = Guest.parse(data)
    memory = guest.memory()
    found = _decode(guest, memory)
    claims.handover(found, memory)
    _views(Found(found, memory, "fuzz", "raw"))


def _views(found: Found) -> None:
    """Everything that is shown of it: visible ASCII, and JSON that follows its schema."""
    shown = text.render(found, with_blocks=True) + "\n".join(text.problems(found.handover))
    shown += dot.render(found) + "\n".join(check.lines(check.checks(found.handover)))
    assert all(" " <= char <= "~" or char == "\n" for char in shown)
    document = json.loads(json.dumps(plain.plain(found, with_blocks=True)))
    _SCHEMA.validate(document)
    for abi in _RELEASES:
        reader = consumer.read(found, abi)
        consumer.lines(found, reader)
        json.dumps(consumer.plain_reading(found, reader))
        predict(found.memory, found.handover, abi)


def _decode(guest: Guest, memory: Memory) -> Handover:
    """The arguments: where the root is, and the words of the scratch array."""
    scratch = b"".join(map(encoders.u64, guest.args[1:])) or None
    return handover.decode(memory, guest.arg(0), scratch=scratch, page_shift=guest.page_shift)


def _wholes() -> Iterator[bytes]:
    for whole in seeds.wholes():
        guest = Guest.of(whole.memory, whole.arguments)
        yield seeds.read_by(partial(_decode, guest), whole.memory, whole.arguments)


FAMILIES = (Family("handover", _handover, _wholes, mutate.guest),)
