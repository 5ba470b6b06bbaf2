"""Which of several segmentations stands at each voxel, on volumes small enough to reckon by hand."""

import numpy as np
import pytest
from merge_inputs_made_up import ORIGIN_MM, SHAPE, SPACING_MM, VOXEL_MM3, box, drawn, labels, merged, segmented, space

from organincrement.contract import codec
from organincrement.contract.results import Regions, SegmentReport
from organincrement.imaging.safe_read import read_stored
from organincrement.imaging.segments import read_segments
from organincrement.workflows.merge_words import in_words

LEFT, RIGHT = box((1, 5), (1, 7), (0, 6)), box((1, 5), (1, 7), (4, 9))
BOTH = box((1, 5), (1, 7), (4, 6))  # 4 × 6 × 2 voxels


def at(done, number=0):
    c = done.conflicts[number]
    return c.a, c.b, c.winner, c.rule


def test_the_more_certain_claim_stands_and_the_conflict_is_exact(tmp_path):
    first = segmented(tmp_path / "a", labels((1, LEFT)), space("spleen"), 30)
    second = segmented(tmp_path / "b", labels((1, RIGHT)), space("stomach"), 20)
    done, found = merged(tmp_path / "out", first, second)
    assert (found[BOTH] == 2).all() and (found == 1).sum() == 4 * 6 * 4 and (found == 2).sum() == 4 * 6 * 5
    (conflict,) = done.conflicts
    assert at(done) == ("spleen", "stomach", "stomach", "confidence")
    assert conflict.volume_mm3 == 48 * VOXEL_MM3
    x, y, z = (o + mm * i for o, mm, i in zip(ORIGIN_MM, SPACING_MM[::-1], (4.5, 3.5, 2.5), strict=True))
    assert conflict.center_ras_mm == (-x, -y, z)


def test_the_winner_keeps_its_own_uncertainty_and_elsewhere_the_greatest_stands(tmp_path):
    doubt = np.full(SHAPE, 40, np.uint8)
    doubt[BOTH] = 5
    first = segmented(tmp_path / "a", labels((1, LEFT)), space("spleen"), doubt)
    second = segmented(tmp_path / "b", labels((1, RIGHT)), space("stomach"), 10)
    done, found = merged(tmp_path / "out", first, second)
    percent = read_stored(tmp_path / "out" / "uncertainty.nrrd").array_DHW
    assert (found[BOTH] == 1).all() and (percent[BOTH] == 5).all()
    assert (percent[found == 2] == 10).all() and percent[0].tolist() == doubt[0].tolist()
    rows = {row.id: row for row in codec.read(SegmentReport, done.folder / "report.json").organs}
    assert rows["stomach"].mean_uncertainty == 10.0 and rows["stomach"].volume_mm3 == 4 * 6 * 3 * VOXEL_MM3
    assert codec.read(Regions, done.folder / "regions.json").regions[0].organ == "spleen"


def test_a_tie_goes_to_the_earlier_and_the_order_can_be_said(tmp_path):
    first = segmented(tmp_path / "a", labels((1, LEFT)), space("spleen"), 20)
    second = segmented(tmp_path / "b", labels((1, RIGHT)), space("stomach"), 20)
    done, found = merged(tmp_path / "out", first, second)
    assert (found[BOTH] == 1).all() and at(done) == ("spleen", "stomach", "spleen", "order")
    done, found = merged(tmp_path / "turned", first, second, order=[1, 0])
    assert (found[BOTH] == done.organs.index("stomach")).all() and at(done)[2:] == ("stomach", "order")


def test_label_files_without_a_map_count_as_certain(tmp_path):
    model = segmented(tmp_path / "a", labels((1, LEFT)), space("spleen"), 1)
    contour = drawn(tmp_path / "b.nii.gz", labels((7, RIGHT)), stomach=7)
    done, found = merged(tmp_path / "out", model, contour)
    assert (found[BOTH] == 2).all() and at(done)[2:] == ("stomach", "confidence")
    assert done.report.model == "merge of a and contours"


def test_without_any_map_no_uncertainty_is_claimed(tmp_path):
    first = drawn(tmp_path / "a.nii.gz", labels((1, LEFT)), spleen=1)
    done, _ = merged(tmp_path / "out", first, drawn(tmp_path / "b.nii.gz", labels((1, RIGHT)), stomach=1))
    assert sorted(path.name for path in done.folder.iterdir()) == [
        "conflicts.json", "report.json", "segmentation.seg.nrrd",
    ]  # fmt: skip
    assert all(row.mean_uncertainty is None for row in done.report.organs)


def test_a_claim_of_complete_uncertainty_is_still_a_claim(tmp_path):
    first = segmented(tmp_path / "a", labels((1, LEFT)), space("spleen"), 100)
    _, found = merged(tmp_path / "out", first, segmented(tmp_path / "b", labels(), space("stomach"), 0))
    assert (found[LEFT] == 1).all()


def test_an_anomaly_lies_over_its_host_however_uncertain_and_over_nothing_else(tmp_path):
    lesion = box((2, 4), (2, 5), (3, 8))  # 2 × 3 in width 3..7; the liver ends at width 6
    host = segmented(tmp_path / "a", labels((1, LEFT), (2, box((1, 5), (1, 7), (6, 9)))), space("liver", "spleen"), 5)
    tumour = segmented(tmp_path / "b", labels((1, lesion)), space("liver_tumour"), 60)
    done, found = merged(tmp_path / "out", host, tumour)
    assert (found[2:4, 2:5, 3:6] == 3).all() and (found[2:4, 2:5, 6:8] == 2).all()
    assert {at(done, i): done.conflicts[i].volume_mm3 for i in range(2)} == {
        ("liver", "liver_tumour", "liver_tumour", "anomaly-over-host"): 18 * VOXEL_MM3,
        ("spleen", "liver_tumour", "spleen", "confidence"): 12 * VOXEL_MM3,
    }


def test_an_anomaly_finds_its_host_where_another_model_calls_it_otherwise(tmp_path):
    organ = space("liver").organs[0]
    host = segmented(
        tmp_path / "a", labels((1, LEFT)), type(space("liver"))((type(organ)(**{**vars(organ), "id": "hepar"}),)), 5
    )
    tumour = segmented(tmp_path / "b", labels((1, BOTH)), space("liver_tumour"), 60)
    done, found = merged(tmp_path / "out", host, tumour)
    assert done.organs.ids == ("hepar", "liver_tumour") and (found[BOTH] == 2).all()
    assert done.organs.organs[1].host == "hepar"
    assert [o.host for o in read_segments(done.folder / "segmentation.seg.nrrd").values()] == [None, "hepar"]


def test_one_organ_of_two_models_is_one_organ_and_no_conflict(tmp_path):
    first = segmented(tmp_path / "a", labels((1, LEFT)), space("spleen"), 30)
    second = segmented(tmp_path / "b", labels((2, RIGHT)), space("stomach", "spleen"), 20)
    done, found = merged(tmp_path / "out", first, second)
    assert done.organs.ids == ("spleen", "stomach") and done.conflicts == []
    assert (found == 1).sum() == 4 * 6 * 9
    assert read_stored(done.folder / "uncertainty.nrrd").array_DHW[BOTH].tolist() == np.full((4, 6, 2), 20).tolist()


def test_a_voxel_counts_once_however_many_claim_the_organ_that_loses(tmp_path):
    spleens = [segmented(tmp_path / name, labels((1, LEFT)), space("spleen"), 30) for name in "ab"]
    done, _ = merged(tmp_path / "out", *spleens, segmented(tmp_path / "c", labels((1, RIGHT)), space("stomach"), 10))
    assert [c.volume_mm3 for c in done.conflicts] == [48 * VOXEL_MM3]


def test_three_organs_at_one_voxel_are_two_conflicts_with_the_winner(tmp_path):
    inputs = [
        segmented(tmp_path / name, labels((1, BOTH)), space(name), doubt)
        for name, doubt in (("spleen", 10), ("stomach", 20), ("liver", 30))
    ]
    done, _ = merged(tmp_path / "out", *inputs)
    assert {at(done, i)[:3] for i in range(2)} == {("spleen", "stomach", "spleen"), ("spleen", "liver", "spleen")}


def test_places_apart_are_listed_apart_the_largest_first(tmp_path):
    small, large = box((0, 1), (0, 2), (0, 2)), box((3, 5), (3, 7), (3, 7))
    first = segmented(tmp_path / "a", labels((1, small), (1, large)), space("spleen"), 10)
    second = segmented(tmp_path / "b", labels((1, small), (1, large)), space("stomach"), 20)
    done, _ = merged(tmp_path / "out", first, second)
    assert [c.volume_mm3 for c in done.conflicts] == [32 * VOXEL_MM3, 4 * VOXEL_MM3]


def test_beyond_an_organs_range_along_the_body_its_claim_is_void(tmp_path):
    spleen = segmented(tmp_path / "a", labels((1, LEFT)), space("spleen"), 30)
    stomach = segmented(tmp_path / "b", labels((1, RIGHT)), space("stomach"), 10)
    ranged = type(stomach)(path=stomach.path, ranges_mm={"stomach": (100.0, 106.0)})
    # slices lie at S 100, 103, 106, 109, …
    done, found = merged(tmp_path / "out", spleen, ranged)
    assert (found[1:3, 1:7, 4:9] == 2).all() and not (found[3:] == 2).any() and (found[3:5, 1:7, 4:6] == 1).all()
    assert [c.volume_mm3 for c in done.conflicts] == [24 * VOXEL_MM3]
    _, free = merged(tmp_path / "free", spleen, stomach)
    assert (free[BOTH] == 2).all()


@pytest.mark.parametrize("slab", [1, 80, 170])
def test_slabs_of_any_size_give_the_same(tmp_path, monkeypatch, slab):
    rng = np.random.default_rng(0)
    inputs = [
        segmented(
            tmp_path / str(i), rng.integers(0, 4, SHAPE).astype(np.uint8),
            space("liver", "spleen", ("liver_tumour", "stomach", "pancreas")[i]), rng.integers(0, 101, SHAPE),
        )
        for i in range(3)
    ]  # fmt: skip
    done, found = merged(tmp_path / "whole", *inputs)
    monkeypatch.setattr("organincrement.workflows.merge_slabs._SLAB_VOXELS", slab)
    again, same = merged(tmp_path / "slabs", *inputs)
    assert np.array_equal(found, same) and again.conflicts == done.conflicts and len(done.conflicts) > 50


def test_a_disagreement_on_a_host_is_not_hidden_by_its_anomaly(tmp_path):
    liver = segmented(tmp_path / "a", labels((1, LEFT)), space("liver"), 10)
    tumour = segmented(tmp_path / "b", labels((2, LEFT)), space("liver", "liver_tumour"), 70)
    spleen = segmented(tmp_path / "c", labels((1, LEFT)), space("spleen"), 20)
    done, found = merged(tmp_path / "out", liver, tumour, spleen)
    assert (found[LEFT] == 2).all()
    assert {at(done, i) for i in range(2)} == {
        ("liver", "liver_tumour", "liver_tumour", "anomaly-over-host"),
        ("liver_tumour", "spleen", "liver_tumour", "confidence"),
    }
    assert in_words(done)[1].startswith("they disagree in 1 place, ")
    assert in_words(done)[-1].startswith("anomalies that lie in their organ: 1 place, ")


def test_two_equally_certain_anomalies_of_one_organ_are_settled_by_the_order(tmp_path):
    liver = segmented(tmp_path / "a", labels((1, LEFT)), space("liver"), 10)
    tumour = segmented(tmp_path / "b", labels((1, BOTH)), space("liver_tumour"), 70)
    done, _ = merged(
        tmp_path / "out", liver, tumour, segmented(tmp_path / "c", labels((1, BOTH)), space("liver_cyst"), 70)
    )
    assert ("liver_tumour", "liver_cyst", "liver_tumour", "order") in {at(done, i) for i in range(2)}


def test_an_anomaly_that_stands_over_one_of_another_organ_is_told_as_a_disagreement(tmp_path):
    liver = segmented(tmp_path / "a", labels((1, LEFT)), space("liver"), 40)
    tumour = segmented(tmp_path / "b", labels((1, LEFT)), space("liver_tumour"), 70)
    other = segmented(tmp_path / "c", labels((2, LEFT)), space("spleen", "spleen_tumour"), 5)
    said = in_words(merged(tmp_path / "out", other, liver, tumour)[0])
    assert any(line.startswith("  Liver tumour over Spleen tumour: ") for line in said)
    assert any(line.endswith("it lies in its organ") for line in said)
