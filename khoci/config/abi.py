"""``matrix/abi/RELEASE.toml`` and ``.json``: what a release writes and understands."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from khoci.config.extracted import with_extracted
from khoci.config.kernels import release_number
from khoci.config.toml import Table, did_you_mean, load
from khoci.errors import UsageError
from khoci.paths import data_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OWN = Path("matrix/abi")
BLOBS = ("fdt", "preserved-data")
LAYOUTS = ("A", "B", "radix")
POINTER_0 = ("accepted", "refused")
LISTS = ("inline", "vmalloc")
FORMS = ("fdt", "struct")


@dataclass(frozen=True, slots=True)
class RootAbi:
    """The root FDT: its ``compatible``, and the property that says where a subtree's blob is."""

    compatible: str
    blob: str


@dataclass(frozen=True, slots=True)
class MapAbi:
    """The memory map: its layout, and what the reader makes of odd ones.

    ``layout`` is one of `LAYOUTS`, or of a patched kernel the size of its bitmaps in bytes.
    ``pointer_0_refused`` is False where an empty map is accepted; ``int_sizes`` is True where the
    size of a block is computed in 32 bits, so that one of 2 GiB or more goes wrong.
    """

    layout: str
    pointer_0_refused: bool
    int_sizes: bool


@dataclass(frozen=True, slots=True)
class ReserveMemAbi:
    """The compatible strings of the ``memblock`` subtree and of each region in it."""

    compatible: str
    region: str


@dataclass(frozen=True, slots=True)
class KhoTestAbi:
    """The kernel's own test: how its list of folios is held, and whether it tells a failure."""

    compatible: str
    list: str
    says_failure: bool


@dataclass(frozen=True, slots=True)
class LuoAbi:
    """The Live Update Orchestrator, whose reader panics at what it does not understand.

    Attributes:
        compatible: of its state.
        form: ``fdt`` or ``struct``.
        session: compatible string of the sessions, None where they have none of their own.
        flb: of the FLB node without which the state is not understood, None if there is none.
        handlers: compatible strings of the kinds of file it can restore.
        limits: the most it writes: ``sessions``, ``files`` of each, ``flbs``, ``blocks``.
    """

    compatible: str
    form: str
    session: str | None
    flb: str | None
    handlers: tuple[str, ...]
    limits: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Abi:
    """A kernel's side of the handover; a component that it does not have is None.

    ``huge_runs`` says whether a vmalloc area of runs of several pages is restored rightly, and
    is None where nothing is handed over by vmalloc. ``metadata`` is the version of kexec-metadata.

    Of a patched kernel, ``base`` is the release's name, ``meant`` its own version strings that have
    the formats of the base's, each with that, and ``unmodelled`` says by component what khoci saw
    change and does not understand; ``digests`` has of each of these what tells one such change from
    any other. Of a release they are empty.
    """

    name: str
    root: RootAbi
    memory_map: MapAbi
    reserve_mem: ReserveMemAbi
    huge_runs: bool | None
    kho_test: KhoTestAbi | None
    luo: LuoAbi | None
    metadata: int | None
    base: str = ""
    meant: Mapping[str, str] = field(default_factory=dict)
    unmodelled: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def series(self) -> str:
        """``6.18`` of ``v6.18.15``; empty if the name is no release."""
        return ".".join(map(str, release_number(self.name)[:2]))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Abi:
        """The reverse of ``dataclasses.asdict``, from JSON values.

        Raises:
            KeyError, TypeError: it is no such description.
        """
        test, luo = data["kho_test"], data["luo"]
        return cls(
            **{
                **data,
                "root": RootAbi(**data["root"]),
                "memory_map": MapAbi(**data["memory_map"]),
                "reserve_mem": ReserveMemAbi(**data["reserve_mem"]),
                "kho_test": test and KhoTestAbi(**test),
                "luo": luo and LuoAbi(**{**luo, "handlers": tuple(luo["handlers"])}),
            }
        )


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases that are described, oldest first, and patched kernels by their names."""

    folder: Path
    all: tuple[Abi, ...]
    patched: Mapping[str, Abi] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(abi.name for abi in self.all)

    def find(self, name: str) -> Abi | None:
        """What `select` finds, None if it finds nothing."""
        exact = (abi for abi in self.all if abi.name in (name, f"v{name}"))
        series = (abi for abi in reversed(self.all) if abi.series == name.removeprefix("v"))
        return next(exact, None) or next(series, None)

    def find_for(self, name: str, release: str) -> Abi | None:
        """A patched kernel of this very name; or what `find` finds for the name.

        If that is nothing, what it finds for the series of the kernel's ``uname -r``.
        """
        found = self.patched.get(name) or self.find(name)
        return found or self.find(".".join(release.split(".")[:2]))

    def with_patched(self, abis: Iterable[Abi]) -> Releases:
        """The same, and these patched kernels besides."""
        return replace(self, patched={**self.patched, **{abi.name: abi for abi in abis}})

    def select(self, name: str) -> Abi:
        """The release called ``v6.18.15`` or ``6.18.15``, or the newest of the series ``6.18``.

        Raises:
            UsageError: there is none; the message lists what exists.
        """
        found = self.find(name)
        if found is None:
            raise UsageError(
                f"nothing says what '{name}' accepts{did_you_mean(name, self.names)}: "
                f"{self.folder} describes {', '.join(self.names)}"
            )
        return found


def default_folder() -> Path:
    """The user's ``matrix/abi`` below the current folder if it describes any, else the shipped."""
    return OWN if any(OWN.glob("*.toml")) else data_dir("matrix") / "abi"


def extracted_folders() -> tuple[Path, ...]:
    """Where files of `khoci abi extract` are: of the user's first, then those that are shipped."""
    return tuple(dict.fromkeys((OWN, data_dir("matrix") / "abi")))


def load_releases(folder: Path) -> Releases:
    """Read every description of a folder; the file's name is the release's.

    Raises:
        UsageError: there is none, or one of them is wrong; the message says which and where.
    """
    found = [load_abi(path) for path in folder.glob("*.toml")]
    if not found:
        raise UsageError(f"{folder}: no RELEASE.toml is there")
    return Releases(folder, tuple(sorted(found, key=lambda abi: (_order(abi), abi.name))))


def _order(abi: Abi) -> tuple[bool, tuple[int, ...]]:
    number = release_number(abi.name)
    return not number, number


def load_abi(path: Path) -> Abi:
    """Read the description of one release; what ``RELEASE.json`` says need not stand there.

    Raises:
        UsageError: the file, a table or a key is wrong; the message says which.
    """
    top = with_extracted(load(path), path.with_suffix(".json"))
    top.only("root", "memory_map", "vmalloc", "reserve_mem", "kho_test", "luo", "kexec_metadata")
    vmalloc, test, luo = (top.table(name) for name in ("vmalloc", "kho_test", "luo"))
    metadata = top.table("kexec_metadata")
    return Abi(
        name=path.stem,
        root=_root(_table(top, "root")),
        memory_map=_map(_table(top, "memory_map")),
        reserve_mem=_reserve_mem(_table(top, "reserve_mem")),
        huge_runs=_huge_runs(vmalloc) if vmalloc else None,
        kho_test=_kho_test(test) if test else None,
        luo=_luo(luo) if luo else None,
        metadata=_metadata(metadata) if metadata else None,
    )


def _root(table: Table) -> RootAbi:
    table.only("compatible", "blob")
    return RootAbi(_string(table, "compatible"), _word(table, "blob", BLOBS))


def _map(table: Table) -> MapAbi:
    table.only("layout", "pointer_0", "int_sizes")
    return MapAbi(
        layout=_word(table, "layout", LAYOUTS),
        pointer_0_refused=_word(table, "pointer_0", POINTER_0) == "refused",
        int_sizes=_boolean(table, "int_sizes"),
    )


def _reserve_mem(table: Table) -> ReserveMemAbi:
    table.only("compatible", "region")
    return ReserveMemAbi(_string(table, "compatible"), _string(table, "region"))


def _huge_runs(table: Table) -> bool:
    table.only("huge_runs")
    return _boolean(table, "huge_runs")


def _kho_test(table: Table) -> KhoTestAbi:
    table.only("compatible", "list", "says_failure")
    return KhoTestAbi(
        compatible=_string(table, "compatible"),
        list=_word(table, "list", LISTS),
        says_failure=_boolean(table, "says_failure"),
    )


def _luo(table: Table) -> LuoAbi:
    table.only("compatible", "form", "session", "flb", "handlers", "limits")
    limits = _table(table, "limits")
    limits.only("sessions", "files", "flbs", "blocks")
    return LuoAbi(
        compatible=_string(table, "compatible"),
        form=_word(table, "form", FORMS),
        session=table.string("session"),
        flb=table.string("flb"),
        handlers=table.strings("handlers"),
        limits={key: limits.need(key, limits.integer(key)) for key in limits.values},
    )


def _metadata(table: Table) -> int:
    table.only("version")
    return table.need("version", table.integer("version"))


def _table(parent: Table, key: str) -> Table:
    return parent.need(key, parent.table(key))


def _string(table: Table, key: str) -> str:
    return table.need(key, table.string(key))


def _boolean(table: Table, key: str) -> bool:
    return table.need(key, table.boolean(key))


def _word(table: Table, key: str, known: tuple[str, ...]) -> str:
    word = _string(table, key)
    if word not in known:
        raise table.error(
            f"key '{key}' is '{word}'{did_you_mean(word, known)}: it is one of {', '.join(known)}"
        )
    return word
