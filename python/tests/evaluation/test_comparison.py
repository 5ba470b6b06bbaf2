"""The figures and words of a comparison, on tables small enough to reckon by hand and against scipy."""

import math
from dataclasses import replace

import numpy as np
import pytest
from compared_runs import COSTS, NEW, OLD, ORGANS, evaluation, run, scattered, study
from scipy.stats import wilcoxon
from test_report_pages import Page

from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.evaluation.comparison import average_difference, case_dice, compared, standings, with_common_ids
from organincrement.evaluation.comparison_report import render_comparison
from organincrement.evaluation.comparison_words import comparison_csv, terminal_table, verdict

CASES = 12


def two(first: float, second: float, cases: int = CASES):
    """Two methods on all organs."""
    everything = OLD + NEW
    return [
        run("one", scattered(dict.fromkeys(everything, first), cases, 1)),
        run("two", scattered(dict.fromkeys(everything, second), cases, 2)),
    ]


def page_of(runs, teachers=(), **settings) -> Page:
    said = settings.pop("verdict", verdict(standings(runs), runs))
    html = render_comparison(
        runs, compared(runs).tests, ORGANS, teachers=teachers, verdict=said, dataset="ward-7", **settings
    )
    assert "nan" not in html.replace("nano", "") and "None" not in html
    return Page(html)


def test_tests_agree_with_scipy_on_the_mean_over_seeds():
    rng = np.random.default_rng(5)
    a, b = rng.uniform(0.6, 0.9, (3, CASES)), rng.uniform(0.6, 0.9, (3, CASES))
    runs = [run("a", {"liver": list(a[s])}, s) for s in range(3)] + [
        run("b", {"liver": list(b[s])}, s) for s in range(3)
    ]
    (test,) = compared(runs).tests
    difference = a.mean(0) - b.mean(0)
    assert test.difference == pytest.approx(difference.mean())
    assert test.p == pytest.approx(wilcoxon(a.mean(0), b.mean(0)).pvalue)
    assert test.ci95[0] < test.difference < test.ci95[1]
    half = 1.96 * difference.std(ddof=1) / math.sqrt(CASES)
    assert test.ci95[1] - test.ci95[0] == pytest.approx(2 * half, rel=0.2)


def test_cases_are_paired_by_their_name_and_unmeasured_ones_left_out():
    runs = [run("a", {"liver": [0.9, None, 0.7, 0.6]}), run("b", {"liver": [0.8, 0.1, None, 0.2]})]
    (test,) = compared(runs).tests
    assert test.difference == pytest.approx((0.1 + 0.4) / 2)


def test_equal_methods_differ_by_nothing_and_one_case_has_no_interval():
    same = compared([run("a", {"liver": [0.5] * 8}), run("b", {"liver": [0.5] * 8})]).tests[0]
    assert (same.difference, same.ci95, same.p) == (0.0, (0.0, 0.0), 1.0)
    single = compared([run("a", {"liver": [0.5]}), run("b", {"liver": [0.25]})]).tests[0]
    assert (single.difference, single.ci95, single.p) == (0.25, None, 1.0)


def test_an_organ_without_a_common_case_has_a_test_without_figures():
    (test,) = compared([run("a", {"liver": [0.5, None]}), run("b", {"liver": [None, 0.5]})]).tests
    assert (test.difference, test.ci95, test.p) == (None, None, None)


def test_every_pair_of_plans_is_tested_on_every_organ_that_both_have():
    runs = [run("a", {"liver": [0.5]}), run("b", {"liver": [0.5], "spleen": [0.5]}), run("c", {"spleen": [0.5]})]
    assert [(t.a, t.b, t.organ) for t in compared(runs).tests] == [("a", "b", "liver"), ("b", "c", "spleen")]


def test_means_are_over_organs_then_seeds_with_their_deviation():
    runs = [
        run("a", {"liver": [0.8, 0.6], "spleen": [0.5, 0.5], "stomach": [0.2, 0.4]}, 0),
        run("a", {"liver": [0.6, 0.6], "spleen": [0.5, 0.5], "stomach": [0.2, 0.2]}, 1),
    ]
    (s,) = standings(runs)
    assert (s.old.mean, s.new.mean) == (pytest.approx(0.575), pytest.approx(0.25)) and s.seeds == (0, 1)
    assert s.average.mean == pytest.approx((1.5 / 3 + 1.3 / 3) / 2)
    assert s.old.deviation == pytest.approx(0.05 / math.sqrt(2))
    assert s.forgetting == {"liver": pytest.approx(0.94 - 0.65), "spleen": pytest.approx(0.44)}
    assert s.forgotten == pytest.approx((0.29 + 0.44) / 2) and s.hd95_mm == pytest.approx(10 * (1 - s.average.mean))


def test_costs_are_the_mean_time_and_the_most_memory():
    more = type(COSTS)(seconds=100.0, ram_bytes=1, gpu_bytes=7, parameters=1, package_bytes=9 * 2**20)
    (s,) = standings([run("a", {"liver": [0.5]}, 0), run("a", {"liver": [0.5]}, 1, costs=more)])
    assert (s.costs.seconds, s.costs.ram_bytes, s.costs.gpu_bytes) == (427.0, COSTS.ram_bytes, 7)
    assert s.costs.package_bytes == 9 * 2**20


def test_rows_say_what_each_old_organ_lost_and_nothing_of_new_ones():
    rows = {row.organ: row for row in compared([run("a", {"liver": [0.5], "stomach": [0.5]})]).rows}
    assert rows["liver"].group == "old" and rows["liver"].forgetting == pytest.approx(0.44)
    assert rows["stomach"].group == "new" and rows["stomach"].forgetting is None


def test_a_clear_difference_names_the_best_with_interval_and_p():
    runs = two(0.80, 0.90)
    said = verdict(standings(runs), runs)
    assert said.startswith("two is best: its average Dice of 9") and "is above that of one, 8" in said
    assert "95 % interval +9." in said and "p < 0.001" in said and said.endswith("points on the old organs.")
    found = average_difference([runs[1]], [runs[0]])
    first, second = (case_dice([r]) for r in runs)
    by_case = [
        np.mean([second[o][c] - first[o][c] for o in OLD + NEW]) for c in sorted(first["liver"])
    ]  # fmt: skip
    assert found.mean == pytest.approx(np.mean(by_case)) and found.p == pytest.approx(wilcoxon(by_case).pvalue)


def test_a_difference_within_chance_has_no_winner():
    runs = two(0.80, 0.8005)
    assert verdict(standings(runs), runs).startswith("No clear winner: ")
    assert f"the {CASES} cases do not suffice" in verdict(standings(runs), runs)


def test_few_cases_never_have_a_winner():
    runs = two(0.40, 0.90, cases=5)
    assert "but 5 cases are too few to tell it from one" in verdict(standings(runs), runs)


def test_a_plan_that_learned_all_at_once_is_no_rival_of_those_with_a_teacher():
    runs, _ = study()
    order = standings(runs)
    assert [s.name for s in order if s.bound] == ["joint"]
    assert order[3].average.mean == max(s.average.mean for s in order)
    assert verdict(order, runs).startswith("bla-uag is best: ") and "above that of lwf-strong" in verdict(order, runs)
    alone = [run for run in runs if run.name == "joint"]
    assert not standings(alone)[0].bound and verdict(standings(alone), alone).startswith("joint reaches")


def test_nothing_measured_is_said():
    runs = [run("a", {"liver": [None]})]
    assert verdict(standings(runs), runs).startswith("Nothing can be said")


def test_one_id_serves_for_an_organ_under_two_ids():
    other = type(ORGANS)((type(ORGANS.organs[0])(**{**vars(ORGANS.organs[0]), "id": "hepar"}),))
    assert with_common_ids(evaluation({"hepar": [0.5]}), other, ORGANS) == {"hepar": "liver"}


def test_an_anomaly_is_found_whatever_its_host_is_called():
    common = LabelSpace((organ_from_name("liver"), organ_from_name("liver_tumour")))
    liver, tumour = common.organs
    own = LabelSpace((replace(liver, id="Leber"), replace(tumour, id="Tumor", host="Leber")))
    found = with_common_ids(evaluation({"Leber": [0.5], "Tumor": [0.4]}), own, common)
    assert found == {"Leber": "liver", "Tumor": "liver_tumour"}


def test_the_terminal_table_has_a_line_for_each_plan():
    runs, _ = study()
    lines = terminal_table(standings(runs))
    assert len({line.index("  ", 12) for line in lines[1:5]}) >= 1
    assert lines[5:] == ["joint: without a teacher, for reference, not ranked"]
    assert lines[1].split()[0] == "bla-uag" and lines[1].endswith("12 min 34 s")


def test_a_mean_over_fewer_organs_than_the_others_is_marked():
    runs = [run("a", {"liver": [0.5], "spleen": [0.5]}), run("b", {"liver": [0.9], "spleen": [None]})]
    assert terminal_table(standings(runs))[-1] == "b: its means are over 1 of the 2 organs"


def test_the_csv_names_plan_and_method():
    text = comparison_csv(compared([run("a", {"liver": [0.5]})]), {"a": "mib"})
    assert text.splitlines()[0].startswith("plan,method,preset,seed,organ,group,dice")
    assert text.splitlines()[1].startswith("a,mib,practical,0,liver,old,0.5,")


def test_the_page_tells_verdict_tables_and_charts():
    runs, teachers = study()
    page = page_of(runs, teachers)
    assert verdict(standings(runs), runs) in page.text
    for words in ("At a glance", "Organ by organ", "Forgetting", "Is it so, or is it chance?", "abdomen-4", "ward-7"):
        assert words in page.text
    assert len(page.all("table")) == 5 and len(page.all("svg")) >= 4
    assert "mean of 3 seeds, without a teacher: for reference" in page.text
    assert "A plan without a teacher learned its organs from labels alone" in page.text
    assert "research use only" in page.text.lower()


def test_the_page_folds_pairs_without_the_best_away_when_they_are_many():
    assert page_of(two(0.5, 0.6)).all("details") == []
    many = [run(f"m{i}", scattered(dict.fromkeys(OLD + NEW, 0.5 + i / 100), 6, i)) for i in range(6)]
    page = page_of(many)
    assert len(page.all("details")) == 1 and page.text.index("m0 − m5") < page.text.index("All other pairs")


@pytest.mark.parametrize("dice", [{"liver": [None]}, {"liver": [0.5]}, {"stomach": [0.0, 1.0]}])
def test_a_page_with_next_to_nothing_is_still_a_page(dice):
    assert "At a glance" in page_of([run("only", dice, before={})]).text


def test_names_in_a_page_are_text_and_nothing_else():
    page = page_of([run("a", {"liver": [0.5]})], verdict="<script>alert(1)</script>", notes=["<b>"])
    assert page.all("script") == [] and page.all("b") == []


def test_a_chain_shows_every_step_and_what_was_lost_since_the_best():
    first = run("first", {o: [0.9] for o in OLD + NEW})
    before = dict.fromkeys(OLD + NEW, 0.9)
    second = run("second", {o: [0.6] for o in OLD + NEW}, before=before, old=frozenset(OLD + NEW), after="first")
    page = page_of([first, second])
    assert "From step to step: Teacher, first, second" in page.text
    assert "Liver 94.0 90.0 60.0 +34.0" in page.text and "Stomach 90.0 60.0 +30.0" in page.text
