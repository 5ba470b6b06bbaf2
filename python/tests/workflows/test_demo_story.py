"""The demo, small: it runs from nothing to a report, and every file it leaves is what the contract says."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from organincrement.contract import codec
from organincrement.contract.job import JobFolder
from organincrement.contract.results import Evaluation
from organincrement.workflows.demo import METHODS, NEW_ORGANS, OLD_ORGANS, DemoSize, run_demo
from organincrement.workflows.errors import WorkflowError

SCHEMAS = Path(__file__).resolve().parents[3] / "docs" / "schemas"
SMALL = DemoSize(
    teacher_steps=8, student_steps=4, teacher_cases=4, student_cases=4, test_cases=2,
    patch=(16, 16, 16), features=(4, 8), spacing_mm=(9.0, 9.0, 9.0),
)  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]  # once, not once in each worker


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder of a demo that has run, and what it said."""
    said: list[str] = []
    out = tmp_path_factory.mktemp("demo") / "out"
    report = run_demo(out, say=said.append, size=SMALL)
    assert report == out / "report.html"
    return out, said


def schema_of(data: dict) -> dict:
    name = re.fullmatch(r"organincrement/([a-z]+)/\d+", data["schema"])[1]
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))


def test_every_json_file_is_what_its_schema_says(demo):
    paths = sorted(demo[0].rglob("*.json"))
    kinds = set()
    for path in paths:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
        jsonschema.validate(data, schema_of(data), jsonschema.Draft202012Validator)
        kinds.add(data["schema"].split("/")[1])
    assert kinds == {"dataset", "case", "model", "plan", "evaluation", "regions", "report"} and len(paths) > 20


@pytest.mark.parametrize(("name", "schema"), [("events.jsonl", "events-line"), ("history.jsonl", "history-line")])
def test_every_line_is_what_its_schema_says(demo, name, schema):
    validator = jsonschema.Draft202012Validator(
        json.loads((SCHEMAS / f"{schema}.schema.json").read_text(encoding="utf-8"))
    )
    lines = [line for path in demo[0].rglob(name) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) > 10
    for line in lines:
        validator.validate(json.loads(line))


def test_the_report_needs_nothing_from_outside_and_tells_of_every_method(demo):
    page = (demo[0] / "report.html").read_text(encoding="utf-8")
    fetched = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"'\s)>]+)""", page)
    assert [target for target in fetched if re.match(r"(?:[a-z]+:)?//", target)] == []
    assert "<script src" not in page and "@import" not in page
    for name in ("Teacher", "Fine-tuning", "MiB", "BLA + UAG", "Stomach", "Liver"):
        assert name in page
    assert "research use only" in page.lower()


def test_local_links_of_the_report_lead_somewhere(demo):
    out, _ = demo
    page = (out / "report.html").read_text(encoding="utf-8")
    links = [target for target in re.findall(r'href="([^"#][^"]*)"', page) if not target.startswith("data:")]
    assert links and all((out / target).exists() for target in links)


def test_every_model_is_evaluated_on_every_organ_of_the_test_patients(demo):
    for name in ("teacher", *METHODS):
        evaluation = codec.read(Evaluation, demo[0] / "evaluation" / name / "evaluation.json")
        known = OLD_ORGANS if name == "teacher" else OLD_ORGANS + NEW_ORGANS
        assert tuple(row.organ for row in evaluation.summary) == known and len(evaluation.cases) == SMALL.test_cases


def test_the_teachers_data_is_deleted_before_the_students_learn(demo):
    out, said = demo
    assert not (out / "data" / "site-a").exists() and (out / "data" / "site-b").is_dir()
    deleted = next(i for i, line in enumerate(said) if "site A's data is deleted" in line)
    assert deleted < next(i for i, line in enumerate(said) if line.startswith("3/5"))
    for method in METHODS:
        job = JobFolder.open(out / "jobs" / method)
        assert "site-a" not in job.plan_path.read_text(
            encoding="utf-8"
        ) and "phantom_a_" not in job.reads_log.read_text(encoding="utf-8")


def test_it_says_what_it_does_in_five_steps_and_where_the_report_is(demo):
    out, said = demo
    assert [line[:3] for line in said if re.match(r"\d/5", line)] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert said[-1] == f"report: {out / 'report.html'}"


def test_no_file_of_it_names_a_folder_of_this_computer(demo):
    out, _ = demo
    for path in out.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".html", ".csv", ".log"):
            assert str(out.parent) not in path.read_text(encoding="utf-8"), path


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(WorkflowError, match="was not made by the demo"):
        run_demo(tmp_path, size=SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
