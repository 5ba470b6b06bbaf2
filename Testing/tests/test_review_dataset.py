"""What OrganReview reads of a dataset and writes into it: order, results, history, decisions, and what is broken."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from review_cases import MODEL_SHA256, asNobody, changeLabel, makeDataset, openToAll, writeReport

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.files import locked

OTHER_SHA256 = "ffffffff" + "1" * 56


@pytest.fixture
def review():
    """The classes under test, imported late: pytest collects before the harness is up."""
    from OrganIncrementLib.Logics import ReviewDataset, ReviewOrder

    class Names:
        Dataset, Decision, Error = ReviewDataset.ReviewDataset, ReviewDataset.Decision, ReviewDataset.ReviewError
        order = ReviewOrder

    return Names


def decision(review, dataset, caseId, to, **changes):
    case = dataset.case(caseId)
    facts = {"who": "Ada", "comment": "", "seenStatus": case.status, "seenLabel": dataset.labelSha256(case)}
    return review.Decision(case=caseId, to=to, **{**facts, **changes})


# -- order


def test_cases_come_by_mean_uncertainty_and_those_without_results_last(tmp_path, review):
    folder = makeDataset(tmp_path / "d", dict.fromkeys(("a", "b", "c", "d"), "submitted"))
    writeReport(folder, "a", {"liver": 10.0, "spleen": 20.0})
    writeReport(folder, "c", {"liver": 30.0, "spleen": 4.0})
    writeReport(folder, "d", {"liver": None, "spleen": None})
    dataset = review.Dataset(folder.path)
    rows = review.order.ordered(dataset.rows(), "", ["liver", "spleen"])
    assert [row.id for row in rows] == ["c", "a", "d", "b"]  # 17, 15, nothing found, no results
    byOrgan = review.order.ordered(dataset.rows(), "spleen", ["liver", "spleen"])
    assert [row.id for row in byOrgan] == ["a", "c", "d", "b"]
    assert rows[-1].resultsProblem == "no results yet"


def test_a_teacher_that_does_not_know_the_organ_still_orders_the_cases(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted", "b": "submitted"}, organs=("stomach",))
    writeReport(folder, "a", {"liver": 5.0})
    writeReport(folder, "b", {"liver": 9.0})
    rows = review.order.ordered(review.Dataset(folder.path).rows(), "", ["stomach"])
    assert [row.id for row in rows] == ["b", "a"]


def test_the_next_case_is_looked_for_from_here_on_and_round_once(review):
    rows = [review.order.CaseRow(id=name, status=status) for name, status in
            (("a", "submitted"), ("b", "approved"), ("c", "flagged"), ("d", "draft"))]  # fmt: skip
    assert review.order.nextToReview(rows, "b") == "a"
    assert review.order.nextToReview(rows, "a") is None
    facts = review.order.progress(rows)
    assert (facts.reviewed, facts.handedIn, facts.drafts) == (2, 3, 1)
    assert [row.id for row in review.order.shown(rows, "flagged")] == ["c"]
    assert [row.id for row in review.order.shown(rows, "to review")] == ["a"]


# -- results that cannot be used


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: text[: len(text) // 2], "cannot be read"),
        (lambda text: text.replace("report/1", "report/2"), "newer than 1; update OrganIncrement"),
        (lambda text: text.replace(MODEL_SHA256, OTHER_SHA256), "another model"),
        (lambda text: text.replace('"input_sha256": "', '"input_sha256": "00'), "another scan"),
    ],
)
def test_results_that_cannot_be_used_are_named_and_come_last(tmp_path, review, damage, words):
    folder = makeDataset(tmp_path / "d", {"a": "submitted", "b": "submitted"})
    writeReport(folder, "b", {"liver": 1.0})
    report = writeReport(folder, "a", {"liver": 90.0}) / "report.json"
    report.write_text(damage(report.read_text(encoding="utf-8")), encoding="utf-8")
    dataset = review.Dataset(folder.path)
    assert words in dataset.row("a").resultsProblem
    assert [row.id for row in review.order.ordered(dataset.rows(), "", ["liver"])] == ["b", "a"]


def test_results_under_the_scans_name_are_found_for_a_case_of_another_name(tmp_path, review):
    from dataclasses import replace

    folder = makeDataset(tmp_path / "d", {"a": "draft"})
    case = folder.case("a")
    (folder.path / case.image).rename(tmp_path / "far_away.nii.gz")
    folder.save_case(replace(case, image="../far_away.nii.gz", image_source="reference"))
    writeReport(folder, "far_away", {"liver": 7.0}, inputSha256=case.image_sha256)
    assert review.Dataset(folder.path).row("a").uncertainty == {"liver": 7.0}


def test_the_model_with_the_most_cases_is_chosen_and_another_can_be(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted", "b": "submitted"})
    writeReport(folder, "a", {"liver": 1.0}, sha256=OTHER_SHA256)
    for name in ("a", "b"):
        writeReport(folder, name, {"liver": 2.0})
    (folder.path / "results" / "notes").mkdir()
    dataset = review.Dataset(folder.path)
    assert [one.key for one in dataset.resultSets()] == [MODEL_SHA256[:8], OTHER_SHA256[:8]]
    dataset.useResults(OTHER_SHA256[:8])
    assert dataset.row("a").uncertainty == {"liver": 1.0}
    assert dataset.row("b").resultsProblem == "no results yet"


# -- decisions


def test_a_decision_is_recorded_with_who_and_comment_and_pins_the_label(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted"})
    dataset = review.Dataset(folder.path)
    dataset.decide(decision(review, dataset, "a", "approved", comment="clean"))
    last = dataset.record.steps("a")[-1]
    assert (last.from_, last.to, last.who, last.comment) == ("submitted", "approved", "Ada", "clean")
    assert dataset.record.comments("a") == 1
    assert dataset.case("a").label_sha256 == dataset.labelSha256(dataset.case("a"))
    assert DatasetFolder.open(folder.path).check_history() == []


@pytest.mark.parametrize(
    ("before", "to", "steps"),
    [
        ("approved", "flagged", ["submitted", "flagged"]),
        ("flagged", "approved", ["submitted", "approved"]),
        ("approved", "submitted", ["submitted"]),
        ("flagged", "submitted", ["submitted"]),
    ],
)
def test_a_change_of_mind_goes_through_submitted(tmp_path, review, before, to, steps):
    folder = makeDataset(tmp_path / "d", {"a": before})
    dataset = review.Dataset(folder.path)
    known = len(dataset.record.steps("a"))
    dataset.decide(decision(review, dataset, "a", to, comment="again"))
    assert [step.to for step in dataset.record.steps("a")[known:]] == steps
    assert [step.comment for step in dataset.record.steps("a")[known:]][-1] == "again"
    assert folder.case("a").status == to


def test_a_label_changed_since_it_was_looked_at_is_not_approved(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted"})
    dataset = review.Dataset(folder.path)
    wanted = decision(review, dataset, "a", "approved")
    changeLabel(folder, "a")
    with pytest.raises(review.Error, match="changed by somebody else after you opened this case"):
        dataset.decide(wanted)
    assert folder.case("a").status == "submitted"


def test_a_case_decided_by_a_colleague_meanwhile_is_told(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted"})
    dataset = review.Dataset(folder.path)
    wanted = decision(review, dataset, "a", "approved")
    folder.move("a", "flagged", "Grace", "leaks")
    with pytest.raises(review.Error, match='became "flagged" meanwhile, by Grace'):
        dataset.decide(wanted)
    assert dataset.row("a").status == "flagged"
    assert dataset.row("a").comments == 1


def test_news_of_colleagues_are_read_without_reading_everything(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted", "b": "submitted"})
    dataset = review.Dataset(folder.path)
    assert dataset.readNews() == set()
    folder.move("b", "approved", "Grace", "")
    assert dataset.readNews() == {"b"}
    assert dataset.row("b").status == "approved"


def test_a_colleague_who_is_writing_does_not_hold_the_window(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted"})
    dataset = review.Dataset(folder.path)
    wanted = decision(review, dataset, "a", "approved")
    with locked(folder.lock_path):
        started = time.monotonic()
        with pytest.raises(review.Error, match="Somebody else is writing"):
            dataset.decide(wanted)
        assert time.monotonic() - started < 1.0
    dataset.decide(wanted)
    assert folder.case("a").status == "approved"


def test_two_reviewers_in_two_processes_never_lose_a_step(tmp_path, review):
    folder = makeDataset(tmp_path / "d", dict.fromkeys("abcdefgh", "submitted"))
    program = (
        "import sys; from organincrement.contract.dataset import DatasetFolder; f = DatasetFolder.open(sys.argv[1])\n"
        "for case in sys.argv[2]: f.move(case, 'flagged', 'Grace', '')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "python")}
    other = subprocess.Popen([sys.executable, "-c", program, str(folder.path), "efgh"], env=environment)
    dataset = review.Dataset(folder.path)
    for name in "abcd":
        for _attempt in range(50):
            try:
                dataset.decide(decision(review, dataset, name, "approved"))
                break
            except review.Error:
                continue
    assert other.wait(30) == 0
    dataset.readNews()
    assert [dataset.row(name).status for name in "abcdefgh"] == ["approved"] * 4 + ["flagged"] * 4
    assert folder.check_history() == []


def test_a_tampered_history_is_named_and_nothing_is_approved(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted", "b": "approved"})
    text = folder.history_path.read_text(encoding="utf-8")
    folder.history_path.write_text(text.replace('"Ada"', '"Eve"', 1), encoding="utf-8")
    dataset = review.Dataset(folder.path)
    assert "history.jsonl line 2" in dataset.record.problem
    with pytest.raises(review.Error, match=r"was changed outside OrganIncrement.*restore the file from a backup"):
        dataset.decide(decision(review, dataset, "a", "approved"))
    assert folder.case("a").status == "submitted"


def test_a_history_that_is_tampered_with_during_the_review_is_noticed(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted", "b": "approved"})
    dataset = review.Dataset(folder.path)
    wanted = decision(review, dataset, "a", "approved")
    text = folder.history_path.read_text(encoding="utf-8")
    folder.history_path.write_text(text.replace('"Ada"', '"Eve"', 1), encoding="utf-8")
    with pytest.raises(review.Error, match="was changed outside OrganIncrement"):
        dataset.decide(wanted)
    assert folder.case("a").status == "submitted"


def test_a_status_that_the_history_does_not_explain_does_not_stop_the_others(tmp_path, review):
    from dataclasses import replace

    folder = makeDataset(tmp_path / "d", {"a": "submitted", "b": "submitted"})
    folder.save_case(replace(folder.case("b"), status="approved"))
    dataset = review.Dataset(folder.path)
    assert dataset.record.problem == ""
    dataset.decide(decision(review, dataset, "a", "approved"))
    assert folder.case("a").status == "approved"


def test_a_folder_that_may_only_be_read_can_be_looked_at(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted"})
    openToAll(tmp_path)

    def look():
        dataset = review.Dataset(folder.path)
        with pytest.raises(review.Error, match="Ask its owner"):
            dataset.decide(decision(review, dataset, "a", "approved"))
        return dataset.readOnly, len(dataset.rows())

    assert asNobody(look) == (True, 1)
    assert review.Dataset(folder.path).readOnly is False


# -- broken datasets


def test_a_half_copied_case_is_a_row_that_says_so(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"a": "submitted", "b": "submitted"})
    file = folder.path / "cases" / "b.json"
    file.write_bytes(file.read_bytes()[:100])
    dataset = review.Dataset(folder.path)
    assert [row.status for row in dataset.rows()] == ["submitted", ""]
    assert "b.json" in dataset.row("b").problem
    assert dataset.record.problem == ""


def test_a_folder_that_is_no_dataset_is_refused_in_words(tmp_path, review):
    with pytest.raises(review.Error, match=r"no dataset that can be opened.*dataset\.json"):
        review.Dataset(tmp_path)


def test_three_hundred_cases_are_read_in_less_than_a_second(tmp_path, review):
    folder = makeDataset(tmp_path / "d", {"pt_0": "draft"})
    case = (folder.path / "cases" / "pt_0.json").read_text(encoding="utf-8")
    report = writeReport(folder, "pt_0", {"liver": 3.0, "spleen": 4.0}) / "report.json"
    for number in range(1, 300):
        name = f"pt_{number}"
        text = case.replace("pt_0", name).replace('"draft"', '"submitted"')
        (folder.path / "cases" / f"{name}.json").write_text(text, encoding="utf-8")
        where = report.parents[1] / name
        where.mkdir()
        (where / "report.json").write_bytes(report.read_bytes())
    started = time.process_time()
    dataset = review.Dataset(folder.path)
    rows = review.order.ordered(dataset.rows(), "", ["liver", "spleen"])
    elapsed = time.process_time() - started
    print(f"300 cases in {elapsed:.3f} s")
    assert len(rows) == 300
    assert elapsed < 1.0
