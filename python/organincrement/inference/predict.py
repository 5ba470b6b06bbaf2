"""Segmenting one scan: canonical grid in, original grid out, a memory budget in between."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from organincrement.contract.model import ModelManifest
from organincrement.imaging.body_axis import places_along_body_mm
from organincrement.imaging.conventions import CONVENTIONS
from organincrement.imaging.geometry import like_original
from organincrement.imaging.preprocessing import NetworkGrid, to_network_grid
from organincrement.imaging.volume import Volume
from organincrement.inference.answers import Accumulated, Asking, accumulating, window_predictor
from organincrement.inference.labelling import Labeller, part_of
from organincrement.inference.memory import free_gpu_memory, whose_memory
from organincrement.inference.readout import Readout
from organincrement.inference.slabs import Slab, averaged_slabs, planes_held
from organincrement.inference.tiles import Tile, axis_maps, tiles
from organincrement.inference.windows import Box, Windows

UncertaintyKind = Literal["none", "entropy", "perturbation"]

_SMALLEST_BUDGET_BYTES = 4 * 2**20


@dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """How to segment.

    own_precision: small organs are a matter of single voxels, so that a model of another tool is computed as that tool
    does it, and not as the hardware is fastest (autocast).
    budget_bytes: for the accumulated channels whatever their number, and again for turning them into labels.
    progress: told how often the network has run over a window of the scan, perturbed or not, and how often it will.
    """

    uncertainty: UncertaintyKind = "none"
    budget_bytes: int = 256 * 2**20
    seed: int = 0
    autocast: torch.dtype | None = None
    own_precision: bool = True
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
    readout, perturbed = Readout.of(manifest.head, manifest.label_space), settings.uncertainty == "perturbation"
    grid = to_network_grid(image, manifest.preprocessing, minimum_shape=tuple(manifest.inference.patch))
    whole = np.zeros(grid.scan_shape, np.uint8 if readout.classes <= 256 else np.uint16)
    whole_percent = np.zeros(grid.scan_shape, np.uint8) if settings.uncertainty != "none" else None
    labels, percent = whole[grid.place], None if whole_percent is None else whole_percent[grid.place]
    along_mm = _places_mm(image, manifest, grid.place) if readout.has_ranges else None
    with accumulating(network, manifest, readout, perturbed) as accumulated:
        work = _Work.on(grid, manifest, readout, accumulated, settings)
        for slab in work.slabs(network, device):
            for part, found, doubt in work.labeller.labelled(slab, along_mm):
                labels[part] = found.cpu().numpy()
                if percent is not None and doubt is not None:
                    percent[part] = doubt.cpu().numpy()
    del grid, work
    return Prediction(
        labels_DHW=_back(whole, image, manifest),
        uncertainty_DHW=None if whole_percent is None else _back(whole_percent, image, manifest),
        device=device,
    )


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One scan: its windows, its tiles, and how their averages become labels."""

    source: Tensor
    manifest: ModelManifest
    windows: Windows
    tiles: tuple[Tile, ...]
    labeller: Labeller
    settings: PredictionSettings

    @classmethod
    def on(
        cls, grid: NetworkGrid, manifest: ModelManifest, readout: Readout, accumulated: Accumulated,
        settings: PredictionSettings,
    ) -> "_Work":  # fmt: skip
        asked, axes = manifest.inference, axis_maps(grid, manifest.preprocessing)
        windows = Windows(
            shape=grid.image_DHW.shape, patch=tuple(asked.patch), step=asked.step,  # type: ignore[arg-type]
            rules=CONVENTIONS[manifest.preprocessing.convention], even=asked.window == "constant",
        )  # fmt: skip
        labeller = Labeller(
            readout=readout, asked=asked, accumulated=accumulated, axes=axes, doubt=settings.uncertainty != "none",
            certain_K=_certain_background(accumulated, readout), budget_bytes=settings.budget_bytes,
        )  # fmt: skip
        column_bytes = windows.sums.itemsize * accumulated.channels * planes_held(windows, axes[0])
        return cls(
            source=torch.from_numpy(grid.image_DHW), manifest=manifest, windows=windows, labeller=labeller,
            tiles=tuple(tiles(grid, axes, settings.budget_bytes // column_bytes)), settings=settings,
        )  # fmt: skip

    def slabs(self, network: nn.Module, device: torch.device) -> Iterator[Slab]:
        """Of all tiles."""
        readout, settings = self.labeller.readout, self.settings
        predict = window_predictor(
            network, self.manifest, readout, self.labeller.accumulated,
            Asking(
                uncertain=settings.uncertainty == "perturbation", seed=settings.seed, autocast=settings.autocast,
                own_precision=settings.own_precision,
                windows=sum(self.windows.count(tile.box) for tile in self.tiles), progress=settings.progress,
            ),
        )  # fmt: skip

        def finish(mean_CDHW: Tensor) -> None:
            if self.manifest.inference.average == "logits" and self.labeller.accumulated.as_p:
                mean_CDHW[: readout.channels] = readout.probabilities(mean_CDHW[: readout.channels], 1.0)

        for tile in self.tiles:
            yield from averaged_slabs(
                self.source, self.windows, tile, self.labeller.axes[0], predict,
                self.labeller.accumulated.channels, device, settings.between, finish,
            )  # fmt: skip


def _places_mm(image: Volume, manifest: ModelManifest, place: Box) -> Tensor:
    """Where along the body the voxels of a part of the scan lie, broadcasting to it."""
    return part_of(torch.from_numpy(places_along_body_mm(image, manifest.preprocessing)), place)


def _back(array_DHW: np.ndarray, image: Volume, manifest: ModelManifest) -> np.ndarray:
    untransposed = array_DHW.transpose(np.argsort(manifest.preprocessing.axis_order))
    return np.ascontiguousarray(like_original(untransposed, image, manifest.preprocessing.orientation))


def _certain_background(accumulated: Accumulated, readout: Readout) -> Tensor:
    """What is accumulated of a voxel that is background, and the mean under perturbation."""
    p = readout.background_probabilities()
    if accumulated.head is not None:
        return torch.cat([torch.zeros(accumulated.count), p])[: accumulated.channels + 1]
    return torch.cat([p if accumulated.as_p else readout.background_logits(), p])[: accumulated.channels]
