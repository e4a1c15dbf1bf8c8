"""What the sides of a handover call its parts, and which versions they speak. Pure."""

from __future__ import annotations

from khoci.compat.facts import Facts
from khoci.compat.loglines import Log, shipped
from khoci.compat.verdict import RULES
from khoci.config.abi import Abi
from khoci.config.loglines import Patterns
from khoci.format.versions import parse
from khoci.results import Versions


def versions(
    facts: Facts, abi: Abi | None, patterns: Patterns | None = None
) -> dict[str, Versions]:
    """What was handed over and what is read of it: as the consumer says, else as of its release.

    A patched kernel may read something else than its release does.
    """
    if facts.handed is None:
        return {}
    wanted = _understood(abi) if abi else {}
    log = Log(facts.consumer_log, shipped() if patterns is None else patterns)
    refused = log.find("session", "refused")
    unknown = refused.groupdict().get("unknown") if refused else None
    found: dict[str, Versions] = {}
    for name, handed in facts.handed.versions.items():
        line = log.find(name, "refused")
        told = line.groupdict().get("wanted") if line else None
        other = f"not {handed}" if handed == unknown else None
        found[name] = Versions(handed, told or other or wanted.get(name))
    return found


def renamed(facts: Facts, abi: Abi | None) -> list[str]:
    """What the producer's release always hands over, where there is something unknown instead."""
    if facts.handed is None or abi is None or RULES.keys() >= set(facts.handed.components):
        return []
    always = {"luo": abi.luo is not None, "kexec-metadata": abi.metadata is not None}
    return [name for name, has in always.items() if has and name not in facts.handed.components]


def _understood(abi: Abi) -> dict[str, str]:
    """The version string that a release wants of each component that it reads."""
    found = {"root": abi.root.compatible, "reserve_mem": abi.reserve_mem.compatible}
    if abi.kho_test:
        found["kho_test"] = abi.kho_test.compatible
    if abi.luo:
        found["luo"] = abi.luo.compatible
        found |= {parse(handler).name: handler for handler in abi.luo.handlers}
    if abi.metadata is not None:
        found["kexec-metadata"] = str(abi.metadata)
    return found
