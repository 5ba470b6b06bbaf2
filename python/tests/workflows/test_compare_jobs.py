"""A comparison of real jobs: what it trains and evaluates, what it does not repeat, and what it refuses."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from compare_world import changed, compared, plan_file
from job_stories import at_step, types_of
from tiny_world import NEW, OLD, Order, copied, write_plan

from organincrement.contract import codec
from organincrement.contract.job import JobFolder
from organincrement.contract.organs import organ_from_name
from organincrement.contract.package import read_manifest
from organincrement.contract.plan import Plan
from organincrement.contract.results import Comparison, EvaluatedCase, EvaluatedOrgan, Evaluation
from organincrement.evaluation.cases import summarise
from organincrement.evaluation.statistics import paired_difference
from organincrement.training.signals import PauseRequested
from organincrement.workflows import compare as comparing
from organincrement.workflows.compare_jobs import NamedPlan
from organincrement.workflows.compare_results import Learned, write_comparison
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.evaluate import evaluate

SCHEMA = Path(__file__).resolve().parents[3] / "docs" / "schemas" / "comparison.schema.json"


@pytest.fixture(scope="module")
def plans(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    return [plan_file(tiny_world, folder / "plain.json"), plan_file(tiny_world, folder / "mib.json", "mib")]


@pytest.fixture(scope="module")
def done(tiny_world, plans, tmp_path_factory):
    """Two plans, two seeds, with the teacher's row."""
    out = tmp_path_factory.mktemp("compared") / "out"
    return out, compared(plans, tiny_world.test.path, out, seeds=[3, 7], teacher_row=True)


def evaluation_of(out, name) -> Evaluation:
    (folder,) = (out / "evaluations").glob(f"{name}-????????")
    return codec.read(Evaluation, folder / "evaluation.json")


def test_there_is_a_row_for_every_plan_seed_and_organ_and_the_teacher(done):
    out, said = done
    read = codec.read(Comparison, out / "comparison.json")
    assert read == said.comparison
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(json.loads((out / "comparison.json").read_text(encoding="utf-8")), schema)
    students = [(row.method, row.seed, row.organ, row.group) for row in read.rows[len(OLD) :]]
    groups = [(organ, "old") for organ in OLD] + [(organ, "new") for organ in NEW]
    assert students == [(m, s, o, g) for m in ("plain", "mib") for s in (3, 7) for o, g in groups]
    assert [(row.method, row.organ) for row in read.rows[:2]] == [("teacher organs-2-supervised", o) for o in OLD]


def test_each_seed_trains_the_plan_with_that_seed(done, plans):
    out, _ = done
    for seed in (3, 7):
        job = JobFolder.open(out / "jobs" / f"mib-{seed}")
        assert (job.plan().seed, job.plan().settings) == (seed, codec.read(Plan, plans[1]).settings)
    weights = [(out / "jobs" / f"mib-{seed}" / "student" / "weights.safetensors").read_bytes() for seed in (3, 7)]
    assert weights[0] != weights[1]


def test_figures_are_those_that_evaluate_gives(done, tiny_world, tmp_path):
    out, said = done
    student = out / "jobs" / "mib-7" / "student"
    own = {row.organ: row for row in evaluate(student, tiny_world.test.path, tmp_path / "own", "cpu").summary}
    before = {
        row.organ: row for row in evaluate(tiny_world.teacher, tiny_world.test.path, tmp_path / "t", "cpu").summary
    }
    rows = [row for row in said.comparison.rows if (row.method, row.seed) == ("mib", 7)]
    for row in rows:
        assert (row.dice, row.hd95_mm, row.assd_mm) == (
            own[row.organ].dice, own[row.organ].hd95_mm, own[row.organ].assd_mm,
        )  # fmt: skip
        lost = before[row.organ].dice - row.dice if row.organ in OLD else None
        assert row.forgetting == lost
    assert rows[0].parameters == read_manifest(student).network.parameters
    assert rows[0].package_bytes == sum(file.stat().st_size for file in student.iterdir())
    assert rows[0].seconds > 0 and rows[0].ram_bytes > 2**20 and rows[0].gpu_bytes is None


def test_tests_are_paired_by_case_with_the_seeds_averaged(done):
    out, said = done
    dice = {}
    for name in ("plain", "mib"):
        for seed in (3, 7):
            for case in evaluation_of(out, f"{name}-{seed}").cases:
                for row in case.organs:
                    dice.setdefault((name, row.organ, case.id), []).append(row.dice)
    assert [(test.a, test.b, test.organ) for test in said.comparison.tests] == [("plain", "mib", o) for o in OLD + NEW]
    for test in said.comparison.tests:
        cases = sorted({case for _, organ, case in dice if organ == test.organ})
        a, b = ([np.mean(dice[name, test.organ, case]) for case in cases] for name in ("plain", "mib"))
        expected = paired_difference(a, b)
        assert test.difference == pytest.approx(expected.mean) and test.p == pytest.approx(expected.p)


def test_the_csv_has_the_same_rows_with_the_method_of_each_plan(done):
    out, said = done
    rows = list(csv.DictReader((out / "comparison.csv").open(encoding="utf-8")))
    assert len(rows) == len(said.comparison.rows)
    assert [(r["plan"], r["method"]) for r in rows[2:] if r["organ"] == "stomach"] == [
        ("plain", "fine-tune"), ("plain", "fine-tune"), ("mib", "mib"), ("mib", "mib"),
    ]  # fmt: skip
    assert float(rows[-1]["dice"]) == said.comparison.rows[-1].dice and rows[-1]["gpu_bytes"] == ""


def test_what_is_done_is_not_done_again(done, plans, tiny_world, monkeypatch):
    out, said = done

    def nothing(*_, **__):
        raise AssertionError("repeated")

    monkeypatch.setattr("organincrement.workflows.compare_jobs.run_job", nothing)
    monkeypatch.setattr(comparing, "evaluate", nothing)
    before = (out / "comparison.html").read_text(encoding="utf-8")
    again = compared(plans, tiny_world.test.path, out, seeds=[3, 7], teacher_row=True)
    assert again.comparison == said.comparison and (out / "comparison.html").read_text(encoding="utf-8") == before


def test_without_seeds_each_plan_keeps_its_own_and_teachers_have_no_row(plans, tiny_world, tmp_path):
    mine = changed(plans[0], plans[0].with_name("mine.json"), seed=5)
    said = compared([mine], tiny_world.test.path, tmp_path)
    assert {(row.method, row.seed) for row in said.comparison.rows} == {("mine", 5)}
    assert said.comparison.tests == () and said.verdict.startswith("mine reaches an average Dice of ")


def test_an_interrupted_comparison_goes_on_where_it_was(plans, tiny_world, tmp_path, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    whole = compared(plans[:1], tiny_world.test.path, tmp_path / "whole")
    at_step(monkeypatch, 3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        compared(plans[:1], tiny_world.test.path, tmp_path / "out")
    job = JobFolder.open(tmp_path / "out" / "jobs" / "plain-0")
    assert job.status().state == "interrupted" and not (tmp_path / "out" / "comparison.json").exists()
    said = compared(plans[:1], tiny_world.test.path, tmp_path / "out")
    assert types_of(job).count("started") == 2 and types_of(job)[-1] == "finished"
    figures = [[(row.organ, row.dice, row.hd95_mm) for row in one.comparison.rows] for one in (whole, said)]
    assert figures[0] == figures[1]


def test_a_paused_training_stops_the_comparison_and_the_next_call_goes_on(plans, tiny_world, tmp_path, monkeypatch):
    at_step(monkeypatch, 2, lambda: (tmp_path / "jobs" / "plain-0" / "pause").touch())
    with pytest.raises(PauseRequested, match="plain-0 is paused"):
        compared(plans[:1], tiny_world.test.path, tmp_path)
    assert len(compared(plans[:1], tiny_world.test.path, tmp_path).comparison.rows) == 3


def test_a_job_of_another_plan_is_not_taken_for_this_one(plans, tiny_world, tmp_path):
    compared(plans[:1], tiny_world.test.path, tmp_path)
    other = plan_file(tiny_world, tmp_path / "plans" / "plain.json", **{"training.steps": 5})
    with pytest.raises(WorkflowError, match="plain-0: is the job of another plan"):
        compared([other], tiny_world.test.path, tmp_path)


def test_a_cancelled_job_is_not_run_behind_ones_back(plans, tiny_world, tmp_path, monkeypatch):
    at_step(monkeypatch, 2, lambda: (tmp_path / "jobs" / "plain-0" / "cancel").touch())
    with pytest.raises(WorkflowError, match="plain-0: is cancelled"):
        compared(plans[:1], tiny_world.test.path, tmp_path)
    with pytest.raises(WorkflowError, match="plain-0: was cancelled; delete its folder"):
        compared(plans[:1], tiny_world.test.path, tmp_path)


def test_a_plan_that_cannot_be_trained_is_found_before_the_first_training(plans, tiny_world, tmp_path):
    unknown = changed(plans[1], tmp_path / "later.json", method="nomethod")
    with pytest.raises(WorkflowError, match=r"^plan later: method 'nomethod' is unknown; there are: "):
        compared([plans[0], unknown], tiny_world.test.path, tmp_path / "out")
    gone = codec.read(Plan, plans[1])
    inputs = tuple(replace(one, path="gone") if one.role == "teacher" else one for one in gone.inputs)
    without = changed(plans[1], tmp_path / "without.json", inputs=inputs)
    with pytest.raises(WorkflowError, match=r"^plan without: .*gone: .*check that it exists"):
        compared([plans[0], without], tiny_world.test.path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_that_cannot_tell_plans_apart_are_refused(plans, tiny_world, tmp_path):
    twin = changed(plans[1], tmp_path / "Plain.json")
    with pytest.raises(WorkflowError, match="two plans are called 'Plain'"):
        compared([plans[0], twin], tiny_world.test.path, tmp_path / "out")
    odd = changed(plans[1], tmp_path / "a plan.json")
    with pytest.raises(WorkflowError, match="rename the file"):
        compared([odd], tiny_world.test.path, tmp_path / "out")
    with pytest.raises(WorkflowError, match="seeds"):
        compared(plans, tiny_world.test.path, tmp_path / "out", seeds=[1, 1])


def test_test_scans_that_a_plan_trains_on_are_said(plans, tiny_world, tmp_path):
    said: list[str] = []
    compared(plans[:1], tiny_world.site_b.path, tmp_path, notice=said.append)
    assert said == ["4 of the test scans are among those of plan plain: its figures are better than they should be"]
    assert "4 of the test scans" in (tmp_path / "comparison.html").read_text(encoding="utf-8")


def test_a_chain_of_increments_goes_from_student_to_student_seed_by_seed(tiny_world, tmp_path):
    first = plan_file(tiny_world, tmp_path / "first.json")
    one = compared([first], tiny_world.test.path, tmp_path / "one")
    kidneys = _renamed_organ(tiny_world, tmp_path / "kidney")
    second = write_plan(
        Order(
            dataset=kidneys, out=tmp_path / "second.json", teacher=tmp_path / "one" / "jobs" / "first-0" / "student",
            method="mib", overrides={"training.steps": 4, "validation.every_steps": 2},
        )
    )  # fmt: skip
    out = tmp_path / "chain"
    said = compared([second, first], tiny_world.test.path, out, seeds=[8])
    job = JobFolder.open(out / "jobs" / "second-8")
    assert [i.path for i in job.plan().inputs if i.role == "teacher"] == ["../first-8/student"]
    rows = {(row.method, row.organ): row for row in said.comparison.rows}
    assert rows["first", "stomach"].group == "new" and rows["second", "stomach"].group == "old"
    taught = rows["first", "stomach"].dice
    assert rows["second", "stomach"].forgetting == taught - rows["second", "stomach"].dice
    assert rows["second", "pancreas"].dice is None and one.comparison.rows[0].seed == 0
    page = (out / "comparison.html").read_text(encoding="utf-8")
    assert "From step to step: Teacher, first, second" in page


def _renamed_organ(world, folder: Path) -> Path:
    """Site B's cases, their stomach called pancreas."""
    dataset = copied(world.site_b, folder)
    for path in (dataset.path / "dataset.json", *(dataset.path / "cases").glob("*.json")):
        text = path.read_text(encoding="utf-8").replace('"stomach"', '"pancreas"').replace("69695003", "15776009")
        path.write_text(text, encoding="utf-8")
    return dataset.path


def test_students_that_call_an_anomalys_host_differently_are_compared(tiny_world, tmp_path):
    liver, tumour = organ_from_name("liver"), organ_from_name("liver_tumour")
    other = replace(liver, id="Leber"), replace(tumour, id="Tumor", host="Leber")
    manifest, job = read_manifest(tiny_world.teacher), tiny_world.teacher_job

    def learned(name: str, organs, teacher) -> Learned:
        rows = [EvaluatedOrgan(organ=o.id, status="missed", dice=0.0, hd95_mm=None, assd_mm=None, volume_mm3=0.0)
                for o in organs]  # fmt: skip
        cases = (EvaluatedCase(id="case", organs=tuple(rows)),)
        evaluation = Evaluation(model=name, reference="truth", cases=cases, summary=summarise(cases))
        taught = (replace(manifest, name="old", organs=teacher), None, tiny_world.teacher)
        plan = NamedPlan(name=name, file=tmp_path / name, plan=job.plan(), parents={})
        return Learned(
            plan=plan, job=job, manifest=replace(manifest, organs=organs), evaluation=evaluation, teachers=[taught]
        )

    both = [learned("a", (liver, tumour), other), learned("b", other, (liver,))]
    rows = write_comparison(both, tmp_path, test="test", teacher_row=False, notes=[]).comparison.rows
    assert [(row.method, row.organ, row.group) for row in rows] == [
        ("a", "liver", "old"), ("a", "liver_tumour", "old"), ("b", "liver", "old"), ("b", "liver_tumour", "new"),
    ]  # fmt: skip
