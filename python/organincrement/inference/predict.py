"""Segmenting one scan: canonical grid in, original grid out, a memory budget in between."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from organincrement.contract.model import Inference, ModelManifest
from organincrement.imaging.body_axis import places_along_body_mm
from organincrement.imaging.conventions import CONVENTIONS, Convention
from organincrement.imaging.geometry import like_original
from organincrement.imaging.perturbation import perturb
from organincrement.imaging.preprocessing import to_network_grid
from organincrement.imaging.volume import Volume
from organincrement.inference.boxes import AxisMap, parts
from organincrement.inference.memory import free_gpu_memory, whose_memory
from organincrement.inference.merging import Claim
from organincrement.inference.readout import Readout
from organincrement.inference.reduce import as_percent
from organincrement.inference.tiles import axis_maps, tiles
from organincrement.inference.windows import Box, Windows, average_windows, mirror_sets

UncertaintyKind = Literal["none", "entropy", "perturbation"]

_PERTURBATIONS = 6  # where the model names none; arXiv 2103.05227: Q
_SMALLEST_BUDGET_BYTES = 4 * 2**20
_REDUCTION_BYTES = 4 * 12  # for each output voxel: the maps that label_and_entropy and the resampling hold at once
_CLAIM_BYTES = 12  # of each group with an anomaly, whose claim is kept until all are there


@dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """How to segment.

    budget_bytes: for the accumulated channels whatever their number, and again for turning them into labels.
    progress: told how often the network has run over a window of the scan, perturbed or not, and how often it will.
    """

    uncertainty: UncertaintyKind = "none"
    budget_bytes: int = 256 * 2**20
    seed: int = 0
    autocast: torch.dtype | None = None
    between: Callable[[], None] = field(default=lambda: None)
    progress: Callable[[int, int], None] = field(default=lambda done, total: None)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """On the original grid of the scan: labels (uint8 or uint16) and uncertainty (uint8, per cent of log C) or None.

    device: where the network ran at last.
    """

    labels_DHW: np.ndarray
    uncertainty_DHW: np.ndarray | None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def predict_within_memory(
    network: nn.Module,
    manifest: ModelManifest,
    image: Volume,
    device: torch.device,
    settings: PredictionSettings,
    notice: Callable[[str], None] = lambda line: None,
) -> Prediction:
    """`predict_volume`, in smaller and smaller tiles where memory does not suffice, then on the CPU if it is the GPU's.

    Args: notice: told of every such step, in a line. Raises: MemoryError, with what to do, where nothing helps.
    """
    budget_bytes = settings.budget_bytes
    while True:
        try:
            return predict_volume(
                network.to(device), manifest, image, device, replace(settings, budget_bytes=budget_bytes)
            )
        except (RuntimeError, MemoryError) as error:
            whose = whose_memory(error)
            if whose is None:
                raise
        free_gpu_memory()  # after the error is gone, and with it the tensors that it held
        if budget_bytes > _SMALLEST_BUDGET_BYTES:
            budget_bytes = max(_SMALLEST_BUDGET_BYTES, budget_bytes // 4)
            notice(f"out of {whose} memory: going on in smaller tiles, of {budget_bytes // 2**20} MiB")
        elif device.type != "cpu" and whose == "GPU":
            device, budget_bytes = torch.device("cpu"), settings.budget_bytes
            settings = replace(settings, autocast=None)
            notice("one window does not fit into GPU memory: going on on the CPU, which takes many times as long")
        else:
            raise MemoryError(
                f"there is not enough {whose} memory to segment this scan, even in the smallest tiles: "
                "close other programs, or use a computer with more memory"
            )


def predict_volume(
    network: nn.Module, manifest: ModelManifest, image: Volume, device: torch.device, settings: PredictionSettings
) -> Prediction:
    """Segment a scan with a package of any head.

    Args: network: in eval mode, on `device`. image: HU (or the model's channel), any orientation.
    """
    grid = to_network_grid(image, manifest.preprocessing, minimum_shape=tuple(manifest.inference.patch))
    readout = Readout.of(manifest.head, manifest.label_space)
    rules, asked = CONVENTIONS[manifest.preprocessing.convention], manifest.inference
    windows = Windows(
        shape=grid.image_DHW.shape, patch=tuple(asked.patch), step=asked.step, rules=rules,  # type: ignore[arg-type]
        even=asked.window == "constant",
    )  # fmt: skip
    channels = readout.channels * (2 if settings.uncertainty == "perturbation" else 1)
    whole = np.zeros(grid.scan_shape, np.uint8 if readout.classes <= 256 else np.uint16)
    whole_percent = np.zeros(grid.scan_shape, np.uint8) if settings.uncertainty != "none" else None
    labels, percent = whole[grid.place], None if whole_percent is None else whole_percent[grid.place]
    source, axes = torch.from_numpy(grid.image_DHW), axis_maps(grid, manifest.preprocessing)
    boxes = list(tiles(grid, axes, settings.budget_bytes // (4 * channels)))
    predict = _window_predictor(network, manifest, readout, settings, sum(windows.count(tile.box) for tile in boxes))
    places_mm = _places_mm(image, manifest, grid.place) if readout.has_ranges else None
    for tile in boxes:
        mean = average_windows(source, windows, tile.box, predict, channels, device, settings.between)
        if asked.average == "logits" and _as_p(asked):
            mean[: readout.channels] = readout.probabilities(mean[: readout.channels], 1.0)
        mean = _with_surroundings(mean, tile.inside, tile.read, _certain_background(manifest, readout))
        held = _Held(mean=mean, axes=axes, read=tile.read)
        for part in parts(tile.output, settings.budget_bytes // _reduction_bytes(readout)):
            along = None if places_mm is None else _part_of(places_mm, part).to(held.mean.device)
            found = _reduce(held, part, readout, asked, settings.uncertainty, along)
            labels[part] = found.labels.cpu().numpy()
            if percent is not None:
                percent[part] = as_percent(found.doubt).cpu().numpy()
    return Prediction(
        labels_DHW=_back(whole, image, manifest),
        uncertainty_DHW=None if whole_percent is None else _back(whole_percent, image, manifest),
        device=device,
    )


def _places_mm(image: Volume, manifest: ModelManifest, place: Box) -> Tensor:
    """Where along the body the voxels of a part of the scan lie, broadcasting to it."""
    return _part_of(torch.from_numpy(places_along_body_mm(image, manifest.preprocessing)), place)


def _reduction_bytes(readout: Readout) -> int:
    return _REDUCTION_BYTES + _CLAIM_BYTES * sum(any(group.hosts) for group in readout.groups)


def _back(array_DHW: np.ndarray, image: Volume, manifest: ModelManifest) -> np.ndarray:
    untransposed = array_DHW.transpose(np.argsort(manifest.preprocessing.axis_order))
    return np.ascontiguousarray(like_original(untransposed, image, manifest.preprocessing.orientation))


def _certain_background(manifest: ModelManifest, readout: Readout) -> Tensor:
    """What is averaged, logits or probabilities, and the mean under perturbation, of a voxel that is background."""
    p = readout.background_probabilities()
    return torch.cat([p if _as_p(manifest.inference) else readout.background_logits(), p])


def _as_p(asked: Inference) -> bool:
    """Whether it is probabilities that are resampled."""
    return "probabilities" in (asked.average, asked.resampled)


def _with_surroundings(mean: Tensor, inside: Box, read: tuple[slice, ...], certain: Tensor) -> Tensor:
    """Certain background around the tissue, so that all voxels read are there."""
    if inside == read:
        return mean
    shape = [r.stop - r.start for r in read]
    whole = certain[: mean.shape[0]].to(mean)[:, None, None, None].repeat(1, *shape)
    place = tuple(slice(i.start - r.start, i.stop - r.start) for i, r in zip(inside, read, strict=True))
    whole[(slice(None), *place)] = mean
    return whole


@dataclass(frozen=True, kw_only=True)
class _Held:
    """Averaged channels (C, D, H, W) on the voxels `read` of the network's grid."""

    mean: Tensor
    axes: tuple[AxisMap, ...]
    read: tuple[slice, ...]

    def resampled(self, channel: int, output: Box) -> Tensor:
        """One channel on these output voxels."""
        values = self.mean[channel].float()
        for axis, (axis_map, wanted, read) in enumerate(zip(self.axes, output, self.read, strict=True)):
            values = axis_map.interpolate(values, axis, wanted, read.start)
        return values.to(self.mean.dtype).float()  # nnU-Net keeps half precision to the end, and so decides ties


def _part_of(places_mm: Tensor, output: Box) -> Tensor:
    """Of places that broadcast to the output, those of a part."""
    return places_mm[tuple(s if n > 1 else slice(None) for s, n in zip(output, places_mm.shape, strict=True))]


def _reduce(
    held: _Held, output: Box, readout: Readout, asked: Inference, kind: UncertaintyKind, along_body_mm: Tensor | None
) -> Claim:
    def logits(channel: int) -> Tensor:
        values = held.resampled(channel, output)
        return readout.as_logits(values, channel) if _as_p(asked) else values

    def probabilities(channel: int) -> Tensor:
        return held.resampled(readout.channels + channel, output)

    return readout.reduce(logits, probabilities if kind == "perturbation" else None, asked.temperature, along_body_mm)


def _window_predictor(
    network: nn.Module, manifest: ModelManifest, readout: Readout, settings: PredictionSettings, window_count: int
) -> Callable[[Tensor, int], Tensor]:
    """What is averaged of a window, logits or probabilities; with perturbation, also the mean probabilities over Q
    perturbed copies of it."""
    mirrors, as_p = mirror_sets(manifest.inference.mirror_axes), manifest.inference.average == "probabilities"
    rules = CONVENTIONS[manifest.preprocessing.convention]
    temperature, asked = manifest.inference.temperature, manifest.uncertainty.perturbations
    copies = asked if asked > 0 else _PERTURBATIONS
    runs = window_count * (1 + copies if settings.uncertainty == "perturbation" else 1)
    ran = itertools.count(1)

    def answer(x_11DHW: Tensor) -> Tensor:
        logits_CDHW = network(x_11DHW)[0].float()
        return readout.probabilities(logits_CDHW, 1.0) if as_p else logits_CDHW

    def mirrored(x_11DHW: Tensor) -> Tensor:
        with _precision(rules, settings, x_11DHW.device.type):
            total = answer(x_11DHW)
            for axes in mirrors[1:]:
                total = total + answer(x_11DHW.flip([axis + 1 for axis in axes])).flip(axes)
        settings.progress(next(ran), runs)
        return total / len(mirrors) if len(mirrors) > 1 else total  # a copy of a hundred channels is large

    def probabilities(x_11DHW: Tensor) -> Tensor:
        found = mirrored(x_11DHW)
        return readout.probabilities(readout.all_as_logits(found) if as_p else found, temperature)

    @torch.inference_mode()
    def predict(x_11DHW: Tensor, number: int) -> Tensor:
        clean = mirrored(x_11DHW)
        if settings.uncertainty != "perturbation":
            return clean
        # a window that two boxes share must be perturbed alike in both
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + number)
        p = sum(probabilities(perturb(x_11DHW, generator)) for _ in range(copies))
        return torch.cat([clean, p / copies])  # type: ignore[operator]

    return predict


def _precision(rules: Convention, settings: PredictionSettings, device: str) -> torch.autocast:
    """In which the network works; as its own tool has it, because small organs are a matter of single voxels."""
    chosen = settings.autocast
    if rules.precision != "fastest":
        chosen = torch.float16 if rules.precision == "mixed" and device == "cuda" else None
    return torch.autocast(device, chosen, enabled=chosen is not None)
