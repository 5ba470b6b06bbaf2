"""What of an nnU-Net v2 results folder cannot be followed is refused in one line; what sounds odd but can, is read."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_models.nnunet2_folder import Nnunet2, edit_json, write_folder

from organincrement.models.errors import ModelError
from organincrement.models.formats import nnunet2
from organincrement.models.formats.foreign import Foreign, ImportOptions

PLAIN = Nnunet2()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres", PLAIN)


def read(path: Path, **options: Any) -> Foreign:
    return nnunet2.read(path, ImportOptions(**options))


def of(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Change a key of the base configuration; None takes it away."""

    def change(plans: dict[str, Any]) -> None:
        *path, last = key.split(".")
        part = plans["configurations"]["base"]
        for name in path:
            part = part[name]
        part[last] = value

    return change


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "cascade": (of("previous_stage", "3d_lowres"), "previous_stage: the second of a cascade"),
    "normalisation": (of("normalization_schemes", ["RGBTo01Normalization"]), "RGBTo01Normalization.*not supported"),
    "rescaling": (of("normalization_schemes", ["RescaleTo01Normalization"]), "RescaleTo01.*not supported"),
    "resampling": (of("resampling_fn_data", "my_own_resampling"), "resampling_fn_data: 'my_own_resampling'"),
    "order of z": (of("resampling_fn_data_kwargs.order_z", 1), "order_z: 1 is not supported, only 0"),
    "forced z": (of("resampling_fn_data_kwargs.force_separate_z", 2), "force_separate_z: 2 is not supported"),
    "z forced one way": (of("resampling_fn_data_kwargs.force_separate_z", True), "is not done as resampling_fn_data"),
    "order": (of("resampling_fn_data_kwargs.order", 2), "order: 2 is not supported, only 1 and 3"),
    "output": (of("resampling_fn_probabilities_kwargs.order", 3), "only linear resampling of the output"),
    "preprocessor": (of("preprocessor_name", "MyPreprocessor"), "only DefaultPreprocessor"),
    "network": (of("architecture.network_class_name", "os.system"), "'os.system' is none of"),
    "layer": (of("architecture.arch_kwargs.nonlin", "builtins.eval"), "'builtins.eval' is none of"),
    "norm": (of("architecture.arch_kwargs.norm_op", "torch.nn.GroupNorm"), "'torch.nn.GroupNorm' is none of"),
    "option": (of("architecture.arch_kwargs.nonlin_first", True), "nonlin_first: True is an option"),
    "stages": (of("architecture.arch_kwargs.n_stages", 10**9), "n_stages: is 1000000000"),
    "features": (of("architecture.arch_kwargs.features_per_stage", [4, 10**9]), "'features' must be whole numbers"),
    "kernels": (of("architecture.arch_kwargs.kernel_sizes", "3"), "kernel_sizes: should have 2 values"),
    "spacing": (of("spacing", [1.0, 0.0, 1.0]), "spacing_mm .* must be at least"),
    "patch": (of("patch_size", [8]), "patch_size: should have 2 or 3 numbers"),
    "inheriting itself": (of("inherits_from", "3d_fullres"), "inherits from itself"),
    "axes": (lambda plans: plans.update(transpose_forward=[0, 0, 2]), "axis_order .* must hold 0, 1 and 2"),
    "reader": (lambda plans: plans.update(image_reader_writer="Tiff3DIO"), "'Tiff3DIO' is none of"),
    "no configurations": (lambda plans: plans.pop("configurations"), "plans.json: configurations: is missing"),
}


@pytest.mark.parametrize(("change", "says"), REFUSED.values(), ids=REFUSED)
def test_plans_that_cannot_be_followed_are_refused_in_one_line(folder, change, says):
    edit_json(folder / "plans.json", change)
    with pytest.raises(ModelError, match=says) as refused:
        read(folder)
    assert "\n" not in str(refused.value) and str(folder.parent) not in str(refused.value)


LABELS: dict[str, tuple[dict[str, Any], str]] = {
    "regions": ({"background": 0, "whole": [1, 2], "core": [2]}, "'whole' is a region of several labels"),
    "no background": ({"liver": 1}, "background is missing"),
    "a gap": ({"background": 0, "liver": 1, "spleen": 3}, "1, 2, 3, … without a gap"),
    "text": ({"background": 0, "liver": "one"}, "'liver' has the value 'one'"),
}


@pytest.mark.parametrize(("labels", "says"), LABELS.values(), ids=LABELS)
def test_labels_without_a_channel_each_are_refused(folder, labels, says):
    edit_json(folder / "dataset.json", lambda dataset: dataset.update(labels=labels))
    with pytest.raises(ModelError, match=says):
        read(folder)


def test_several_input_channels_are_refused(tmp_path):
    model = replace(PLAIN, channel_names={"0": "T1", "1": "T2"})
    with pytest.raises(ModelError, match="2 input channels; only models of one"):
        read(write_folder(tmp_path / "model", model))


def test_plans_and_weights_that_do_not_belong_together_are_refused(tmp_path):
    folder = write_folder(tmp_path / "one", PLAIN)
    wider = replace(PLAIN, of_architecture={"features_per_stage": [4, 8]})
    residual = replace(PLAIN, residual=True)
    for model, says in ((wider, "has the shape .* and plans.json describes"), (residual, "is not of the network")):
        other = write_folder(tmp_path / "other", model)
        shutil.copytree(folder / "fold_0", other / "fold_0", dirs_exist_ok=True)
        with pytest.raises(ModelError, match=says):
            read(other)
        shutil.rmtree(other)


def test_another_configuration_than_the_weights_were_trained_for_is_refused(folder):
    with pytest.raises(ModelError, match="is of configuration 3d_fullres, not 2d"):
        read(folder, configuration="2d")


def test_a_checkpoint_without_weights_is_refused(folder):
    torch.save({"state_dict": {}}, folder / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(ModelError, match=r"fold_0/checkpoint_final.pth: holds no network_weights"):
        read(folder)


def test_plans_without_any_resampling_take_every_scan_as_it_is(tmp_path):
    nothing = {"resampling_fn_data": "no_resampling_hack", "resampling_fn_probabilities": "no_resampling_hack",
               "resampling_fn_data_kwargs": {}, "resampling_fn_probabilities_kwargs": {}}  # fmt: skip
    folder = write_folder(tmp_path / "model", replace(PLAIN, of_configuration=nothing))
    assert read(folder).manifest.preprocessing.keep_axes == (0, 1, 2)


def test_resampling_by_torch_is_linear(tmp_path):
    by_torch: dict[str, Any] = {}
    for what in ("resampling_fn_data", "resampling_fn_probabilities"):  # as nnUNetPlannerResEncL_torchres plans
        by_torch |= {what: "resample_torch_fornnunet", f"{what}_kwargs": {"is_seg": False, "force_separate_z": False}}
    folder = write_folder(tmp_path / "model", replace(PLAIN, of_configuration=by_torch))
    preprocessing = read(folder).manifest.preprocessing
    assert (preprocessing.image_resampling, preprocessing.slice_by_slice) == ("linear", "never")


def test_a_function_that_is_named_without_settings_takes_its_own(folder):
    """nnU-Net's, which are a cubic, never slice by slice; it brings logits back so as well, which is not done here."""

    edit_json(folder / "plans.json", lambda found: of("resampling_fn_data_kwargs", {})(found))
    with pytest.raises(ModelError, match="resampling_fn_probabilities: is not done as resampling_fn_data is"):
        read(folder)
    linear = {"is_seg": False, "order": 1}
    edit_json(folder / "plans.json", lambda found: of("resampling_fn_probabilities_kwargs", linear)(found))
    preprocessing = read(folder).manifest.preprocessing
    assert (preprocessing.image_resampling, preprocessing.slice_by_slice) == ("cubic", "never")
    edit_json(folder / "plans.json", lambda found: of("resampling_fn_probabilities_kwargs", {})(found))
    with pytest.raises(ModelError, match="only linear resampling of the output"):
        read(folder)
