"""Whether a package's weights and lineage are what its manifest says: hashes of files, and the chain of ancestors."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from organincrement.contract.model import LineageStep, ModelManifest
from organincrement.contract.package import manifest_sha256, read_manifest

SHORT = 12  # characters of a hash that people are shown


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A package whose files are those that its manifest describes.

    sha256: of model.json. broken: what does not hold of the chain of ancestors, one line each. seen: which ancestors
    (by hash) were at hand and are indeed what the lineage names.
    """

    manifest: ModelManifest
    sha256: str
    broken: tuple[str, ...]
    seen: frozenset[str]


def chain_breaks(manifest: ModelManifest, sha256: str) -> list[str]:
    """What cannot be true of a lineage, going by itself."""
    found, known = [], {sha256: manifest.name}
    for step in manifest.lineage:
        if not re.fullmatch("[0-9a-f]{64}", step.sha256):
            found.append(f"ancestor '{step.name}' has no proper SHA-256")
        elif step.sha256 in known:
            found.append(f"ancestor '{step.name}' has the SHA-256 of '{known[step.sha256]}'")
        known[step.sha256] = step.name
    return found


def compared_with(manifest: ModelManifest, ancestors: Sequence[Path]) -> tuple[list[str], set[str]]:
    """What ancestors at hand say of a lineage: what does not hold, and the hashes of those that it names rightly."""
    steps = {step.sha256: place for place, step in enumerate(manifest.lineage)}
    broken, seen = [], set()
    for path in ancestors:
        own, sha256 = read_manifest(path), manifest_sha256(path)
        if sha256 not in steps:
            same_name = next((step for step in manifest.lineage if step.name == own.name), None)
            broken.append(_another(own.name, path, sha256, same_name))
            continue
        seen.add(sha256)
        before = {step.sha256 for step in manifest.lineage[: steps[sha256]]}
        broken += [
            f"ancestor '{own.name}' comes from '{step.name}' ({step.sha256[:SHORT]}), which the lineage lacks before it"
            for step in own.lineage
            if step.sha256 not in before
        ]
    return broken, seen


def _another(name: str, path: Path, sha256: str, same_name: LineageStep | None) -> str:
    if same_name is None:
        return f"{path.name}: '{name}' ({sha256[:SHORT]}) is no ancestor"
    named = same_name.sha256[:SHORT]
    return f"{path.name}: '{name}' has the SHA-256 {sha256[:SHORT]}, but the lineage names {named}: it was changed"


def lineage_lines(verified: Verified) -> list[str]:
    """The lineage for people, oldest first, the package itself last."""
    lines = [
        f"{step.sha256[:SHORT]}  {step.name}  ({step.method}, {step.made or 'day unknown'})"
        + ("  at hand, unchanged" if step.sha256 in verified.seen else "")
        for step in verified.manifest.lineage
    ]
    return [*lines, f"{verified.sha256[:SHORT]}  {verified.manifest.name}  (this package)"]
