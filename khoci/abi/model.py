"""The handover's ABI as a compiler sees it: what ``matrix/abi/KERNEL.json`` holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from khoci.errors import UsageError

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a struct; one of an unnamed struct inside has both names, with a dot.

    Attributes:
        name: as in the tree.
        offset: in bytes; of a bit field, of the unit that it starts in.
        size: in bytes; of a bit field, of its type.
        type: of fixed size (``u64``, ``u32[4]``, ``struct x``); an address is a ``u64``.
        to: what an address leads to, empty if it is none or nothing says it.
        bit: of a bit field the first bit from ``offset`` on, else None.
        bits: of a bit field how many it has, else None.
    """

    name: str
    offset: int
    size: int
    type: str
    to: str = ""
    bit: int | None = None
    bits: int | None = None

    @property
    def place(self) -> tuple[int, int, int | None, int | None]:
        """Where it lies."""
        return self.offset, self.size, self.bit, self.bits


@dataclass(frozen=True, slots=True)
class Layout:
    """A struct or union as it lies in memory: ``size`` in bytes, and its members."""

    size: int
    fields: tuple[Field, ...]


Value = int | str


@dataclass(frozen=True, slots=True)
class Part:
    """A constant, a version or a struct of the handover.

    Attributes:
        name: as in the tree.
        component: what it is a part of.
        governor: the name of the version that its reader checks, empty if there is none.
        file: where it is defined, a path in the tree.
        line: from 1; 0 if it is not known.
        values: the value of a constant, or the layout of a struct, by the size of a page in log2;
            only the first where all others are the same.
    """

    name: str
    component: str
    governor: str
    file: str
    line: int
    values: Mapping[int, Value | Layout]

    @property
    def value(self) -> Value | Layout:
        """That of x86_64."""
        return next(iter(self.values.values()))

    def at(self, shift: int) -> Value | Layout:
        """The value with pages of ``1 << shift`` bytes."""
        return self.values.get(shift, self.value)

    @property
    def place(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Need:
    """What the code of a reader asks of what it reads; found by pattern.

    Attributes:
        what: ``node``, ``property``, ``subtree`` or ``check``.
        name: of the node, property or subtree; of a check the condition under which it says no.
        type: of a property what its value is read as, empty if that is not clear.
        required: whether the reader gives up without it.
        component: what the file is about.
        governor: as of `Part`.
        file: a path in the tree.
        function: where.
        line: from 1.
    """

    what: str
    name: str
    type: str
    required: bool
    component: str
    governor: str
    file: str
    function: str
    line: int

    @property
    def place(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class KernelAbi:
    """All that a kernel's sources say of the handover.

    Attributes:
        name: of the kernel, or the path of its tree.
        provenance: where it comes from: ``source``, ``release``, ``arch``, ``compiler``.
        versions: what readers check, by name.
        constants: strings and numbers, by name.
        structs: by name.
        needs: of readers.
        writes: what is written by a name that the code tells: ``node luo-flb``.
        unknown: names of constants that have no value outside of the code that uses them.
        shifts: the sizes of a page in log2 for which there are values.
    """

    name: str
    provenance: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, Part] = field(default_factory=dict)
    constants: Mapping[str, Part] = field(default_factory=dict)
    structs: Mapping[str, Part] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    writes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    shifts: tuple[int, ...] = ()

    @property
    def parts(self) -> dict[str, Part]:
        """Versions, constants and structs by name."""
        return {**self.constants, **self.versions, **self.structs}

    def to_json(self) -> str:
        """The text of a file: sorted, so that two can be compared line by line."""
        return json.dumps(_plain(self), indent=2, ensure_ascii=False) + "\n"


def _plain(abi: KernelAbi) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "kernel": abi.name,
        "provenance": dict(sorted(abi.provenance.items())),
        "page_shifts": list(abi.shifts),
        "versions": {name: _plain_part(part) for name, part in sorted(abi.versions.items())},
        "constants": {name: _plain_part(part) for name, part in sorted(abi.constants.items())},
        "structs": {name: _plain_part(part) for name, part in sorted(abi.structs.items())},
        "needs": [_plain_need(need) for need in abi.needs],
        "writes": list(abi.writes),
        "unknown": list(abi.unknown),
    }


def _plain_part(part: Part) -> dict[str, Any]:
    values = {str(shift): _plain_value(value) for shift, value in part.values.items()}
    first = next(iter(values.values()))
    return {
        "component": part.component,
        "governor": part.governor,
        "file": part.file,
        "line": part.line,
        **({"value": first} if len(values) == 1 else {"by_page_shift": values}),
    }


def _plain_value(value: Value | Layout) -> Any:  # noqa: ANN401  (JSON)
    if not isinstance(value, Layout):
        return value
    return {"size": value.size, "fields": [_plain_field(each) for each in value.fields]}


def _plain_field(each: Field) -> dict[str, Any]:
    bits = {} if each.bits is None else {"bit": each.bit, "bits": each.bits}
    to = {"to": each.to} if each.to else {}
    return {
        "name": each.name,
        "offset": each.offset,
        "size": each.size,
        "type": each.type,
        **to,
        **bits,
    }


def _plain_need(need: Need) -> dict[str, Any]:
    return {name: getattr(need, name) for name in Need.__slots__}


def load(path: Path) -> KernelAbi:
    """Read a file.

    Raises:
        UsageError: it is not there, or is no such file.
    """
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        what = f"{type(error).__name__}: {error}"
        raise UsageError(f"{path}: is no file of khoci abi extract: {what}") from None


def from_json(data: Mapping[str, Any]) -> KernelAbi:
    """The reverse of `KernelAbi.to_json`, from JSON values.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, StopIteration: it is no such description.
    """
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']}, and this khoci reads {SCHEMA}")
    shifts = tuple(data["page_shifts"])
    tables = {
        kind: {name: _part(name, part, shifts) for name, part in data[kind].items()}
        for kind in ("versions", "constants", "structs")
    }
    return KernelAbi(
        name=data["kernel"],
        provenance=data["provenance"],
        needs=tuple(Need(**need) for need in data["needs"]),
        writes=tuple(data["writes"]),
        unknown=tuple(data["unknown"]),
        shifts=shifts,
        **tables,
    )


def _part(name: str, data: Mapping[str, Any], shifts: tuple[int, ...]) -> Part:
    values = data.get("by_page_shift") or {shifts[0]: data["value"]}
    return Part(
        name=name,
        component=data["component"],
        governor=data["governor"],
        file=data["file"],
        line=data["line"],
        values={int(shift): _value(value) for shift, value in values.items()},
    )


def _value(value: Any) -> Value | Layout:  # noqa: ANN401  (JSON)
    if not isinstance(value, dict):
        return value if isinstance(value, int) else str(value)
    return Layout(value["size"], tuple(Field(**each) for each in value["fields"]))
