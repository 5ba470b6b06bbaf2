"""What an nnU-Net v2 folder may hold, how it is described in our terms, and what is refused in one line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_models.nnunet2_folder import Nnunet2, network_of, write_folder

from organincrement.contract.model import SpacingRange
from organincrement.models.errors import ModelError
from organincrement.models.formats import nnunet2
from organincrement.models.formats.foreign import Foreign, ImportOptions
from organincrement.models.package import with_all_names
from organincrement.networks.build import build_network

PLAIN = Nnunet2()
SLICES = Nnunet2(patch=(12, 8), spacing_mm=(2.0, 2.5), configuration="2d", mirror_axes=(0, 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres", PLAIN)


def read(path: Path, **options: Any) -> Foreign:
    return nnunet2.read(path, ImportOptions(**options))


def built(foreign: Foreign, member: int = 0) -> torch.nn.Module:
    described = foreign.manifest.network
    network = build_network(described.kind, described.args)
    network.load_state_dict(
        with_all_names(network, {name: tensor.read() for name, tensor in foreign.members[member].items()})
    )
    return network.eval()


NETWORKS = {
    "plain": PLAIN,
    "residual": replace(PLAIN, residual=True),
    "slices": SLICES,
    "residual slices": replace(SLICES, residual=True),
    "of old plans": replace(PLAIN, old_plans=True),
    "residual of old plans": replace(PLAIN, old_plans=True, residual=True),
    "slices of old plans": replace(SLICES, old_plans=True),
    "batch normalisation": replace(PLAIN, batch_norm=True),
    "without biases": replace(PLAIN, of_architecture={"conv_bias": False}),
    "with dropout": replace(
        PLAIN, of_architecture={"dropout_op": "torch.nn.Dropout3d", "dropout_op_kwargs": {"p": 0.25, "inplace": True}}
    ),
    "another slope and epsilon": replace(
        PLAIN,
        of_architecture={
            "nonlin_kwargs": {"inplace": True, "negative_slope": 0.2},
            "norm_op_kwargs": {"eps": 1e-3, "affine": False},
        },
    ),
    "rectified": replace(PLAIN, of_architecture={"nonlin": "torch.nn.ReLU"}),
    "flat kernels": replace(
        PLAIN, of_architecture={"kernel_sizes": [[1, 3, 3], [3, 3, 3]], "strides": [[1, 1, 1], [1, 2, 2]]}
    ),
}


@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS)
def test_our_network_answers_as_nnunets_own(tmp_path, model):
    foreign = read(write_folder(tmp_path / "model", model))
    torch.manual_seed(1)
    x = torch.randn(1, 1, *model.patch)
    flat = len(model.patch) == 2
    with torch.inference_mode():
        expected = network_of(model)(x)
        found = built(foreign)(x[:, :, None] if flat else x)
    torch.testing.assert_close(found[:, :, 0] if flat else found, expected, atol=1e-4, rtol=1e-4)
    assert foreign.manifest.inference.patch == ((1, *model.patch) if flat else model.patch)


def test_a_plain_network_is_written_without_what_goes_without_saying(folder):
    assert read(folder).manifest.network.args == {
        "in_channels": 1, "out_channels": 3, "features": [4, 6], "blocks": [1, 2], "decoder_blocks": [1],
    }  # fmt: skip


def test_plans_are_described_in_our_terms(folder):
    manifest = read(folder).manifest
    preprocessing = manifest.preprocessing
    assert (manifest.name, manifest.licence) == ("Dataset007_Tiny-3d_fullres", "CC BY 4.0")
    assert [organ.id for organ in manifest.organs] == ["liver", "spleen"]
    assert (preprocessing.convention, preprocessing.orientation, preprocessing.keep_axes) == ("nnunet", "stored", ())
    assert preprocessing.spacing_mm == (3.0, 2.0, 2.0)
    assert (preprocessing.image_resampling, preprocessing.output_resampling) == ("cubic", "linear")
    assert preprocessing.normalisation.clip_hu == (-180.0, 260.0)
    assert manifest.trained_on.intensity_percentiles == {"0.5": -180.0, "50": 55.0, "99.5": 260.0}
    assert manifest.trained_on.spacing_mm == SpacingRange(min=(2.0,) * 3, median=(2.5,) * 3, max=(2.5,) * 3)
    assert (manifest.trained_on.modality, manifest.trained_on.cases) == ("CT", 2)
    assert (manifest.inference.step, manifest.inference.mirror_axes) == (0.5, ())


def test_slices_keep_their_distance_and_mirror_within_themselves(tmp_path):
    manifest = read(write_folder(tmp_path / "model", SLICES)).manifest
    assert manifest.preprocessing.keep_axes == (0,)
    assert manifest.preprocessing.spacing_mm == (4.0, 2.0, 2.5)
    assert manifest.inference.mirror_axes == (1, 2)
    assert manifest.network.args["kernels"] == [[1, 3, 3], [1, 3, 3]]


def test_each_weight_is_there_once_under_a_name_of_our_network(folder):
    foreign = read(folder)
    numbers = sum(tensor.read().numel() for tensor in foreign.members[0].values())
    assert numbers == foreign.manifest.network.parameters
    assert set(foreign.members[0]) <= set(built(foreign).state_dict())


def test_weights_of_parallel_or_compiled_training_are_known_by_their_names(folder):
    file = folder / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(file, weights_only=False)
    expected = {name: tensor.read() for name, tensor in read(folder).members[0].items()}
    weights = checkpoint["network_weights"]
    checkpoint["network_weights"] = {f"module._orig_mod.{name}": weight for name, weight in weights.items()}
    torch.save(checkpoint, file)
    for name, tensor in read(folder).members[0].items():
        assert torch.equal(tensor.read(), expected[name])


def test_the_organs_keep_their_names_and_an_ignored_label_is_no_organ(tmp_path):
    labels = {"background": 0, "LeftParotid": 1, "Something odd": 2, "ignore": 3}
    manifest = read(write_folder(tmp_path / "model", replace(PLAIN, labels=labels))).manifest
    assert [(organ.id, organ.name) for organ in manifest.organs] == [
        ("parotid_left", "LeftParotid"), ("something_odd", "Something odd")
    ]  # fmt: skip
    assert manifest.network.args["out_channels"] == 3


@pytest.mark.parametrize(
    ("channel", "modality"), [("CT", "CT"), ("ct", "CT"), ("T1w", "MR"), ("MRI", "MR"), ("PET", "PT"), ("OCT", "OCT")]
)
def test_the_modality_is_the_channels_name(tmp_path, channel, modality):
    model = replace(PLAIN, channel_names={"0": channel}, scheme="ZScoreNormalization", masked=True)
    folder = write_folder(tmp_path / "model", model)
    manifest = read(folder).manifest
    assert (manifest.preprocessing.channels, manifest.trained_on.modality) == ((modality,), modality)
    assert manifest.preprocessing.normalisation.masked
    assert read(folder, modality="CT").manifest.preprocessing.channels == ("CT",)


def test_folds_are_an_ensemble_and_one_can_be_chosen(tmp_path):
    folder = write_folder(tmp_path / "model", replace(PLAIN, folds=("0", "3", "all")))
    both = read(folder)
    assert len(both.members) == 2
    assert any("ensemble of 2 folds" in note for note in both.notes)
    for fold, seed in (("0", 0), ("3", 1), ("all", 2)):
        name = "decoder.seg_layers.0.bias"
        one = read(folder, folds=(fold,)).members
        assert len(one) == 1
        weights = torch.load(folder / f"fold_{fold}" / "checkpoint_final.pth", weights_only=False)["network_weights"]
        assert torch.equal(one[0][name].read(), weights[name]), seed
    assert read(folder / "fold_3").members[0].keys() == both.members[1].keys()
    assert len(read(folder / "fold_all" / "checkpoint_final.pth").members) == 1


def test_the_best_checkpoint_is_taken_where_there_is_no_last_one_and_this_is_said(tmp_path):
    folder = write_folder(tmp_path / "model", replace(PLAIN, checkpoint="checkpoint_best.pth"))
    assert any("no checkpoint_final.pth: checkpoint_best.pth is taken" in note for note in read(folder).notes)
    assert read(folder, checkpoint="best").members
    with pytest.raises(ModelError, match=r"model/fold_0/checkpoint_latest.pth is missing"):
        read(folder, checkpoint="latest")


def test_results_of_several_configurations_are_chosen_from(tmp_path):
    results = tmp_path / "Dataset007_Tiny"
    write_folder(results / "nnUNetTrainer__nnUNetPlans__3d_fullres", PLAIN)
    write_folder(results / "nnUNetTrainer__nnUNetPlans__2d", SLICES)
    assert nnunet2.recognise(results) and nnunet2.recognise(tmp_path)
    assert read(results, configuration="2d").manifest.inference.patch == (1, 12, 8)
    with pytest.raises(ModelError, match=r"several models .*3d_fullres.*--configuration"):
        read(results)
    with pytest.raises(ModelError, match="none of that configuration"):
        read(results, configuration="3d_lowres")


@pytest.mark.parametrize("missing", ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"])
def test_a_half_copied_folder_is_recognised_and_names_the_missing_file(folder, missing):
    (folder / missing).unlink()
    assert nnunet2.recognise(folder)
    with pytest.raises(ModelError, match=f"3d_fullres/{missing} is missing"):
        read(folder)


def test_one_fold_of_several_that_was_not_copied_is_named(tmp_path):
    folder = write_folder(tmp_path / "model", replace(PLAIN, folds=("0", "1")))
    (folder / "fold_1" / "checkpoint_final.pth").unlink()
    with pytest.raises(ModelError, match=r"model/fold_1/checkpoint_final.pth is missing.*--fold"):
        read(folder)
    assert len(read(folder, folds=("0",)).members) == 1
    with pytest.raises(ModelError, match=r"model/fold_7 is missing; there are: fold_0, fold_1"):
        read(folder, folds=("7",))


def test_without_a_fingerprint_the_spacings_are_unknown_and_this_is_said(folder):
    (folder / "dataset_fingerprint.json").unlink()
    foreign = read(folder)
    assert foreign.manifest.trained_on.spacing_mm is None
    assert any("dataset_fingerprint.json is missing" in note for note in foreign.notes)


def test_other_folders_are_not_recognised(tmp_path):
    (tmp_path / "plans.json").write_text("{}", encoding="utf-8")
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "model.pth").write_bytes(b"")
    for path in (tmp_path, tmp_path / "fold_0", tmp_path / "model.pth", tmp_path / "nothing", Path("/dev/null")):
        assert not nnunet2.recognise(path)
