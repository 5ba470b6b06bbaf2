"""Weights folders as TotalSegmentator keeps them: one nnU-Net v2 results folder for each data set, all networks tiny.

Each part has its own window of intensities, as plans of different labels have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_models.nnunet2_folder import Nnunet2, checkpoint_of, edit_json, network_of, write_folder
from scipy import ndimage
from torch import nn

TRAINER = "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres"
NAMES = {
    291: "Dataset291_TotalSegmentator_part1_organs_1559subj",
    292: "Dataset292_TotalSegmentator_part2_vertebrae_1532subj",
    293: "Dataset293_TotalSegmentator_part3_cardiac_1559subj",
    294: "Dataset294_TotalSegmentator_part4_muscles_1559subj",
    295: "Dataset295_TotalSegmentator_part5_ribs_1559subj",
    297: "Dataset297_TotalSegmentator_total_3mm_1559subj",
    298: "Dataset298_TotalSegmentator_total_6mm_1559subj",
    258: "Dataset258_lung_vessels_248subj",
}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One data set. window: what its plans say of intensities; None: what all of nnunet2_folder's models say."""

    number: int
    classes: Sequence[str]
    spacing_mm: float = 1.5
    window: dict[str, float] | None = None

    @property
    def model(self) -> Nnunet2:
        """As a model of nnU-Net v2."""
        labels = {"background": 0, **{name: value for value, name in enumerate(self.classes, start=1)}}
        return Nnunet2(labels=labels, spacing_mm=(self.spacing_mm,) * 3, mirror_axes=(0, 1, 2))

    @property
    def network(self) -> nn.Module:
        """Its network, which sees background in about two thirds of a scan, so that parts show beside each other."""
        network = network_of(self.model, self.number)
        blobs = ndimage.gaussian_filter(np.random.default_rng(self.number).normal(size=(16, 16, 16)), 1.5)
        with torch.no_grad():
            scan = torch.from_numpy(blobs / blobs.std() * 0.5).float()[None, None]
            logits = network(scan)[0]
            last = network.decoder.seg_layers[-1].bias
            last[0] += torch.quantile(logits[1:].amax(0) - logits[0], 0.65)
        return network


def window(number: int) -> dict[str, float]:
    """A window for each part."""
    return {
        "mean": 60.0 + 7 * number, "std": 120.0 + 9 * number, "percentile_00_5": -180.0 + 25 * number,
        "percentile_99_5": 260.0 - 30 * number, "median": 55.0,
    }  # fmt: skip


def write_weights(root: Path, parts: Sequence[Part]) -> Path:
    """Write a folder for each part. Returns: the root."""
    for part in parts:
        folder = write_folder(root / NAMES[part.number] / TRAINER, part.model)
        checkpoint = {**checkpoint_of(part.model, "0"), "network_weights": part.network.state_dict()}
        torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
        if part.window is not None:
            edit_json(folder / "plans.json", lambda plans, own=part.window: _set_window(plans, own))
    return root


def _set_window(plans: dict[str, Any], own: dict[str, float]) -> None:
    plans["foreground_intensity_properties_per_channel"]["0"].update(own)
