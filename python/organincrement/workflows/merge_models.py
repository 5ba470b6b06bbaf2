"""`merge` from the scan on: every model segments it, then the segmentations are merged."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from organincrement.contract.model import ModelManifest, MultiDecoderHead
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.imaging.preflight import image_stem
from organincrement.inference.predict import UncertaintyKind
from organincrement.models.package import load_package
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.merge import Merged, MergeRequest, check_order, check_out, merge
from organincrement.workflows.merge_inputs import MergeInput, Range
from organincrement.workflows.scan_in_work import Working, nobody_asks
from organincrement.workflows.segment import SegmentRequest, segment

PARTS = "parts"


@dataclass(frozen=True, kw_only=True)
class MergeModelsRequest:
    """Which models segment which scan; the rest as of `MergeRequest` and `SegmentRequest`.

    working: told of the models that are done, of how many and the merge, and of windows.
    """

    models: Sequence[Path]
    image: Path
    merging: MergeRequest
    uncertainty: UncertaintyKind = "entropy"
    device: str = "auto"
    working: Working = nobody_asks


def merge_models(request: MergeModelsRequest) -> Merged:
    """Segment the scan with each model, into `out`/parts/<model>, and merge these.

    Raises: as `segment` and `merge`; a new folder then does not stay.
    """
    out = request.merging.out
    check_order(request.merging.order, len(request.models))
    check_out(out)
    manifests = [read_manifest(path) for path in request.models]
    _check(request.models, manifests)
    is_new = not out.exists()
    try:
        return _merged(request, manifests)
    except BaseException:
        if is_new:
            shutil.rmtree(out, ignore_errors=True)
        raise


def _check(models: Sequence[Path], manifests: Sequence[ModelManifest]) -> None:
    """Raise for packages that cannot be merged or are damaged, before a scan is segmented for nothing."""
    hashes = [manifest_sha256(path) for path in models]
    for one, sha256 in zip(manifests, hashes, strict=True):
        if hashes.count(sha256) > 1:
            raise WorkflowError(f"model '{one.name}': is there twice; name each model once")
        if one.preprocessing.channels != manifests[0].preprocessing.channels:
            seen = ", ".join(one.preprocessing.channels)
            raise WorkflowError(f"model '{one.name}' is for {seen}, '{manifests[0].name}' for another kind of scan")
    for path in models:
        load_package(path)


def _merged(request: MergeModelsRequest, manifests: Sequence[ModelManifest]) -> Merged:
    names = _told_apart([manifest.name for manifest in manifests])
    total = len(names) + 1
    folders: list[Path] = []
    for done, (path, name) in enumerate(zip(request.models, names, strict=True)):
        folders += segment(
            SegmentRequest(
                model=path, out=request.merging.out / PARTS / name, images=[request.image], device=request.device,
                uncertainty=request.uncertainty, between=request.merging.between, notice=request.merging.notice,
                working=_as_part(request.working, done, total, name),
            )
        )  # fmt: skip
    inputs = [MergeInput(path=path, ranges_mm=ranges_of(one)) for path, one in zip(folders, manifests, strict=True)]
    name = image_stem(request.image)
    request.working(len(names), total, name, 0, 1)
    return merge(
        replace(
            request.merging, inputs=inputs,
            working=lambda part, parts: request.working(len(names), total, name, part, parts),
        )
    )  # fmt: skip


def ranges_of(manifest: ModelManifest) -> dict[str, Range]:
    """Where along the body the organs of a package can lie, as far as its decoders tell."""
    if not isinstance(manifest.head, MultiDecoderHead):
        return {}
    return {organ: own for decoder in manifest.head.decoders for organ, own in (decoder.range_mm or {}).items()}


def _told_apart(names: Sequence[str]) -> list[str]:
    """Names of folders: a package's own name may hold anything; a second one of the same name gets its number."""
    plain = [re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-") or "model" for name in names]
    told: dict[str, str] = {}  # without their case, which some systems do not tell apart
    for name in plain:
        free = next(n for n in (name, *(f"{name}-{i}" for i in range(2, len(plain) + 1))) if n.casefold() not in told)
        told[free.casefold()] = free
    return list(told.values())


def _as_part(working: Working, done: int, total: int, name: str) -> Callable[[int, int, str, int, int], None]:
    def within(_done: int, _total: int, _name: str, part: int, parts: int) -> None:
        working(done, total, name, part, parts)

    return within
