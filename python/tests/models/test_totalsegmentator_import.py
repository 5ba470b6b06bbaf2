"""What a TotalSegmentator weights folder may hold, how it is described in our terms, and what is refused in a line."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_models.nnunet2_folder import edit_json
from foreign_models.totalsegmentator_folder import NAMES, TRAINER, Part, window, write_weights

from organincrement.contract.model import MultiHead, SoftmaxHead
from organincrement.models.errors import ModelError
from organincrement.models.formats import FORMATS, totalsegmentator
from organincrement.models.formats.foreign import Foreign, ImportOptions
from organincrement.models.formats.totalsegmentator_tasks import TASKS, TOTAL
from organincrement.workflows.import_model import ImportRequest, find_format, import_model

PARTS = [Part(number=number, classes=names) for number, names in TASKS["total"].parts.items()]
FAST = Part(number=297, classes=TOTAL, spacing_mm=3.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("results"), [*PARTS, FAST])


@pytest.fixture
def weights(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "results"))


def read(path: Path, **options: Any) -> Foreign:
    return totalsegmentator.read(path, ImportOptions(**options))


def test_the_classes_are_those_of_the_tool_in_its_order():
    # from the tool's own table of classes
    known = {
        1: "spleen", 2: "kidney_right", 9: "adrenal_gland_left", 13: "lung_middle_lobe_right", 23: "kidney_cyst_left",
        24: "kidney_cyst_right", 25: "sacrum", 26: "vertebrae_S1", 27: "vertebrae_L5", 32: "vertebrae_T12",
        43: "vertebrae_T1", 44: "vertebrae_C7", 50: "vertebrae_C1", 51: "heart", 54: "brachiocephalic_trunk",
        55: "subclavian_artery_right", 58: "common_carotid_artery_left", 59: "brachiocephalic_vein_left",
        61: "atrial_appendage_left", 64: "portal_vein_and_splenic_vein", 65: "iliac_artery_left",
        68: "iliac_vena_right",
        69: "humerus_left", 78: "hip_right", 79: "spinal_cord", 80: "gluteus_maximus_left", 89: "iliopsoas_right",
        90: "brain", 91: "skull", 92: "rib_left_1", 104: "rib_right_1", 115: "rib_right_12", 116: "sternum",
        117: "costal_cartilages",
    }  # fmt: skip
    assert len(TOTAL) == len(set(TOTAL)) == 117
    assert {value: TOTAL[value - 1] for value in known} == known
    assert [len(names) for names in TASKS["total"].parts.values()] == [24, 26, 18, 23, 26]


def test_five_networks_become_one_model(whole):
    foreign = read(whole)
    manifest = foreign.manifest
    assert manifest.name == "TotalSegmentator-total"
    assert [organ.name for organ in manifest.organs] == list(TOTAL)
    assert manifest.network.kind == "SideBySide"
    assert manifest.network.args["out_channels"] == 117 + 5
    assert isinstance(manifest.head, MultiHead)
    assert manifest.head.rule == "last"
    ids = [organ.id for organ in manifest.organs]
    assert [organ for head in manifest.head.heads for organ in head.organs] == ids
    seen = manifest.preprocessing
    assert (seen.orientation, seen.convention, seen.spacing_mm) == ("RAS", "totalsegmentator", (1.5, 1.5, 1.5))
    assert (seen.image_resampling, seen.output_resampling) == ("cubic", "nearest")
    assert (manifest.inference.step, manifest.inference.mirror_axes) == (0.8, ())
    assert any("5 networks side by side" in note for note in foreign.notes)


def test_what_lies_in_a_data_set_s_folder_is_no_plain_nnunet(whole):
    folder = whole / NAMES[297]
    inside = (folder, folder / TRAINER, folder / TRAINER / "fold_0", folder / TRAINER / "fold_0/checkpoint_final.pth")
    for path in inside:
        assert find_format(path) == "totalsegmentator", path.name
        manifest = read(path).manifest
        assert (manifest.name, len(manifest.organs)) == ("TotalSegmentator-total_fast", 117)
        assert (manifest.preprocessing.orientation, manifest.preprocessing.convention) == ("RAS", "totalsegmentator")
        assert manifest.inference.mirror_axes == ()
    assert not totalsegmentator.recognise(folder / TRAINER / "plans.json"), "a file beside the weights is no model"


def test_other_people_s_data_sets_of_the_same_number_are_passed_over(weights):
    other = weights / "Dataset291_MyLab"
    shutil.copytree(weights / NAMES[297], other)
    assert read(weights).manifest.name == "TotalSegmentator-total"
    assert read(other).manifest.name == "Dataset291_MyLab"
    shutil.copytree(weights / NAMES[291], weights / "Dataset291_TotalSegmentator_copy")
    with pytest.raises(ModelError, match="holds both Dataset291_TotalSegmentator_copy and Dataset291_Total"):
        read(weights)


def test_organs_have_their_codes(whole):
    organs = {organ.name: organ for organ in read(whole).manifest.organs}
    assert organs["liver"].type.value == "10200004"
    rib = organs["rib_right_7"]
    assert (rib.type.value, rib.modifier.meaning) == ("24915002", "Right")
    assert organs["vertebrae_S1"].type.value == "65985001"
    assert organs["atrial_appendage_left"].modifier.meaning == "Left"
    cyst = organs["kidney_cyst_left"]
    assert (cyst.kind, cyst.host) == ("anomaly", organs["kidney_left"].id)
    assert [name for name, organ in organs.items() if organ.type is None] == ["costal_cartilages"]
    assert len({(o.type, o.modifier, o.host) for o in organs.values()}) == 117


def test_a_user_names_an_organ(whole):
    organs = read(whole, labels={"rib cage cartilage": 117}).manifest.organs
    assert organs[116].name == "rib cage cartilage"


def test_it_is_written_as_a_package_within_seconds(whole, tmp_path):
    assert find_format(whole) == "totalsegmentator"
    made = import_model(ImportRequest(path=whole, out=tmp_path / "package"))
    assert made.format == "totalsegmentator"
    assert len(made.manifest.organs) == 117
    assert next(iter(FORMATS)) == "totalsegmentator", "its folders hold folders of nnU-Net"


def test_other_tasks_and_single_parts_are_chosen(whole):
    fast = read(whole, configuration="total_fast").manifest
    assert (fast.name, fast.inference.step, fast.preprocessing.spacing_mm[0]) == ("TotalSegmentator-total_fast", 0.5, 3)
    assert isinstance(fast.head, SoftmaxHead)
    for way in (read(whole, configuration="293"), read(whole / NAMES[293])):
        assert way.manifest.name == "TotalSegmentator-total-293"
        assert way.manifest.organs[0].id == "heart"
        assert way.manifest.inference.step == 0.8
        assert any("others' organs are missing" in note for note in way.notes)


def test_a_missing_part_is_named(weights):
    shutil.rmtree(weights / NAMES[293])
    with pytest.raises(ModelError, match=r"Dataset293_… of task total is missing.*--configuration 291"):
        read(weights)
    assert len(read(weights, configuration="291").manifest.organs) == 24


def test_a_half_copied_part_is_named(weights):
    (weights / NAMES[294] / TRAINER / "fold_0" / "checkpoint_final.pth").unlink()
    with pytest.raises(ModelError, match=r"Dataset294_.*checkpoint_final\.pth is missing"):
        read(weights)


def test_parts_that_do_not_belong_together_are_refused(weights):
    plans = weights / NAMES[295] / TRAINER / "plans.json"
    edit_json(plans, lambda plans: plans["configurations"]["base"].update(patch_size=[16, 16, 16]))
    with pytest.raises(ModelError, match="another patch than the first part"):
        read(weights)
    edit_json(plans, lambda plans: plans["configurations"]["base"].update(patch_size=[8] * 3, spacing=[2.0] * 3))
    with pytest.raises(ModelError, match=r"but task total of 1\.5 mm"):
        read(weights)


def test_a_part_of_another_version_is_refused(weights):
    shutil.rmtree(weights / NAMES[291])
    write_weights(weights, [replace(PARTS[0], classes=PARTS[0].classes[:-1])])
    with pytest.raises(ModelError, match="has 23 classes, but task total has 24"):
        read(weights)


def test_parts_with_windows_of_their_own_share_one_that_holds_all(tmp_path):
    parts = [replace(part, window=window(part.number - 291)) for part in PARTS]
    foreign = read(write_weights(tmp_path, parts))
    shared = foreign.manifest.preprocessing.normalisation
    assert shared.clip_hu == (-180.0, 260.0)
    assert (shared.mean, shared.std) == (60.5, 120.0), "no whole HU is exactly 0"
    own = foreign.manifest.network.args["parts"][2]["window"]
    hu = torch.tensor([-500.0, -100, 0, 100, 500])
    given = (hu.clamp(*shared.clip_hu) - shared.mean) / shared.std
    found = (given * own["scale"] + own["shift"]).clamp(own["low"], own["high"])
    torch.testing.assert_close(found, (hu.clamp(-130, 200) - 74) / 138)


def test_a_data_set_that_is_in_no_table_is_imported_by_what_it_says(tmp_path):
    part = Part(number=258, classes=("lung_vessels", "lung_trachea_bronchia"), spacing_mm=0.7)
    folder = write_weights(tmp_path, [part]) / NAMES[258]
    foreign = read(folder)
    assert [organ.name for organ in foreign.manifest.organs] == ["lung_vessels", "lung_trachea_bronchia"]
    assert (foreign.manifest.inference.step, foreign.manifest.preprocessing.spacing_mm[0]) == (0.5, 0.7)
    assert any("is not known here" in note for note in foreign.notes)


def test_other_folders_are_not_taken_for_it(tmp_path):
    (tmp_path / "Dataset291_Mine").mkdir()
    (tmp_path / "Dataset007_TotalSegmentator").mkdir()
    assert not totalsegmentator.recognise(tmp_path)
    assert not totalsegmentator.recognise(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="holds no folder such as Dataset291"):
        read(tmp_path / "Dataset007_TotalSegmentator" / "x")
