"""A package as an nnU-Net v2 folder: its plans build the same network from the library that nnU-Net uses.

The stock predictor itself runs on such folders in tests/parity.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import dynamic_network_architectures.architectures.unet as library
import pytest
import torch
from tiny_models import organs, preprocessing, tiny_manifest, tiny_network, tiny_spec
from torch import nn

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.model import (
    ModelManifest,
    MultiHead,
    Normalisation,
    OrganHead,
    SpacingRange,
    TrainedOn,
)
from organincrement.models.errors import ModelError
from organincrement.models.formats import nnunet2
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.formats.nnunet2_out import label_names, write
from organincrement.models.package import LoadedModel, Provenance, with_all_names
from organincrement.networks.build import build_network
from organincrement.networks.ensemble import Ensemble
from organincrement.networks.sizing import NetworkSpec

SPACE = organs("liver", "spleen")
SLICES = {"kernels": [[1, 3, 3]] * 2, "strides": [[1, 1, 1], [1, 2, 2]]}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("PlainConvUNet", {}),
    "residual": ("ResidualEncoderUNet", {}),
    "thick slices": ("PlainConvUNet", {"kernels": [[1, 3, 3], [3, 3, 3]], "strides": [[1, 1, 1], [1, 2, 2]]}),
    "batch norm": ("PlainConvUNet", {"norm": "batch", "nonlinearity": "relu"}),
    "dropout": ("ResidualEncoderUNet", {"bottleneck_dropout": 0.5}),
    "slices": ("PlainConvUNet", SLICES),
    "residual slices": ("ResidualEncoderUNet", SLICES),
}


def loaded(kind: str = "PlainConvUNet", changed: dict[str, Any] | None = None, **manifest: Any) -> LoadedModel:
    spec = NetworkSpec(kind=kind, args={**tiny_spec(3, kind).args, **(changed or {})})
    patch = (1, 8, 8) if changed == SLICES else (8, 8, 8)
    described = ModelManifest(**{**vars(tiny_manifest(SPACE, spec, patch=patch)), **manifest})
    made = Provenance(method="supervised", dataset_sha256="", made="2026-11-21")
    return LoadedModel(manifest=described, network=tiny_network(spec, scale=3), sha256="0" * 64, provenance=made)


def read(folder: Path, fold: int = 0) -> dict[str, Any]:
    return torch.load(folder / f"fold_{fold}" / "checkpoint_final.pth", weights_only=True)


def as_nnunet_builds_it(folder: Path) -> nn.Module:
    """From plans.json and the checkpoint alone."""
    checkpoint, plans = read(folder), json.loads((folder / "plans.json").read_text(encoding="utf-8"))
    configuration = plans["configurations"][checkpoint["init_args"]["configuration"]]
    architecture = configuration["architecture"]
    classes = {f"{c.__module__}.{c.__name__}": c for c in vars(nn).values() if isinstance(c, type)}
    settings = {
        key: classes[value] if key in architecture["_kw_requires_import"] and value else value
        for key, value in architecture["arch_kwargs"].items()
    }
    path, _, name = architecture["network_class_name"].rpartition(".")
    assert path == library.__name__
    labels = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["labels"]
    network = getattr(library, name)(input_channels=1, num_classes=len(labels), deep_supervision=False, **settings)
    network.load_state_dict(checkpoint["network_weights"])
    return network.eval()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_plans_build_a_network_with_the_same_logits(variant, tmp_path):
    model = loaded(*VARIANTS[variant])
    write(model, tmp_path)
    image_BCDHW = torch.randn(2, 1, *model.manifest.inference.patch, generator=torch.Generator().manual_seed(0))
    flat = model.manifest.inference.patch[0] == 1
    with torch.inference_mode():
        expected = model.network(image_BCDHW)
        found = as_nnunet_builds_it(tmp_path)(image_BCDHW[:, :, 0] if flat else image_BCDHW)
    assert torch.allclose(found[:, :, None] if flat else found, expected, atol=1e-5) and expected.std() > 0.1


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_folder_that_we_wrote_is_read_back_as_the_same_model(variant, tmp_path):
    kind, changed = VARIANTS[variant]
    keep = (0,) if changed == SLICES else ()
    alike = preprocessing(
        convention="nnunet", orientation="stored", image_resampling="cubic", axis_order=(1, 0, 2), keep_axes=keep
    )
    model = loaded(kind, changed, preprocessing=alike)
    write(model, tmp_path)
    found = nnunet2.read(tmp_path, ImportOptions())
    before, after = model.manifest, found.manifest
    assert (after.preprocessing, after.inference, after.organs) == (alike, before.inference, before.organs)
    network = build_network(after.network.kind, after.network.args).eval()
    (member,) = found.members
    network.load_state_dict(with_all_names(network, {name: tensor.read() for name, tensor in member.items()}))
    image_BCDHW = torch.randn(1, 1, *before.inference.patch, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(network(image_BCDHW), model.network(image_BCDHW))


def test_the_members_of_an_ensemble_are_folds(tmp_path):
    members = [tiny_network(tiny_spec(3), seed) for seed in (1, 2, 3)]
    notes = write(replace(loaded(), network=Ensemble(members)), tmp_path)
    assert "-f 0 1 2 " in notes[0]
    for fold, network in enumerate(members):
        stored = read(tmp_path, fold)
        assert stored["init_args"]["fold"] == fold
        assert all(torch.equal(stored["network_weights"][name], w) for name, w in network.state_dict().items())
    assert len(nnunet2.read(tmp_path, ImportOptions()).members) == 3


def test_scans_that_keep_their_spacing_are_not_resampled(tmp_path):
    steps = preprocessing(convention="nnunet", orientation="stored", keep_axes=(0, 1, 2))
    write(loaded(preprocessing=steps), tmp_path)
    configuration = json.loads((tmp_path / "plans.json").read_text(encoding="utf-8"))["configurations"]["3d_fullres"]
    assert configuration["resampling_fn_data"] == configuration["resampling_fn_probabilities"] == "no_resampling_hack"
    assert nnunet2.read(tmp_path, ImportOptions()).manifest.preprocessing.keep_axes == (0, 1, 2)


@pytest.mark.parametrize(
    ("convention", "ours", "theirs"),
    [
        ("nnunet", "rule", None), ("nnunet1", "rule", None), ("nnunet", "never", False), ("nnunet", "always", True),
        # whose rule is never to
        ("organincrement", "rule", False), ("totalsegmentator", "rule", False), ("organincrement", "always", True),
    ],
)  # fmt: skip
def test_whether_slices_are_resampled_one_by_one_is_said(convention, ours, theirs, tmp_path):
    write(loaded(preprocessing=preprocessing(convention=convention, slice_by_slice=ours)), tmp_path)
    configuration = json.loads((tmp_path / "plans.json").read_text(encoding="utf-8"))["configurations"]["3d_fullres"]
    assert configuration["resampling_fn_data_kwargs"]["force_separate_z"] is theirs


def test_plans_say_what_the_package_does_to_a_scan(tmp_path):
    trained = TrainedOn(
        modality="CT", cases=44, intensity_percentiles={"50": 31.0},
        spacing_mm=SpacingRange(min=(1, 1, 1), median=(2.5, 3, 3.5), max=(4, 4, 4)),
    )  # fmt: skip
    steps = preprocessing(orientation="RAS", axis_order=(1, 2, 0), spacing_mm=(2.0, 3.0, 4.0), image_resampling="cubic")
    write(loaded(preprocessing=steps, trained_on=trained), tmp_path)
    plans, dataset = (
        json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8")) for name in ("plans", "dataset")
    )
    configuration = plans["configurations"]["3d_fullres"]
    assert (plans["transpose_forward"], plans["transpose_backward"]) == ([1, 2, 0], [2, 0, 1])
    assert plans["image_reader_writer"] == "NibabelIOWithReorient"
    assert configuration["spacing"] == [2, 3, 4] and plans["original_median_spacing_after_transp"] == [2.5, 3, 3.5]
    orders = [configuration[f"resampling_fn_{what}_kwargs"]["order"] for what in ("data", "seg", "probabilities")]
    assert orders == [3, 1, 1] and configuration["normalization_schemes"] == ["CTNormalization"]
    intensities = plans["foreground_intensity_properties_per_channel"]["0"]
    assert (intensities["percentile_00_5"], intensities["percentile_99_5"]) == (-200, 300)
    assert (intensities["mean"], intensities["std"], intensities["median"]) == (20, 120, 31)
    assert dataset["labels"] == {"background": 0, "Liver": 1, "Spleen": 2} and dataset["numTraining"] == 44


def test_slices_become_a_2d_configuration(tmp_path):
    slices = preprocessing(spacing_mm=(5.0, 2.0, 3.0), orientation="LPS")
    model = loaded("PlainConvUNet", SLICES, preprocessing=slices)
    notes = write(model, tmp_path)
    configuration = json.loads((tmp_path / "plans.json").read_text(encoding="utf-8"))["configurations"]["2d"]
    assert configuration["patch_size"] == [8, 8] and configuration["spacing"] == [2, 3]
    assert read(tmp_path)["init_args"]["configuration"] == "2d"
    assert any("leaves the distance of slices" in note for note in notes)


def test_mirroring_is_counted_in_the_network_s_own_axes(tmp_path):
    plain = tiny_manifest(SPACE, tiny_spec(3), mirror_axes=(0, 2)).inference
    write(loaded(inference=plain), tmp_path)
    assert read(tmp_path)["inference_allowed_mirroring_axes"] == (0, 2)
    (tmp_path / "slices").mkdir()
    flat = tiny_manifest(SPACE, tiny_spec(3), mirror_axes=(1,), patch=(1, 8, 8)).inference
    write(loaded("PlainConvUNet", SLICES, inference=flat), tmp_path / "slices")
    assert read(tmp_path / "slices")["inference_allowed_mirroring_axes"] == (0,)
    (tmp_path / "none").mkdir()
    write(loaded(), tmp_path / "none")
    assert read(tmp_path / "none")["inference_allowed_mirroring_axes"] is None


def test_notes_say_how_it_is_run_and_what_will_differ(tmp_path):
    notes = " ".join(write(loaded(inference=tiny_manifest(SPACE, tiny_spec(3), step=0.7).inference), tmp_path))
    assert "-f 0 -step_size 0.7" in notes and "stored as LPS" in notes and "margin of zeros" in notes
    (tmp_path / "stock").mkdir()
    alike = preprocessing(convention="nnunet", orientation="stored", image_resampling="cubic")
    notes = write(loaded(preprocessing=alike), tmp_path / "stock")
    assert len(notes) == 1 and "nnUNetv2_predict_from_modelfolder" in notes[0]


def test_intensities_scaled_by_each_scan_are_expressed(tmp_path):
    scaled = preprocessing(normalisation=Normalisation(kind="zscore", masked=True), channels=("MR",))
    write(loaded(preprocessing=scaled), tmp_path)
    plans = json.loads((tmp_path / "plans.json").read_text(encoding="utf-8"))
    configuration = plans["configurations"]["3d_fullres"]
    assert configuration["normalization_schemes"] == ["ZScoreNormalization"]
    assert configuration["use_mask_for_norm"] == [True]
    assert plans["foreground_intensity_properties_per_channel"] == {"0": {}}


def test_names_that_nnunet_takes_otherwise_are_told_apart():
    def organ(organ_id: str, name: str) -> Organ:
        return Organ(id=organ_id, name=name, color=(1, 2, 3))

    space = LabelSpace((organ("a", "Node"), organ("b", "Node"), organ("ignore", "Ignore"), organ("c", "Lung")))
    assert label_names(space) == ("a", "b", "ignore_organ", "Lung")


@pytest.mark.parametrize("kind", ["DynUNet", "SegResNet", "PreActUNet", "MultiDecoder"])
def test_a_network_that_plans_cannot_name_is_refused_in_a_line(kind, tmp_path):
    with pytest.raises(ModelError, match=f"this network is a {kind}") as refused:
        write(loaded(kind), tmp_path)
    assert "\n" not in str(refused.value) and not list(tmp_path.iterdir())


def test_several_heads_are_refused_in_a_line(tmp_path):
    heads = MultiHead(heads=(OrganHead(organs=("liver",), prefix="a"), OrganHead(organs=("spleen",), prefix="b")))
    with pytest.raises(ModelError, match="multi-head") as refused:
        write(loaded(changed={"out_channels": 4}, head=heads), tmp_path)
    assert "\n" not in str(refused.value) and not list(tmp_path.iterdir())
