"""What others boot kernels with: the kernel's own vmtest.sh, and virtme-ng."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.rounds import Took
from khoci.config.kernels import DebianSource, KernelSpec
from khoci.errors import HarnessError
from khoci.kernel.cache import Cache
from khoci.kernel.source import fill_tree
from khoci.paths import cache_dir
from khoci.progress import progress_for

_KHO = "tools/testing/selftests/kho"
_NEEDED = (f"{_KHO}/", "tools/include/nolibc/", "tools/testing/selftests/kselftest/")
_BUILDING = 'main "$@"\n'
_ANY_ACCELERATOR = "-accel kvm -accel hvf -accel tcg"
_BOOT_PART = """
build_dir=$kernel_dir headers_dir=$kernel_dir/headers
source "$test_dir/x86.conf"
mkinitrd {consumer}
TIMEFORMAT="took %3R %3U %3S"
time run_qemu "$QEMU_CMD" "$KERNEL_CMDLINE" {producer}
"""
_INIT = " as init process"
_SAID = "khoci was here"


class VngError(Exception):
    """virtme-ng did not run a command with an image; what it said last is the message."""


@dataclass(frozen=True)
class VmTest:
    """The boot part of ``tools/testing/selftests/kho/vmtest.sh``.

    Changed in it: no kernel is built, so producer and consumer may be two images; QEMU is given
    the accelerator that works instead of a choice of three; the headers are the host's. Its
    init.c, its initramfs, its QEMU arguments and what it looks for are its own.
    """

    folder: Path
    accelerator: str

    @classmethod
    def prepare(cls, kernel: KernelSpec, tree: Path, accelerator: str) -> VmTest:
        """Unpack what it needs of the sources of ``kernel``, and build its cpio writer.

        Raises:
            HarnessError: the kernel is not of a Debian package, or nothing can be compiled.
        """
        source = next(each for each in kernel.sources if isinstance(each, DebianSource))
        fill_tree(source, tree, Cache(cache_dir()).downloads, _chosen, progress_for())
        include = tree / "headers" / "include"
        include.mkdir(parents=True)
        for name, place in (("linux", ""), ("asm-generic", ""), ("asm", "x86_64-linux-gnu/")):
            (include / name).symlink_to(Path("/usr/include") / place / name)
        writer = str(tree / "usr/gen_init_cpio")
        built = subprocess.run(["gcc", "-O2", "-o", writer, f"{writer}.c"], check=False)
        if built.returncode:
            raise HarnessError(f"{kernel.name}: usr/gen_init_cpio.c does not compile")
        return cls(tree / _KHO, accelerator)

    async def run(self, producer: Path, consumer: Path) -> Took:
        """What its ``run_qemu`` takes, which ends with the consumer's panic for want of an init.

        Raises:
            HarnessError: it says that the test failed.
        """
        text = (self.folder / "vmtest.sh").read_text(encoding="utf-8").removesuffix(_BUILDING)
        paths = {"producer": shlex.quote(str(producer)), "consumer": shlex.quote(str(consumer))}
        text = text.replace(_ANY_ACCELERATOR, f"-accel {self.accelerator}")
        script = self.folder / "boot.sh"
        script.write_text(text + _BOOT_PART.format(**paths), encoding="utf-8")
        status, said = await _output("bash", str(script))
        words = [line.split()[1:] for line in said.splitlines() if line.startswith("took ")]
        if status or not words:
            raise HarnessError(f"vmtest.sh: {said[-300:]}")
        wall, user, system = map(float, words[0])
        return Took(wall, user + system)


@dataclass(frozen=True)
class Virtme:
    """virtme-ng with an image, on a machine like khoci's: one CPU and 1 GiB.

    The root of the host is the guest's by 9p, as where virtiofsd is not installed. A kernel without
    block devices has to be told so (``root=``). The log is on the console: without udev in that
    root, this is the only way for the command's output too.
    """

    vng: Path
    image: Path
    accelerator: str
    folder: Path

    async def run(self) -> None:
        """Run a command in the kernel, and wait until the guest is off.

        Raises:
            VngError: it does not come to that.
        """
        said = await self._vng()
        if not any(line.strip() == _SAID for line in said):
            panics = [line for line in said if "Kernel panic" in line]
            raise VngError((panics or said or ["it says nothing"])[-1].strip())

    async def to_user_space(self) -> None:
        """The same until the kernel starts its /init, where QEMU is ended.

        Raises:
            VngError: it does not come to that.
        """
        pid = self.folder / "qemu.pid"
        said = await self._vng(f"--qemu-opts=-pidfile {pid}", ending=pid)
        if not any(_INIT in line for line in said):
            raise VngError((said or ["it says nothing"])[-1].strip())

    async def dry_run(self) -> None:
        """Do what comes before QEMU is started."""
        await self._vng("--dry-run")

    async def _vng(self, *more: str, ending: Path | None = None) -> list[str]:
        """What it says; at the start of /init QEMU, whose id is in ``ending``, is ended."""
        env = ("env", f"PATH={self.vng.parent}:/usr/sbin:/usr/bin:/sbin:/bin")
        how = ("--run", str(self.image), "--cpus", "1", "--memory", "1G", "--force-9p")
        slow = () if self.accelerator == "kvm" else ("--disable-kvm",)
        words = ("--append", "root=/dev/root", "--verbose", "--exec", f"echo {_SAID}")
        said: list[str] = []
        async with _running(*env, str(self.vng), *how, *slow, *words, *more) as process:
            async for line in _lines(process):
                said.append(line)
                if ending and _INIT in line:
                    os.kill(int(ending.read_text(encoding="ascii")), signal.SIGTERM)
        return said


def installed(tool: str) -> Path | None:
    """Where a tool is, if anywhere: first beside this Python."""
    found = shutil.which(tool, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return Path(found) if found else None


async def _output(*command: str) -> tuple[int, str]:
    async with _running(*command) as process:
        said = [line async for line in _lines(process)]
    return process.returncode or 0, "".join(said)


@asynccontextmanager
async def _running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process, waited for at the end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    yield process
    await process.wait()


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    assert process.stdout is not None  # noqa: S101  (it is a pipe)
    async for line in process.stdout:
        yield line.decode("utf-8", "replace")


def _chosen(path: str) -> bool:
    return path.startswith(_NEEDED) or path in {"Makefile", "usr/gen_init_cpio.c"}
