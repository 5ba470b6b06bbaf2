"""From evidence to a verdict and words: every kind of fault by itself, and a good case that must stay good."""

import math
from dataclasses import replace

import pytest
from audit_evidence import NEW, evidence, manifest, scan, turned, view

from organincrement.contract.results import AuditedCase, LabelConflict, SummaryRow
from organincrement.planning.audit import FITS, judge, poorly_known
from organincrement.planning.findings import CaseEvidence
from organincrement.planning.geometry_check import recognition, spacing_distance, spacings_to_try
from organincrement.planning.intensity_check import intensity_distance
from organincrement.planning.teacher_view import Reading

COMPANY = [evidence(f"other_{i}") for i in range(6)]


def verdict(case: CaseEvidence, company: list[CaseEvidence] = COMPANY) -> AuditedCase:
    return judge([case, *company], manifest(), NEW).cases[0]


def test_a_good_case_fits_alone_and_in_company():
    for company in ([], COMPANY):
        found = verdict(evidence(), company)
        assert (found.verdict, found.reason) == ("fits", FITS)
        assert found.uncertainty == 0.6 and found.spacing_distance == 0.0 and found.intensity_distance == 5.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"range": (0.0, 0.0)}, "every voxel has the value 0"),
        ({"body_ml": 3.0}, "nothing but air"),
        ({"range": (0.0, 900.0)}, "no CT in HU"),
        ({"roughness": 0.98}, "noise"),
        ({"percentiles": (10.0, 280.0, 500.0)}, "another modality"),
    ],
)
def test_intensities_that_no_ct_has_are_unusable(changes, says):
    found = verdict(evidence(scan=scan(**changes), views=()))
    assert found.verdict == "unusable" and says.lower() in found.reason.lower() and found.uncertainty is None


def test_intensities_a_little_off_are_doubtful():
    found = verdict(evidence(scan=scan(percentiles=(-100.0, 70.0, 1200.0))))
    assert found.verdict == "doubtful" and "62 HU from the teacher's" in found.reason


def test_what_the_network_clips_away_does_not_count_as_distance():
    metal = scan(percentiles=(-920.0, -5.0, 3000.0))
    assert intensity_distance(metal, manifest()) == 0.0
    of_zscore = replace(manifest().preprocessing.normalisation, kind="zscore", clip_hu=None, mean=None, std=None)
    model = replace(manifest(), preprocessing=replace(manifest().preprocessing, normalisation=of_zscore))
    assert intensity_distance(metal, model) is None


@pytest.mark.parametrize(
    ("flipped", "says"),
    [((0,), "upside down"), ((1,), "front to back"), ((0, 1), "upside down and front to back"), ((2,), "mirrored")],
)
def test_a_scan_whose_organs_are_known_again_when_turned_is_unusable(flipped, says):
    better = [view(25, 24, 23, reading=v.reading) if v.reading.flipped == flipped else v for v in turned(10, 3, 1)]
    found = verdict(evidence(views=(view(9, 2, 1, uncertainty=30.0), *better)), [])
    assert found.verdict == "unusable" and says in found.reason


def test_a_turned_reading_that_is_about_as_good_proves_nothing():
    mirrored = view(25, 20, 26, reading=Reading(flipped=(2,)))
    assert verdict(evidence(views=(view(25, 24, 20), mirrored))).verdict == "fits"


def test_a_scan_that_shows_few_organs_is_cut_off_rather_than_turned():
    one_organ = view(30, 0, 0, reading=Reading(flipped=(0,)))
    found = verdict(evidence(views=(view(9, 0, 0, uncertainty=30.0), one_organ)), [])
    assert found.verdict == "doubtful" and "cut off" in found.reason and "turned" not in found.reason


def test_turns_are_named_by_the_axes_of_the_models_orientation():
    model = manifest()
    model = replace(model, preprocessing=replace(model.preprocessing, orientation="SRA"))
    views = (view(2, 1, 0, uncertainty=30.0), view(25, 24, 23, reading=Reading(flipped=(2,))))
    assert "upside down" in judge([evidence(views=views)], model, NEW).cases[0].reason


def test_another_spacing_under_which_organs_are_known_again_is_named_in_the_scans_own_order():
    again = view(25, 24, 23, reading=Reading(scale=(2.0, 2.0, 2.0)))
    found = verdict(evidence(stored_spacing_mm=(1.25, 2.0, 2.0), views=(view(0.5, 0, 0, uncertainty=40.0), again)))
    assert found.verdict == "unusable" and found.spacing_distance == pytest.approx(math.log2(3.8 / 2.0), abs=1e-3)
    assert "2 × 2 × 1.25 mm" in found.reason and "4 × 4 × 2.5 mm" in found.reason


def test_only_a_scan_outside_the_teachers_spacing_or_of_odd_size_is_read_with_another():
    assert spacings_to_try((2.5, 4.0, 4.0), scan(), manifest()) == ()
    assert spacings_to_try((2.5, 4.0, 4.0), scan(body_mm=(260.0, 50.0, 90.0)), manifest()) != ()
    (reading,) = spacings_to_try((5.0, 3.9, 3.9), scan(), manifest())
    assert reading.scale == pytest.approx((0.5, 1.0, 1.0))
    assert spacing_distance((10.2, 3.9, 3.9), manifest()) == pytest.approx(math.log2(10.2 / 3.3))


@pytest.mark.parametrize(
    ("extent_mm", "says"), [((320.0, 1000.0, 1000.0), "scanner's"), ((32.0, 50.0, 50.0), "centimetres")]
)
def test_a_size_that_no_scan_has_is_unusable_before_anything_is_measured(extent_mm, says):
    found = verdict(evidence(stored_extent_mm=extent_mm, scan=None, views=(), labels=()))
    assert found.verdict == "unusable" and says in found.reason


@pytest.mark.parametrize(("stretch", "says"), [(1.8, "stretched"), (-1.2, "squeezed")])
def test_a_body_out_of_proportion_is_doubtful(stretch, says):
    found = verdict(evidence(scan=scan(stretch=stretch)))
    assert found.verdict == "doubtful" and says in found.reason


def test_a_slice_spacing_that_disproportions_the_body_against_the_company_is_doubtful():
    doubled = evidence(stored_spacing_mm=(5.0, 4.0, 4.0), scan=scan(stretch=0.75))
    found = verdict(doubled)
    assert found.verdict == "doubtful" and "slice spacing of 5 mm" in found.reason and "longer" in found.reason
    as_thick = evidence(stored_spacing_mm=(5.0, 4.0, 4.0), scan=scan(stretch=0.3))
    assert verdict(as_thick).verdict == verdict(doubled, []).verdict == "fits"


def test_without_company_a_body_out_of_proportion_counts_where_the_usual_spacing_would_do_as_well():
    usual = view(25, 24, 23, reading=Reading(scale=(0.5, 1.0, 1.0)))
    doubled = evidence(stored_spacing_mm=(5.0, 4.0, 4.0), scan=scan(stretch=1.1), views=(view(50, 48, 46), usual))
    assert verdict(doubled, []).verdict == "doubtful"
    worse = replace(doubled, views=(view(50, 48, 46), view(5, 5, 5, reading=usual.reading)))
    assert verdict(worse, []).verdict == verdict(evidence(scan=scan(stretch=1.1)), []).verdict == "fits"


def test_organs_that_are_cut_off_are_named_against_the_company():
    found = verdict(evidence(views=(view(25, 24, 0), *turned(10, 3, 0))))
    assert found.verdict == "doubtful" and "no Right parotid gland" in found.reason
    assert verdict(evidence(views=(view(25, 24, 0), *turned(10, 3, 0))), []).verdict == "fits"
    most = verdict(evidence(views=(view(25, 0, 0), *turned(9, 0, 0))), [])
    assert most.verdict == "doubtful" and "finds 1 of its 3 organs" in most.reason


def test_organs_that_the_teacher_never_learned_are_not_asked_about():
    dice = {"brainstem": 0.8, "parotid_left": 0.7, "parotid_right": 0.05}
    rows = tuple(SummaryRow(organ=o, n=6, dice=d, hd95_mm=None, assd_mm=None, ci95=None) for o, d in dice.items())
    weak = replace(manifest(), metrics=replace(manifest().metrics, validation=rows))
    conflict = LabelConflict(new="mandible", old="parotid_right", volume_mm3=9000.0, fraction=0.5)
    case = evidence(views=(view(25, 24, 0),), conflicts=(conflict,))
    assert judge([case, *COMPANY], weak, NEW).cases[0].verdict == "fits"
    assert judge([case, *COMPANY], manifest(), NEW).cases[0].verdict == "doubtful"
    assert poorly_known(weak) == ("Right parotid gland",) and poorly_known(manifest()) == ()


def test_a_teacher_unsure_of_its_own_organs_is_said():
    unsure = verdict(evidence(views=(view(25, 24, 23, uncertainty=40.0),)))
    assert unsure.verdict == "doubtful" and "unsure" in unsure.reason


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mean": 20.0}, "20 HU on average, in the other cases 690"),
        ({"centre_mm": (120.0, 20.0, 95.0)}, "40 mm from its usual place"),
        ({"off_body_share": 0.7}, "outside the body"),
    ],
)
def test_a_label_unlike_those_of_the_company_is_doubtful(changes, says):
    label = replace(evidence().labels[0], **changes)
    found = verdict(evidence(labels=(label,)))
    assert found.verdict == "doubtful" and says in found.reason


def test_few_cases_do_not_make_another_strange_by_being_alike():
    alike = [replace(evidence(f"o{i}"), labels=(replace(evidence().labels[0], mean=570.0 + i),)) for i in range(4)]
    denser = evidence(labels=(replace(evidence().labels[0], mean=735.0),))
    assert judge([denser, *alike], manifest(), NEW).cases[0].verdict == "fits"


def test_an_overlap_with_an_old_organ_is_a_conflict_and_a_touch_is_not():
    conflict = LabelConflict(new="mandible", old="parotid_left", volume_mm3=9000.0, fraction=0.13)
    found = verdict(evidence(conflicts=(conflict,)))
    assert found.verdict == "doubtful" and found.conflicts == (conflict,)
    assert "9.0 ml (13 % of the label)" in found.reason and "Left parotid gland" in found.reason
    touch = replace(conflict, volume_mm3=1300.0, fraction=0.02)
    assert verdict(evidence(conflicts=(touch,))).verdict == "fits"
    small = replace(conflict, volume_mm3=4000.0, fraction=0.03)  # of a large label, but a sixth of the old organ
    assert verdict(evidence(conflicts=(small,))).verdict == "doubtful"


def test_a_case_that_cannot_be_read_is_unusable_and_says_why():
    found = verdict(CaseEvidence(id="pt_9", failure="images/pt_9.nii.gz: is cut off"))
    assert (found.verdict, found.reason) == ("unusable", "Cannot be read: images/pt_9.nii.gz: is cut off")
    assert found.intensity_distance is None and found.spacing_distance is None


def test_broken_scans_do_not_set_the_standard():
    wrong = replace(evidence().labels[0], mean=0.0)
    broken = [evidence(f"bad_{i}", scan=scan(roughness=0.99), views=(), labels=(wrong,)) for i in range(20)]
    result = judge([evidence(), *broken, *COMPANY], manifest(), NEW)
    assert [case.verdict for case in result.cases].count("unusable") == 20 and result.cases[0].verdict == "fits"


def test_recognition_counts_each_organ_against_its_best_reading():
    scores = recognition([view(10, 20, 0), view(5, 40, 0, reading=Reading(flipped=(0,)))])
    assert scores == pytest.approx([0.75, 0.75])
    assert recognition([view(0, 0, 0), view(0, 0, 0)]) == [0.0, 0.0] and recognition([]) == []
