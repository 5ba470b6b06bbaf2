"""The two pages as a reader's browser gets them."""

import dataclasses
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.results import ComparisonTest, EvaluatedCase, EvaluatedOrgan, Evaluation, Region
from organincrement.evaluation.calibration import reliability
from organincrement.evaluation.cases import summarise
from organincrement.evaluation.errors import EvaluationError
from organincrement.evaluation.page import TEMPLATES
from organincrement.evaluation.report import render_evaluation, render_story
from organincrement.evaluation.story import Calibration, Curve, Fact, Link, MethodRow, SlicePicture, Story
from organincrement.evaluation.tables import MAX_CELLS, case_tables, forgetting_lines, method_lines

LIVER = Organ(id="liver", name="Liver", color=(221, 130, 101))
SPLEEN = Organ(id="spleen", name="Spleen", color=(157, 108, 162))
VOID = {"meta", "br", "input", "img", "link", "hr"}


class Page(HTMLParser):
    """Tags and text of a page; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def method(name: str, role: str, liver: float, spleen: float, **rest: object) -> MethodRow:
    mean = float(np.nanmean([liver, spleen]))
    dice = {"liver": liver, "spleen": spleen}
    return MethodRow(name=name, role=role, dice=dice, old_mean=liver, new_mean=spleen, average=mean, **rest)


METHODS = (
    method("Teacher", "teacher", 0.95, math.nan),
    method("Fine-tuning", "baseline", 0.10, 0.80, seconds=60.0, forgetting={"liver": 0.85}),
    method("BLA + UAG", "student", 0.94, 0.85, seconds=125.0, forgetting={"liver": 0.01}),
    method("All labels", "bound", 0.96, 0.90),
)


def story(**changes: object) -> Story:
    return dataclasses.replace(
        Story(title="One more organ", intro=["First.", "Second."], old=(LIVER,), new=(SPLEEN,), methods=METHODS),
        **changes,
    )


def full_story() -> Story:
    labels = np.zeros((40, 40), np.uint8)
    labels[10:20, 10:20] = 2
    logits = np.random.default_rng(0).normal(size=(500, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    diagram = reliability(p, p.argmax(1))
    return story(
        facts=[Fact(label="New scans", value="24", detail="one organ each")],
        tests=[ComparisonTest(a="BLA + UAG", b="MiB", organ="liver", difference=-0.012, ci95=(-0.02, 0.001), p=0.0002)],
        slices=[SlicePicture(title="Level L1", image_HW=labels * 50.0, labels_HW=labels, uncertainty_HW=labels * 9.0)],
        regions=[
            Region(
                organ="spleen",
                center_ras_mm=(-12.4, 3.0, 88.6),
                bounds_ras_mm=(0, 1, 0, 1, 0, 1),
                volume_mm3=12345.6,
                mean=41.2,
                max=88.0,
            )
        ],
        calibration=Calibration(before=diagram, after=diagram, temperature=1.7),
        curves=[
            Curve(
                name="BLA + UAG",
                steps=[0, 10, 20],
                losses={"new_organ": [1.0, 0.5, 0.25]},
                dice={"liver": ([0, 20], [0.9, 0.94])},
            )
        ],
        notes=["Few scans."],
        links=[Link(text="Evaluation", href="evaluation.html")],
        made="2026-11-21",
    )


def row(organ: str, status: str = "measured", dice: float | None = 0.8) -> EvaluatedOrgan:
    mm = 2.0 if status == "measured" else None
    return EvaluatedOrgan(organ=organ, status=status, dice=dice, hd95_mm=mm, assd_mm=mm, volume_mm3=5000.0)


def evaluation(*cases: EvaluatedCase, reference: str = "truth") -> Evaluation:
    return Evaluation(model="abdomen-2", reference=reference, cases=cases, summary=summarise(cases))


CASES = (
    EvaluatedCase(id="p1", organs=(row("liver"), row("spleen", "missed", 0.0))),
    EvaluatedCase(id="p2", organs=(row("liver", dice=0.9), row("spleen", "not_annotated", None))),
    EvaluatedCase(id="p3", organs=(row("liver", "spurious", 0.0), row("spleen", "both_empty", None))),
)
SPACE = LabelSpace((LIVER, SPLEEN))


def pages() -> dict[str, str]:
    return {"story": render_story(full_story()), "evaluation": render_evaluation(evaluation(*CASES), SPACE)}


@pytest.mark.parametrize("name", ["story", "evaluation"])
def test_a_page_needs_nothing_but_itself(name: str):
    html = pages()[name]
    page = Page(html)
    assert not any(tag in ("script", "link", "iframe", "object", "embed", "img") for tag, _ in page.tags)
    assert not re.search(r"url\((?!#)|@import|https?://", html)
    for _, attributes in page.tags:
        address = attributes.get("href") or ""
        assert address == "evaluation.html" or address.startswith(("data:image/png;base64,", "#")) or not address
        assert not any(attribute.startswith("on") for attribute in attributes)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none';")


@pytest.mark.parametrize("name", ["story", "evaluation"])
def test_a_page_can_be_heard_as_well_as_seen(name: str):
    page = Page(pages()[name])
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert all(header.get("scope") for header in page.all("th"))
    drawings = [svg for svg in page.all("svg") if svg.get("role") == "img"]
    assert drawings and all(svg.get("aria-label") for svg in drawings)
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {a["aria-labelledby"] for _, a in page.tags if a.get("aria-labelledby")} <= set(ids)


@pytest.mark.parametrize("name", ["story", "evaluation"])
def test_a_page_says_that_it_is_for_research(name: str):
    assert "Research use only – not a medical device." in Page(pages()[name]).text


def test_text_is_never_taken_for_markup():
    hostile = "<script>alert(1)</script>"
    told = render_story(story(title=hostile, notes=[hostile], methods=[method(hostile, "student", 0.5, 0.5)]))
    assert "<script" not in told and "&lt;script&gt;" in told
    organ = dataclasses.replace(LIVER, name=hostile)
    assert "<script" not in render_evaluation(evaluation(*CASES), LabelSpace((organ, SPLEEN)), title=hostile)


def test_text_and_background_keep_a_contrast_of_4_5_in_light_and_dark():
    themes = re.findall(r":root \{(.*?)\}", (TEMPLATES / "style.css").read_text(encoding="utf-8"), re.DOTALL)

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert len(themes) == 2
    for theme in themes:
        colours = dict(re.findall(r"--([\w-]+): (#\w{6})", theme))
        pairs = [(ink, "paper") for ink in ("ink", "quiet", "accent", "warn", *(f"s{i}" for i in range(6)))]
        pairs += [
            ("ink", "tint"),
            ("quiet", "tint"),
            ("warn", "warn-tint"),
            ("accent", "best-tint"),
            ("quiet", "best-tint"),
        ]
        for ink, paper in pairs:
            dark, light = sorted((luminance(colours[ink]), luminance(colours[paper])))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


def test_the_best_value_is_chosen_among_students_and_baselines():
    lines = {line.name: line for line in method_lines(story())}
    looks = {name: [cell.look for cell in line.organs] for name, line in lines.items()}
    assert looks["BLA + UAG"] == ["best", "best"]
    assert looks["All labels"] == looks["Teacher"] == looks["Fine-tuning"] == ["plain", "plain"]
    assert lines["Teacher"].organs[1].text == "–"


def test_values_that_print_alike_are_best_together():
    rows = (method("A", "student", 0.90001, 0.5), method("B", "baseline", 0.90003, 0.6))
    lines = method_lines(story(methods=rows))
    assert [line.organs[0].look for line in lines] == ["best", "best"]
    assert [line.organs[1].look for line in lines] == ["plain", "best"]


def test_a_method_that_lost_two_points_of_the_old_organs_is_marked():
    changes = {line.name: (line.change.text, line.change.look) for line in method_lines(story())}
    assert changes["Fine-tuning"] == ("−85.0", "low")
    assert changes["BLA + UAG"] == ("−1.0", "plain")
    assert changes["Teacher"] == ("–", "plain")
    assert [(name, cells[0].look) for name, cells in forgetting_lines(story())] == [
        ("Fine-tuning", "low"),
        ("BLA + UAG", "plain"),
    ]


def test_the_story_prints_its_figures():
    text = Page(render_story(full_story())).text
    for expected in ("First. Second.", "94.0", "2 min 5 s", "−1.2", "−2.0 to +0.1", "< 0.001", "−12, 3, 89", "12 346"):
        assert expected in text
    assert "temperature 1.70" in text and "new organ 0.250" in text


def test_parts_that_were_left_empty_are_left_out():
    page = Page(render_story(Story(title="t", intro=["i"], old=(LIVER,), new=(SPLEEN,))))
    assert [a["id"] for a in page.all("h2")] == ["increment"]
    assert not page.all("table")


def test_the_scan_is_stored_once_for_all_its_panels():
    labels = np.zeros((40, 40), np.uint8)
    labels[10:20, 10:20] = 1
    picture = SlicePicture(
        title="L1", image_HW=labels * 40.0, labels_HW=labels, overlays=[("Teacher", labels), ("Student", labels)]
    )
    page = Page(render_story(story(slices=[picture])))
    assert len(page.all("image")) == 1
    assert [use["href"] for use in page.all("use")] == ["#scan-1", "#scan-1"]


def test_a_region_or_test_of_an_unknown_organ_is_refused():
    region = dataclasses.replace(full_story().regions[0], organ="kidney")
    with pytest.raises(EvaluationError, match="'kidney'"):
        render_story(story(regions=[region]))


def test_a_curve_with_fewer_values_than_steps_is_refused():
    with pytest.raises(EvaluationError, match="'m': total has 1 values for 2 steps"):
        Curve(name="m", steps=[0, 1], losses={"total": [1.0]})


def test_the_evaluation_prints_means_and_the_words_for_what_was_not_measured():
    text = Page(render_evaluation(evaluation(*CASES), SPACE)).text
    assert "abdomen-2 against the reference contours" in text
    assert "Liver 3 56.7" in text  # mean of 0.8, 0.9 and a spurious 0
    assert "Missed organs 1 and 1 spurious, of 6" in text
    words = {
        cell.text
        for table in case_tables(evaluation(*CASES), SPACE.organs)
        for line in table.lines
        for cell in line.cells
    }
    assert {"missed", "spurious", "absent", "·", "80.0", "2.0", "2.00", "5.0"} <= words


def test_agreement_with_a_teacher_is_not_called_truth():
    assert "against its teacher" in Page(render_evaluation(evaluation(*CASES, reference="teacher"), SPACE)).text


def test_a_case_below_the_whisker_of_its_organ_is_marked():
    cases = [EvaluatedCase(id=f"p{i}", organs=(row("liver", dice=0.9 + i / 1000),)) for i in range(8)]
    cases.append(EvaluatedCase(id="odd", organs=(row("liver", dice=0.5),)))
    lines = case_tables(evaluation(*cases), [LIVER])[0].lines
    assert [line.id for line in lines if line.cells[0].look == "low"] == ["odd"]


def test_a_table_too_long_to_read_keeps_the_hardest_cases():
    cases = [EvaluatedCase(id=f"p{i}", organs=(row("liver", dice=i / 5000),)) for i in range(MAX_CELLS + 5)]
    table = case_tables(evaluation(*cases), [LIVER])[0]
    assert (len(table.lines), table.left_out) == (MAX_CELLS, 5)
    assert table.lines[0].id == "p0"


def test_an_evaluation_without_cases_still_makes_a_page():
    assert "Cases 0" in Page(render_evaluation(evaluation(), SPACE)).text


def test_an_organ_that_the_model_lacks_is_refused():
    with pytest.raises(EvaluationError, match="'spleen'"):
        render_evaluation(evaluation(*CASES), LabelSpace((LIVER,)))
