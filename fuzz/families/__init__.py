"""All families by name."""

from __future__ import annotations

from fuzz.families import blobs, files, maps, payloads, whole

FAMILIES = {
    family.name: family
    for group in (blobs, maps, payloads, whole, files)
    for family in group.FAMILIES
}
