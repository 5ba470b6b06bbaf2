"""Checking a package: every file by its hash, the lineage by itself and by the ancestors that are at hand."""

from collections.abc import Sequence
from pathlib import Path

from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.workflows.model_lineage import Verified, chain_breaks, compared_with
from organincrement.workflows.package_copy import check_weights, listed_weights


def verify_model(package: Path, ancestors: Sequence[Path] = ()) -> Verified:
    """Check a package. Raises: ContractError where a file is not the one listed, or `package` is none."""
    manifest, sha256 = read_manifest(package), manifest_sha256(package)
    for weights in listed_weights(manifest):
        check_weights(package, weights)
    broken, seen = compared_with(manifest, ancestors)
    return Verified(
        manifest=manifest, sha256=sha256, broken=(*chain_breaks(manifest, sha256), *broken), seen=frozenset(seen)
    )
