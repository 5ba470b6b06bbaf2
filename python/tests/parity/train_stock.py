"""A script: plan, preprocess and train a small model with stock nnU-Net.

Run as `python train_stock.py DATASET_ID STEPS CHECKPOINT` with nnUNet_raw, nnUNet_preprocessed and nnUNet_results set.
The checkpoint's weights are where it starts, all but the last layers (nnU-Net's `-pretrained_weights`): from nothing a
CPU would need an hour until it finds its first organ.
"""

import json
import sys
from pathlib import Path

import torch
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import (
    nnUNetTrainerNoMirroring,
)
from nnunetv2.utilities.dataset_name_id_conversion import convert_id_to_dataset_name

CONFIGURATION, EPOCHS = "3d_small", 2
SMALL = {
    "inherits_from": "3d_fullres",
    "data_identifier": "nnUNetPlans_3d_small",
    "patch_size": [64, 56, 64],
    "batch_size": 2,
    "batch_dice": True,
}
LEVELS = {
    "n_stages": 4,
    "features_per_stage": [16, 32, 64, 96],
    "kernel_sizes": [[3, 3, 3]] * 4,
    "strides": [[1, 1, 1]] + [[2, 2, 2]] * 3,
    "n_conv_per_stage": [2, 2, 2, 2],
    "n_conv_per_stage_decoder": [1, 1, 1],
}


def main(dataset_id: int, steps: int, checkpoint: str) -> None:
    """All of it; the model lies where nnU-Net puts it, as fold_all."""
    extract_fingerprints([dataset_id], num_processes=1)
    plan_experiments([dataset_id])
    folder = Path(nnUNet_preprocessed) / convert_id_to_dataset_name(dataset_id)
    plans = with_small_configuration(folder / "nnUNetPlans.json")
    preprocess([dataset_id], configurations=[CONFIGURATION], num_processes=[1])
    torch.manual_seed(0)
    dataset = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    trainer = nnUNetTrainerNoMirroring(
        {**plans, "continue_training": False}, CONFIGURATION, "all", dataset, torch.device("cpu")
    )
    trainer.num_epochs, trainer.num_iterations_per_epoch = EPOCHS, max(1, steps // EPOCHS)
    trainer.num_val_iterations_per_epoch = 1
    trainer.initialize()
    load_pretrained_weights(trainer.network, checkpoint)
    trainer.run_training()


def with_small_configuration(file: Path) -> dict:
    """The planner's plans with a configuration that a CPU trains in minutes."""
    plans = json.loads(file.read_text(encoding="utf-8"))
    architecture = plans["configurations"]["3d_fullres"]["architecture"]
    small = {**architecture, "arch_kwargs": {**architecture["arch_kwargs"], **LEVELS}}
    plans["configurations"][CONFIGURATION] = {**SMALL, "architecture": small}
    file.write_text(json.dumps(plans, indent=2), encoding="utf-8")
    return plans


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
