"""What can be merged, what is refused and in which words, and what a merge leaves on disk."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from merge_inputs_made_up import SHAPE, box, drawn, labels, merged, segmented, space, volume

from organincrement.contract.errors import ContractError
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import MOST_CONFLICTS, MergeConflict
from organincrement.imaging.errors import ImageError
from organincrement.imaging.segments import read_segments
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_segmentation, write_volume
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.merge import MergeRequest, merge
from organincrement.workflows.merge_inputs import MergeInput, open_input
from organincrement.workflows.merge_models import _told_apart
from organincrement.workflows.merge_words import in_words

ORGAN = box((1, 5), (1, 7), (0, 6))
OTHER = box((1, 5), (1, 7), (4, 9))


def shifted(array_DHW: np.ndarray) -> Volume:
    """On a grid that begins two slices lower."""
    return volume(array_DHW, origin_mm=(-5.0, 20.0, 94.0))


@pytest.fixture
def spleen(tmp_path):
    return segmented(tmp_path / "spleen", labels((1, ORGAN)), space("spleen"), 10)


def test_the_merge_names_and_colours_every_organ_as_its_model_did(tmp_path, spleen):
    organs = space("liver", "kidney_left", "liver_tumour")
    done, _ = merged(tmp_path / "out", spleen, segmented(tmp_path / "b", labels(), organs))
    assert tuple(read_segments(done.folder / "segmentation.seg.nrrd").values()) == (
        *space("spleen").organs, *organs.organs,
    )  # fmt: skip


def test_another_grid_is_refused_and_looked_up_only_when_asked(tmp_path, spleen):
    moved = segmented(tmp_path / "b", labels((1, OTHER)), space("stomach"), 50, grid=shifted)
    with pytest.raises(WorkflowError, match=r"b: is not on the grid of spleen .*apart.*--resample"):
        merged(tmp_path / "out", spleen, moved)
    assert not (tmp_path / "out").exists()
    done, found = merged(tmp_path / "out", spleen, moved, resample=True)
    assert (found[0:3, 1:7, 6:9] == 2).all() and not (found[3:] == 2).any()
    assert done.conflicts[0].volume_mm3 == 2 * 6 * 2 * 9.0


@pytest.mark.parametrize(("maps", "said"), [((10, None), ["b"]), ((10, 10), []), ((None, None), [])])
def test_a_segmentation_without_a_map_beside_one_with_a_map_is_said_to_count_as_certain(tmp_path, maps, said):
    organs, told = (space("spleen"), space("stomach")), []
    one, other = (
        segmented(tmp_path / name, labels((1, OTHER)), organ, doubt)
        for name, organ, doubt in zip("ab", organs, maps, strict=True)
    )
    merged(tmp_path / "out", one, other, notice=told.append)
    assert [line.split(":")[0] for line in told] == said


def test_another_scan_far_away_is_refused_even_when_resampled(tmp_path, spleen):
    far = segmented(
        tmp_path / "b", labels((1, OTHER)), space("stomach"), grid=lambda a: volume(a, origin_mm=(900.0, 0, 0))
    )
    with pytest.raises(WorkflowError, match="b: lies outside"):
        merged(tmp_path / "out", spleen, far, resample=True)


def test_a_label_that_is_not_declared_is_refused_wherever_it_lies(tmp_path, spleen):
    stray = drawn(tmp_path / "b.nii.gz", labels((1, OTHER), (9, box((5, 6), (7, 8), (9, 10)))), stomach=1)
    with pytest.raises(ImageError, match=r"b\.nii\.gz: has undeclared label values 9"):
        merged(tmp_path / "out", spleen, stray)
    assert not (tmp_path / "out").exists()


def test_labels_without_names_are_refused_with_the_way_to_give_them(tmp_path, spleen):
    nameless = MergeInput(path=drawn(tmp_path / "b.nii.gz", labels((1, OTHER))).path)
    with pytest.raises(WorkflowError, match=r"b\.nii\.gz:liver=1"):
        merged(tmp_path / "out", spleen, nameless)


def test_a_segmentation_without_a_voxel_is_merged_like_any(tmp_path, spleen):
    done, found = merged(tmp_path / "out", spleen, segmented(tmp_path / "b", labels(), space("stomach"), 0))
    assert done.conflicts == [] and (found == 1).sum() == 4 * 6 * 6
    assert in_words(done) == ["1 of 2 organs found", "nowhere do two segmentations claim different organs at one place"]


def test_two_without_a_voxel_give_one_without_a_voxel(tmp_path):
    empty = [segmented(tmp_path / name, labels(), space("spleen"), 0) for name in "ab"]
    done, found = merged(tmp_path / "out", *empty)
    assert not found.any() and done.report.organs[0].volume_mm3 == 0


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_are_refused(tmp_path, spleen, count):
    with pytest.raises(WorkflowError, match="nothing to merge"):
        merged(tmp_path / "out", *[spleen] * count)


def test_the_folder_above_is_refused_by_the_names_of_what_lies_in_it(tmp_path, spleen):
    with pytest.raises(WorkflowError, match=r"name one of its folders: spleen"):
        merged(tmp_path / "out", spleen, MergeInput(path=tmp_path))


def test_an_input_is_never_written_over(tmp_path, spleen):
    other = segmented(tmp_path / "b", labels(), space("stomach"))
    with pytest.raises(WorkflowError, match="spleen: is itself to be merged"):
        merge(MergeRequest(out=tmp_path / "spleen", inputs=[spleen, other]))


def test_an_order_that_leaves_one_out_is_refused(tmp_path, spleen):
    with pytest.raises(WorkflowError, match="each of the 2"):
        merge(MergeRequest(out=tmp_path / "out", inputs=[spleen, spleen], order=[0, 0]))


def test_a_map_on_another_grid_or_beyond_100_per_cent_is_refused(tmp_path, spleen):
    write_volume(tmp_path / "moved.nrrd", shifted(labels()))
    write_volume(tmp_path / "hot.nrrd", volume(np.full(SHAPE, 101, np.uint8)))
    second = segmented(tmp_path / "b", labels(), space("stomach"))
    for name, says in (("moved", "not on the grid of its segmentation"), ("hot", "outside 0 to 100")):
        other = MergeInput(path=second.path, uncertainty=tmp_path / f"{name}.nrrd")
        with pytest.raises(ImageError, match=says):
            merged(tmp_path / "out", spleen, other)


def test_a_segmentation_given_twice_is_refused(tmp_path, spleen):
    with pytest.raises(WorkflowError, match="is there twice"):
        merged(tmp_path / "out", spleen, spleen)


def test_segmentations_of_two_files_are_merged_with_a_word_of_warning(tmp_path, spleen):
    said: list[str] = []
    other = segmented(tmp_path / "b", labels(), space("stomach"), 10, scan="6" * 64)
    merged(tmp_path / "out", spleen, other, notice=said.append)
    assert len(said) == 1 and "different files" in said[0]


def test_a_stopped_merge_leaves_nothing(tmp_path, spleen):
    def stop():
        raise KeyboardInterrupt

    other = segmented(tmp_path / "b", labels(), space("stomach"))
    with pytest.raises(KeyboardInterrupt):
        merge(MergeRequest(out=tmp_path / "out", inputs=[spleen, other], between=stop))
    assert not (tmp_path / "out").exists()


def test_a_file_cut_off_is_refused_before_anything_is_written(tmp_path, spleen):
    other = segmented(tmp_path / "b", np.random.default_rng(0).integers(0, 2, SHAPE).astype(np.uint8), space("stomach"))
    path = other.path / "segmentation.seg.nrrd"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ImageError, match="cut off"):
        merged(tmp_path / "out", spleen, other)
    assert not (tmp_path / "out").exists()


def test_a_segmentation_that_slicer_saved_is_read_by_its_names(tmp_path):
    organs = space("liver", "spleen")
    write_segmentation(tmp_path / "a.seg.nrrd", volume(labels((1, ORGAN), (2, OTHER))), organs)
    text = (tmp_path / "a.seg.nrrd").read_bytes()
    head, _, data = text.partition(b"\n\n")
    tissue = b"Segmentation category and type~SCT^85756007^Tissue~SCT^85756007^Tissue~^^~~^^~^^"
    lines = [
        line for line in head.split(b"\n") if not line.startswith((b"Segment0_", b"Segment1_"))
    ] + [
        b"Segment0_ID:=Segment_1", b"Segment0_Name:=Spleen", b"Segment0_LabelValue:=2",
        b"Segment0_Tags:=Segmentation.Status:inprogress|TerminologyEntry:" + tissue + b"|",
        b"Segment1_ID:=Segment_2", b"Segment1_Name:=left kidney", b"Segment1_LabelValue:=1",
        b"Segment1_Color:=0.5 0.25 1", b"Segment1_Tags:=TerminologyEntry:" + tissue + b"|",
    ]  # fmt: skip
    (tmp_path / "a.seg.nrrd").write_bytes(b"\n".join(lines) + b"\n\n" + data)
    found = read_segments(tmp_path / "a.seg.nrrd")
    assert {value: organ.id for value, organ in found.items()} == {2: "spleen", 1: "kidney_left"}
    assert found[2].type.value == "78961009" and found[1].color == (128, 64, 255)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"Segment1_LabelValue:=2", b"Segment1_LabelValue:=1", "two of its segments have the value 1"),
        (b"Segment1_LabelValue:=2", b"Segment1_LabelValue:=-2", "no label value"),
        (b"Segment1_Name:=Spleen", b"Segment1_Name:=\xe8\x84\xbe", "give it an organ's name"),
        (b"Segment1_ID:=spleen", b"Segment1_ID:=liver", "the same organ"),
    ],
)
def test_segments_that_cannot_be_told_apart_are_refused(tmp_path, spleen, old, new, says):
    other = segmented(tmp_path / "b", labels((1, ORGAN), (2, OTHER)), space("liver", "spleen"))
    path = other.path / "segmentation.seg.nrrd"
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises((ImageError, WorkflowError), match=says):
        merged(tmp_path / "out", spleen, other)


def test_the_words_tell_the_largest_conflicts_and_count_the_rest(tmp_path, spleen):
    done, _ = merged(tmp_path / "out", spleen, segmented(tmp_path / "b", labels((1, OTHER)), space("stomach"), 10))
    assert in_words(done)[1:] == [
        "they disagree in 1 place, 0.43 ml in all; the largest first:",
        "  Spleen over Stomach: 0.43 ml at R -2, A -27, S 108 mm; both equally certain: the one named first stands",
    ]
    one = MergeConflict(a="spleen", b="stomach", volume_mm3=2.0, center_ras_mm=(0, 0, 0), winner="spleen", rule="order")
    many = in_words(type(done)(**{**vars(done), "conflicts": [one] * (MOST_CONFLICTS + 5)}))
    assert "  and 995 more, 1.99 ml: see conflicts.json" in many
    assert many[-1] == "conflicts.json has the largest 1000 of 1005"


def test_memory_is_that_of_the_result_and_a_slab(tmp_path):
    shape = (300, 256, 256)
    inputs = []
    for i, name in enumerate(("liver", "spleen", "stomach")):
        array_DHW = np.zeros(shape, np.uint8)
        array_DHW[20:280, 40 + 30 * i : 130 + 30 * i, 60:190] = 1
        percent = np.full(shape, 10 + i, np.uint8)
        percent[50:60, 100:110, 100:120] = 80
        inputs.append(segmented(tmp_path / name, array_DHW, space(name), percent))
    tracemalloc.start()
    done = merge(MergeRequest(out=tmp_path / "out", inputs=inputs))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # labels, uncertainty, and parts of a fixed size; the three inputs alone would be 6 bytes a voxel
    assert len(done.conflicts) > 1 and peak < 2 * int(np.prod(shape)) + 300 * 2**20, peak / 2**20
    assert (tmp_path / "out" / "uncertainty.nrrd").stat().st_size > 0


@pytest.mark.parametrize("names", [("left kidney", "right kidney"), ("liver tumour", "spleen tumour")])
def test_two_organs_of_one_id_are_refused_instead_of_becoming_one(tmp_path, names):
    inputs = []
    for name, where in zip(names, (ORGAN, OTHER), strict=True):
        organ = replace(organ_from_name(name), id="mine", name="Mine")
        inputs.append(segmented(tmp_path / name, labels((1, where)), LabelSpace((organ,))))
    with pytest.raises(ContractError, match=r"organ 'mine' .* here and .* there; they are two: rename one of them"):
        merged(tmp_path / "out", *inputs)
    assert not (tmp_path / "out").exists()


def test_an_organ_cut_off_by_the_first_ones_grid_is_told_with_what_is_left_of_it(tmp_path, spleen):
    said: list[str] = []
    moved = segmented(tmp_path / "b", labels((1, ORGAN), (2, OTHER)), space("liver", "stomach"), grid=shifted)
    own = open_input(moved, said.append)
    list(own.label_slabs(6, volume(labels())))
    assert said == [
        "b: on the first one's grid Liver has 0.648 of its 0.864 ml, Stomach has 0.81 of its 1.08 ml; where they reach "
        "beyond it, name the one with the largest grid first"
    ]
    list(own.label_slabs(6, volume(labels(shape=(12, 8, 10)), origin_mm=(-5.0, 20.0, 91.0))))
    assert len(said) == 1


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (["a", "a", "a-2"], ["a", "a-2", "a-2-2"]),
        (["a-2", "a", "A"], ["a-2", "a", "A-3"]),
        (["leber/1", "leber 1"], ["leber-1", "leber-1-2"]),
    ],
)
def test_models_of_like_names_get_a_folder_each(names, folders):
    assert _told_apart(names) == folders
