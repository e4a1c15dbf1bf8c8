"""A tree's headers, as far as a probe of the handover needs them, and the compiler on top.

Nothing is built for that: beside the configuration, a few headers that kbuild generates have
stand-ins here. What they say (numbers of flags, offsets for assembler) is in no format that is
handed over; a real one goes before its stand-in.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.abi.dwarf import Found, read_probe
from khoci.abi.places import FOLDERS, is_document, is_handover
from khoci.abi.probe import Probe, at_fault
from khoci.errors import BuildError, HarnessError
from khoci.kernel.make import OBJECTS, environment
from khoci.proc import require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from khoci.kernel.sandbox import Sandbox

_INCLUDES = (
    *("arch/x86/include", f"{OBJECTS}/arch/x86/include/generated", "include"),
    *(f"{OBJECTS}/include", "arch/x86/include/uapi", "include/uapi"),
    *(f"{OBJECTS}/own", f"{OBJECTS}/generic", f"{OBJECTS}/generic-uapi"),
)
_FIRST = ("compiler-version.h", "kconfig.h", "compiler_types.h")
_FLAGS = (
    *("-std=gnu11", "-fshort-wchar", "-funsigned-char", "-fno-common", "-fno-PIE", "-m64"),
    *("-fno-strict-aliasing", "-mno-sse", "-mno-mmx", "-mno-sse2", "-mno-3dnow", "-mno-avx"),
    *("-mno-80387", "-mno-red-zone", "-mcmodel=kernel", "-fms-extensions", "-w", "-O0", "-g"),
    *("-D__KERNEL__", '-DKBUILD_MODNAME="khoci"', '-DKBUILD_BASENAME="khoci"'),
    *('-DKBUILD_MODFILE="khoci"', "-D__KBUILD_MODNAME=khoci", "-gdwarf-5", "-gno-strict-dwarf"),
)
_PROBE, _OBJECT, _USED = "probe.c", "probe.o", "probe.d"
_STAND_INS: Mapping[str, str] = {
    "generated/bounds.h": (
        "#define NR_PAGEFLAGS 24\n#define MAX_NR_ZONES 4\n#define NR_CPUS_BITS 3\n"
        "#define SPINLOCK_SIZE 4\n#define LRU_GEN_WIDTH 0\n#define __LRU_REFS_WIDTH 0\n"
    ),
    "generated/asm-offsets.h": "",
    "generated/rq-offsets.h": "#define RQ_nr_pinned 0\n",
    "generated/timeconst.h": "",
    "generated/utsrelease.h": '#define UTS_RELEASE "khoci"\n',
    "asm/cpufeaturemasks.h": (
        "#define DISABLED_MASK_BIT_SET(x) 0\n#define REQUIRED_MASK_BIT_SET(x) 0\n"
    ),
    "asm/unistd_64.h": "",
    "asm/unistd_64_x32.h": "",
    "asm/unistd_32.h": "",
}
_SETTING = re.compile(r"^(CONFIG_\w+)=(.*)$", re.MULTILINE | re.ASCII)
_MOST_TRIES = 4
_SECONDS = 60
_SHOWN_ERRORS = 3


@dataclass(frozen=True, slots=True)
class Headers:
    """A folder with a tree's headers, or links to them, in which probes are compiled.

    Attributes:
        name: of the kernel, for messages.
        folder: with ``include`` and so on; only ``build`` in it is written to.
        sandbox: that the compiler runs in, if strangers wrote some of it.
    """

    name: str
    folder: Path
    sandbox: Sandbox | None = None

    @property
    def objects(self) -> Path:
        """Where all that is made lies."""
        return self.folder / OBJECTS

    def prepare(self, config: str) -> None:
        """Put what kbuild would generate into the folder of the objects.

        Args:
            config: the text of a ``.config``.
        """
        stand_ins = {**_STAND_INS, "generated/autoconf.h": autoconf(config)}
        for name, text in stand_ins.items():
            path = self.objects / "own" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name, to in (("generic", "include"), ("generic-uapi", "include/uapi")):
            link = self.objects / name / "asm"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(Path("../..") / to / "asm-generic")

    def definitions(self) -> dict[str, str]:
        """The files that define the handover, by path."""
        return {path: text_of(self.folder / path) for path in self._handover()}

    def _handover(self) -> Iterator[str]:
        for folder in FOLDERS:
            for path in sorted((self.folder / folder).glob("*.[ch]")):
                name = f"{folder}/{path.name}"
                if is_handover(name) and path.is_file():
                    yield name

    def documents(self) -> list[str]:
        """The files that tell of the handover in words, by path."""
        found = (self.folder / "Documentation").rglob("*")
        names = (str(path.relative_to(self.folder)) for path in found)
        return sorted(name for name in names if is_document(name))

    def read(self, probe: Probe) -> tuple[Found, frozenset[str]]:
        """What a compiler makes of a probe, and the names of what it cannot make anything of.

        Raises:
            BuildError: the probe does not compile.
            HarnessError: there is no compiler, or no sandbox.
        """
        unknown: frozenset[str] = frozenset()
        errors = ""
        for _ in range(_MOST_TRIES):
            (self.objects / _PROBE).write_text(probe.text(unknown), errors="surrogateescape")
            code, errors = self._compile()
            if code == 0:
                return self._found(), unknown
            more = at_fault(errors) - unknown
            if not more:
                break
            unknown |= more
        lines = [line for line in errors.splitlines() if "error:" in line]
        raise BuildError(
            f"{self.name}: what defines its handover does not compile",
            "\n".join(lines[:_SHOWN_ERRORS]),
        )

    def used(self) -> frozenset[str]:
        """The headers of the tree that the last probe came to, by path."""
        text = (self.objects / _USED).read_text().replace("\\\n", " ")
        names = (os.path.normpath(name) for name in text.partition(":")[2].split())
        plain = (_in_tree(name) for name in names)
        return frozenset(name for name in plain if not name.startswith((OBJECTS, "/", "..")))

    def _found(self) -> Found:
        with (self.objects / _OBJECT).open("rb") as file:
            return read_probe(file, self.name)

    def _compile(self) -> tuple[int, str]:
        """Run the compiler; its exit code and what it said."""
        command = compiler_command()
        if self.sandbox is not None:
            with self.sandbox.started(command, self.folder, self.objects) as process:
                said = process.stdout.read() if process.stdout else b""
                return process.wait(), said.decode("utf-8", "replace")
        require_tool("gcc")
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise HarnessError(f"{self.name}: gcc took more than {_SECONDS} s") from None
        return done.returncode, done.stdout.decode("utf-8", "replace")


def compiler_command() -> list[str]:
    """How a probe is compiled, in a folder of `Headers`."""
    includes = [f"-I{folder}" for folder in _INCLUDES]
    first = [word for name in _FIRST for word in ("-include", f"include/linux/{name}")]
    files = [
        f"{OBJECTS}/{_PROBE}",
        "-o",
        f"{OBJECTS}/{_OBJECT}",
        "-MD",
        "-MF",
        f"{OBJECTS}/{_USED}",
    ]
    return ["gcc", "-nostdinc", *includes, *first, *_FLAGS, "-c", *files]


def autoconf(config: str) -> str:
    """What kbuild makes of a ``.config`` for the compiler."""
    lines = []
    for name, value in _SETTING.findall(config):
        if value == "y":
            lines.append(f"#define {name} 1")
        elif value == "m":
            lines.append(f"#define {name}_MODULE 1")
        else:
            lines.append(f"#define {name} {value}")
    return "\n".join(lines) + "\n"


def _in_tree(name: str) -> str:
    """A path through one of the links, as it is in the tree."""
    for link, folder in (("generic", "include"), ("generic-uapi", "include/uapi")):
        start = f"{OBJECTS}/{link}/asm/"
        if name.startswith(start):
            return f"{folder}/asm-generic/{name.removeprefix(start)}"
    return name


def text_of(path: Path) -> str:
    """The text of a file, whatever bytes it has."""
    return path.read_bytes().decode(errors="surrogateescape")
