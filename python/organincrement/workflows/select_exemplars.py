"""Choosing exemplars of the data that a model was trained on, and locking them into a vault (AeiSeg, CoRiSeg)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.vault import ChosenFor, Exemplar, Vault
from organincrement.evaluation.exemplar_report import render_exemplars
from organincrement.imaging.preprocessing import canonical_grid, grid_shape
from organincrement.imaging.safe_read import peek
from organincrement.inference.content import ContentVectors, trunk_activations, vgg_activations
from organincrement.inference.monte_carlo import CoarsestDropout, Doubter, windows_of
from organincrement.inference.readout import Readout
from organincrement.models.package import LoadedModel, load_package
from organincrement.networks.build import SIDE_BY_SIDE
from organincrement.networks.ensemble import Ensemble
from organincrement.networks.errors import NetworkError
from organincrement.networks.vgg import load_vgg16
from organincrement.replay.certainty import surest_slices
from organincrement.replay.facility_location import choose_facilities
from organincrement.replay.similarity import CosineSimilarity, DistanceSimilarity
from organincrement.replay.vault import VaultWriter, new_mark, placed, slab_starts
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.looking import hardware_for_scans
from organincrement.workflows.modality import check_modality
from organincrement.workflows.old_slabs import Features, OldSet, Slab, look_at_case

Progress = Callable[[int, int, str], None]
Patch = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class SelectRequest:
    """What to choose from, with what. The defaults are the paper's: k_c = 50, k_r = 30, 29 passes."""

    model: Path
    dataset: Path
    by: Literal["aeiseg", "coriseg"]
    out: Path
    most_certain: int = 50
    keep: int = 30
    passes: int = 29
    vgg: Path | None = None
    include: Sequence[str] = ("approved",)
    device: str = "auto"
    seed: int = 0
    progress: Progress = lambda done, total, name: None
    between: Callable[[], None] = lambda: None


@dataclass(frozen=True, kw_only=True)
class _Pick:
    """One choice: of which organ, as which, how uncertain, what is covered after it."""

    label: int
    rank: int
    uncertainty: float
    coverage: float


def select_exemplars(request: SelectRequest) -> Vault:
    """Look at the whole old set, choose, and write the vault.

    Raises: WorkflowError, ReplayError, NetworkError, ImageError or ContractError, each with one line; no vault then.
    """
    _check(request)
    model = load_package(request.model)
    _check_network(model)
    old = _old_set(request, model)
    writer = VaultWriter(request.out)
    try:
        slabs, features, words = _looked(request, model, old)
        picks = _chosen(request, slabs, features)
        if not picks:
            raise WorkflowError(f"{request.dataset.name}: no scan shows an organ of the model; give the old dataset")
        return _stored(request, model, old, slabs, picks, words, writer)
    except BaseException:
        writer.discard()
        raise


def _check(request: SelectRequest) -> None:
    for name, value, least in (
        ("--most-certain", request.most_certain, 1), ("--keep", request.keep, 1), ("--passes", request.passes, 2),
    ):  # fmt: skip
        if value < least:
            raise WorkflowError(f"{name} {value}: must be at least {least}")
    if request.vgg is not None and request.by != "coriseg":
        raise WorkflowError("--vgg: only coriseg looks at images with a VGG16; leave it out")


def _check_network(model: LoadedModel) -> None:
    """Only a network of which the coarsest level is known, and that has one, can be asked how sure it is."""
    try:
        CoarsestDropout(model.network)
    except NetworkError:
        raise WorkflowError(
            f"{model.manifest.name}: exemplars need one network whose coarsest level is known, and this model is "
            f"{_nature(model)}; choose them with a student of it, or with a model of one network trained on these scans"
        ) from None


def _nature(model: LoadedModel) -> str:
    if model.manifest.network.kind == SIDE_BY_SIDE:
        return "several networks side by side"
    return "an ensemble" if isinstance(model.network, Ensemble) else f"a {model.manifest.network.kind}"


def _old_set(request: SelectRequest, model: LoadedModel) -> OldSet:
    dataset = DatasetFolder.open(request.dataset)
    check_modality(dataset, model, "the model sees")
    if not any(model.organs.has(organ) for organ in dataset.label_space.organs):
        raise WorkflowError(f"{dataset.path.name}: has no organ of the model; give what it was trained on")
    cases = tuple(case for case in dataset.cases() if case.status in request.include)
    if not cases:
        raise WorkflowError(f"{dataset.path.name}: no case is {' or '.join(request.include)}")
    return OldSet(
        dataset=dataset, cases=cases, organs=model.organs, preprocessing=model.manifest.preprocessing,
        slab=model.manifest.inference.patch[0],
    )  # fmt: skip


def _looked(request: SelectRequest, model: LoadedModel, old: OldSet) -> tuple[list[Slab], np.ndarray, str]:
    """Every slab of the old set, the features (n, F) of all of them, and what the features are."""
    hardware = hardware_for_scans(request.device)
    manifest = model.manifest
    patch: Patch = tuple(manifest.inference.patch)  # type: ignore[assignment]
    doubter = Doubter(
        network=model.network.to(hardware.device), readout=Readout.of(manifest.head, model.organs),
        temperature=manifest.inference.temperature, device=hardware.device, passes=request.passes, seed=request.seed,
        between=request.between,
    )  # fmt: skip
    features, words = _features(request, old, doubter, patch)
    slabs: list[Slab] = []
    vectors: list[np.ndarray] = []
    for number, case in enumerate(old.cases):
        found, seen = look_at_case(old, number, len(slabs), doubter, features, patch)
        slabs, vectors = slabs + found, vectors + seen
        request.progress(number + 1, len(old.cases), case.id)
    return slabs, np.stack(vectors), words()


def _features(
    request: SelectRequest, old: OldSet, doubter: Doubter, patch: Patch
) -> tuple[Features, Callable[[], str]]:
    if request.by == "aeiseg":
        said = "cosine of the activations of the network's coarsest level, averaged over positions"
        return lambda slab_DHW: doubter.abstraction(windows_of(slab_DHW, patch)), lambda: said
    if request.vgg is not None:
        looks = vgg_activations(load_vgg16(request.vgg), doubter.device)
        said = f"a VGG16 (the user's weights, SHA-256 {sha256_file(request.vgg)[:12]}…)"
    else:
        looks = trunk_activations(doubter.network, patch, doubter.device)
        said = "the segmentation network itself, for want of the weights of a VGG16"
    vectors = ContentVectors(activations=looks, count=_count(old), seed=request.seed)
    return vectors.of, lambda: f"content distance by all convolutions of {said}; distances are {vectors.words}"


def _count(old: OldSet) -> int:
    """About how many slabs there will be: scans as they lie, from their headers."""
    count = 0
    for case in old.cases:
        shape, spacing_mm = canonical_grid(peek(old.dataset.image_path(case)), old.preprocessing.orientation)
        count += len(slab_starts(grid_shape(shape, spacing_mm, old.preprocessing)[0], old.slab))
    return count


def _chosen(request: SelectRequest, slabs: Sequence[Slab], features: np.ndarray) -> dict[int, list[_Pick]]:
    """Of each slab that is chosen for anything, what for; slabs in the order in which room is given to them."""
    similarity = CosineSimilarity(features) if request.by == "aeiseg" else DistanceSimilarity(features)
    picks: dict[int, list[_Pick]] = {}
    orders: dict[str, list[int]] = {}
    for label in sorted({label for slab in slabs for label in slab.points}):
        shown = np.array([label in slab.points for slab in slabs])
        uncertainty = np.array([slab.uncertainty.get(label, np.inf) for slab in slabs])
        candidates = surest_slices(uncertainty, shown, request.most_certain)
        choice = choose_facilities(similarity, request.keep, candidates)
        orders[str(label)] = choice.order.tolist()
        for rank, (item, covered) in enumerate(zip(choice.order.tolist(), choice.coverage.tolist(), strict=True), 1):
            pick = _Pick(label=label, rank=rank, uncertainty=float(uncertainty[item]), coverage=covered)
            picks.setdefault(item, []).append(pick)
    return {item: picks[item] for item in placed(orders)}


def _stored(
    request: SelectRequest, model: LoadedModel, old: OldSet, slabs: Sequence[Slab], picks: Mapping[int, list[_Pick]],
    words: str, writer: VaultWriter,
) -> Vault:  # fmt: skip
    """Read the chosen slabs' scans once more, keep the slabs, and seal the vault."""
    number_of = {item: number for number, item in enumerate(picks, start=1)}
    place_of = {(slabs[item].case, slabs[item].start): item for item in picks}
    kept: dict[int, Exemplar] = {}
    for case in sorted({slabs[item].case for item in picks}):
        request.between()
        for start, image_DHW, _ in old.slabs(case):
            item = place_of.get((case, start))
            if item is None:
                continue
            file, digest, size = writer.store(number_of[item], image_DHW)
            kept[number_of[item]] = Exemplar(
                file=file, sha256=digest, bytes=size, shape=image_DHW.shape,
                chosen_for=tuple(_reason(pick, slabs[item], model) for pick in picks[item]),
            )  # fmt: skip
    salt, mark = new_mark()
    vault = Vault(
        model_sha256=model.sha256, preprocessing=old.preprocessing, slab=old.slab, by=request.by, features=words,
        salt=salt, machine=mark, exemplars=tuple(kept[number] for number in sorted(kept)),
    )  # fmt: skip
    page = render_exemplars(vault, slabs=len(slabs), candidates=request.most_certain, passes=request.passes)
    writer.seal(vault, page)
    return vault


def _reason(pick: _Pick, slab: Slab, model: LoadedModel) -> ChosenFor:
    return ChosenFor(
        organ=model.organs.ids[pick.label - 1], rank=pick.rank, uncertainty=pick.uncertainty, coverage=pick.coverage,
        point=slab.points[pick.label],
    )  # fmt: skip
