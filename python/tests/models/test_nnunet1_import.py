"""What an nnU-Net v1 folder may hold, how it is described in our terms, and what is refused in one line."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_models.nnunet1_folder import Nnunet1, network_of, write_folder

from organincrement.contract.model import Normalisation, SpacingRange
from organincrement.models.errors import ModelError
from organincrement.models.formats import FORMATS, nnunet1, nnunet2
from organincrement.models.formats.foreign import Foreign, ImportOptions
from organincrement.models.package import with_all_names
from organincrement.networks.build import build_network

PLAIN = Nnunet1()
SLICES = Nnunet1(
    configuration="2d", patch=(16, 8), pools=((2, 2),), kernels=((3, 3), (3, 3)), spacing_mm=(9.0, 2.0, 2.5)
)


def read(path: Path, **options: Any) -> Foreign:
    return nnunet1.read(path, ImportOptions(**options))


def built(foreign: Foreign) -> torch.nn.Module:
    described = foreign.manifest.network
    network = build_network(described.kind, described.args)
    weights = {name: tensor.read() for name, tensor in foreign.members[0].items()}
    network.load_state_dict(with_all_names(network, weights))
    return network.eval()


@pytest.mark.parametrize("model", [PLAIN, replace(PLAIN, legacy=True), SLICES, replace(PLAIN, convolutions=3)])
def test_the_network_answers_as_generic_unet(tmp_path, model):
    foreign = read(write_folder(tmp_path, model))
    x = torch.randn(1, 1, *model.patch)
    with torch.inference_mode():
        ours = built(foreign)(x if model.axes == 3 else x[:, :, None])
        theirs = network_of(model)(x)
    torch.testing.assert_close(ours if model.axes == 3 else ours[:, :, 0], theirs, atol=1e-4, rtol=1e-4)
    assert foreign.manifest.network.parameters == sum(p.numel() for p in built(foreign).parameters())


def test_everything_is_described_in_our_terms(tmp_path):
    foreign = read(write_folder(tmp_path, replace(PLAIN, transpose=(1, 0, 2), folds=("fold_0", "fold_1"))))
    manifest = foreign.manifest
    assert manifest.name == "Task006_Tiny-3d_fullres"
    assert [organ.id for organ in manifest.organs] == ["liver", "spleen"]
    assert manifest.organs[0].type.value == "10200004"
    seen = manifest.preprocessing
    assert (seen.orientation, seen.convention, seen.order) == ("stored", "nnunet1", "resample-then-normalise")
    assert (seen.axis_order, seen.spacing_mm, seen.image_resampling) == ((1, 0, 2), (3.0, 2.0, 2.0), "cubic")
    assert seen.normalisation == Normalisation(kind="ct", clip_hu=(-180.0, 260.0), mean=60.0, std=120.0)
    asked = manifest.inference
    assert (asked.step, asked.average, asked.mirror_axes) == (0.5, "probabilities", (0, 1, 2))
    assert manifest.trained_on.spacing_mm == SpacingRange(
        min=(1.0, 3.0, 2.0), median=(1.25, 4.0, 2.0), max=(1.5, 5.0, 2.0)
    )
    assert manifest.trained_on.cases == 2
    assert manifest.licence == "CC BY 4.0"
    assert len(foreign.members) == 2
    assert any("ensemble of 2 folds" in note for note in foreign.notes)
    assert not any("schmidt" in note for note in foreign.notes)


def test_slices_keep_their_distance(tmp_path):
    manifest = read(write_folder(tmp_path, SLICES)).manifest
    assert manifest.preprocessing.keep_axes == (0,)
    assert (manifest.inference.patch, manifest.inference.mirror_axes) == ((1, 16, 8), (1, 2))


def test_organs_without_names_are_asked_for(tmp_path):
    folder = write_folder(tmp_path, replace(PLAIN, named=False))
    foreign = read(folder)
    assert [organ.id for organ in foreign.manifest.organs] == ["class_1", "class_2"]
    assert any("--organs" in note for note in foreign.notes)
    assert [o.id for o in read(folder, labels={"liver": 1, "aorta": 2}).manifest.organs] == ["liver", "aorta"]


@pytest.mark.parametrize(("configuration", "stage", "spacing"), [("3d_lowres", 0, 6.0), ("3d_fullres", 1, 3.0)])
def test_the_stage_of_the_configuration_is_taken(tmp_path, configuration, stage, spacing):
    model = replace(PLAIN, stages=2, stage=stage, configuration=configuration)
    folder = write_folder(tmp_path, model)
    assert read(folder).manifest.preprocessing.spacing_mm[0] == spacing
    (folder / "fold_0" / "model_final_checkpoint.model.pkl").unlink()
    assert read(folder).manifest.preprocessing.spacing_mm[0] == spacing


def test_a_model_is_found_from_anywhere_in_its_folders(tmp_path):
    folder = write_folder(tmp_path / "nnUNet", PLAIN)
    model = folder / "fold_0" / "model_final_checkpoint.model"
    for path in (tmp_path / "nnUNet", folder.parent, folder, folder / "fold_0", model):
        assert nnunet1.recognise(path)
        assert not nnunet2.recognise(path)
        assert read(path).manifest.name == "Task006_Tiny-3d_fullres"
    write_folder(tmp_path / "nnUNet", SLICES)
    with pytest.raises(ModelError, match="choose with --configuration"):
        read(tmp_path / "nnUNet")
    assert read(tmp_path / "nnUNet", configuration="2d").manifest.name == "Task006_Tiny-2d"
    assert FORMATS["nnunet1"] == nnunet1.__name__


def test_folds_and_checkpoints_are_chosen(tmp_path):
    folder = write_folder(tmp_path, replace(PLAIN, folds=("fold_0", "fold_2", "all"), checkpoint="model_best"))
    foreign = read(folder)
    assert len(foreign.members) == 2, "of `all`, nnU-Net makes no use beside folds"
    assert any("model_best is taken" in note for note in foreign.notes)
    assert len(read(folder, folds=("all",)).members) == 1
    assert len(read(folder, folds=("2",), checkpoint="best").members) == 1
    with pytest.raises(ModelError, match="fold_1 is missing; there are: all, fold_0, fold_2"):
        read(folder, folds=("1",))
    with pytest.raises(ModelError, match=r"fold_0/model_final_checkpoint\.model is missing"):
        read(folder, checkpoint="final")


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _plans(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "fold_0" / "model_final_checkpoint.model.pkl"
        info = pickle.loads(file.read_bytes())
        change(info["plans"])
        file.write_bytes(pickle.dumps(info))

    return edit


def _weights(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "fold_0" / "model_final_checkpoint.model"
        tree = torch.load(file, weights_only=False)
        change(tree["state_dict"])
        torch.save(tree, file)

    return edit


def _stage(**changes: Any) -> Callable[[Path], None]:
    return _plans(lambda plans: plans["plans_per_stage"][0].update(changes))


class Runs:
    """What a hostile pickle holds."""

    def __reduce__(self) -> Any:
        return print, ("executed",)


REFUSED = {
    "no weights": (_without("fold_0/model_final_checkpoint.model"), r"checkpoint\.model is missing"),
    "several modalities": (_plans(lambda plans: plans.update(num_modalities=2)), "only models of one channel"),
    "another number of organs": (_plans(lambda plans: plans.update(num_classes=3)), "num_classes is 3"),
    "labels that do not fit": (_plans(lambda plans: plans.update(num_classes=3, all_classes=[1, 2, 3])), "3 labels"),
    "CT2": (_plans(lambda plans: plans["normalization_schemes"].update({0: "CT2"})), "CT2.*not supported"),
    "a preprocessor of its own": (_plans(lambda plans: plans.update(preprocessor_name="Mine")), "preprocessor_name"),
    "an odd patch": (_stage(patch_size=np.array([8])), "2 or 3 numbers"),
    "an odd spacing": (_stage(current_spacing=np.array([0.0, 1.0, 1.0])), "at least"),
    "an odd order of axes": (_plans(lambda plans: plans.update(transpose_forward=[0, 0, 1])), "axis_order"),
    "a command": (_plans(lambda plans: plans.update(num_modalities=Runs())), "num_modalities"),
    "no stage": (_plans(lambda plans: plans.update(plans_per_stage={})), "holds no stage"),
    "a missing level": (_weights(lambda state: state.pop("tu.0.weight")), "lacks a level|whole U-Net"),
    "a weight of something else": (_weights(lambda state: state.update(attention=torch.zeros(3))), "'attention'"),
    "a vector as convolution": (
        _weights(lambda state: state.update({"conv_blocks_context.0.blocks.0.conv.weight": torch.zeros(3)})),
        "lacks the weights of a convolution",
    ),
    "kernels of two sizes on a level": (
        _weights(lambda state: state.update({"conv_blocks_context.0.blocks.1.conv.weight": torch.ones(4, 4, 3, 3, 3)})),
        "several sizes on one level",
    ),
    "a stage of no number": (_plans(lambda plans: plans.update(plans_per_stage={"²": {}})), "holds no stage"),
    "another number of outputs": (
        _weights(lambda state: state.update({"seg_outputs.1.weight": torch.zeros(5, 4, 1, 1, 1)})), "5 output channels",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_imported_is_refused_in_one_line(tmp_path, damage, reason, capfd):
    folder = write_folder(tmp_path, PLAIN)
    damage(folder)
    with pytest.raises(ModelError, match=reason) as refused:
        read(folder)
    assert "\n" not in str(refused.value)
    assert "executed" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (replace(PLAIN, configuration="3d_cascade_fullres"), "second of a cascade"),
        (replace(PLAIN, trainer="nnUNetTrainerV2_GN"), "nnUNetTrainerV2_GN cannot be imported"),
        (replace(PLAIN, trainer="nnUNetTrainerV2CascadeFullRes"), "cannot be imported"),
        (replace(PLAIN, trainer="nnUNetTrainerV2_ResencUNet"), "cannot be imported"),
    ],
)
def test_other_networks_are_refused_by_their_trainer(tmp_path, model, reason):
    with pytest.raises(ModelError, match=reason):
        read(write_folder(tmp_path, model))


def test_a_trainer_that_is_not_known_and_postprocessing_are_spoken_of(tmp_path):
    folder = write_folder(tmp_path, replace(PLAIN, trainer="nnUNetTrainerV2_Mine"))
    (folder / "postprocessing.json").write_text("{}", encoding="utf-8")
    notes = " ".join(read(folder).notes)
    assert "trained by nnUNetTrainerV2_Mine" in notes
    assert "postprocessing.json" in notes


def test_strange_paths_are_no_models(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    for path in (tmp_path, tmp_path / "file", tmp_path / "nowhere"):
        assert not nnunet1.recognise(path)
