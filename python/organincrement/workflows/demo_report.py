"""What the demo's report tells: the table, the curves, and slices of a patient that no model has seen."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.events import Step, Validated, read_events
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import Evaluation, Regions
from organincrement.evaluation.story import Curve, Fact, Link, MethodRow, Role, SlicePicture, Story
from organincrement.imaging.safe_read import read_image, read_labels, read_stored
from organincrement.imaging.volume import Volume
from organincrement.models.package import load_package
from organincrement.training.device import resolve_hardware
from organincrement.workflows.demo import DEFAULT, METHODS, NEW_ORGANS, OLD_ORGANS, DemoResult
from organincrement.workflows.segment import run_model

_ROLES: dict[str, Role] = {"teacher": "teacher", DEFAULT: "student"}
_NAMES = {"teacher": "Teacher (site A)", "fine-tune": "Fine-tuning", "mib": "MiB", "bla-uag": "BLA + UAG"}
_MOST_REGIONS = 8


def demo_story(result: DemoResult, packages: dict[str, Path], test: DatasetFolder, seconds: float) -> Story:
    """The story of a demo that has run."""
    rows = [_row(name, evaluation, result.seconds[name]) for name, evaluation in result.evaluations.items()]
    regions = codec.read(Regions, result.example / "regions.json").regions[:_MOST_REGIONS]
    return Story(
        title="One more organ, without the old data",
        intro=(
            "A teacher learned four abdominal organs at site A, whose data was then deleted. At site B, with another "
            "scanner, only the stomach is contoured. Each student below learned from the teacher and site B alone; all "
            "are compared on patients of site B that no model has seen, with every organ contoured.",
            "The patients are phantoms: procedural CT in Hounsfield units, of nobody.",
        ),
        old=tuple(organ_from_name(organ) for organ in OLD_ORGANS),
        new=tuple(organ_from_name(organ) for organ in NEW_ORGANS),
        facts=_facts(result, rows, seconds),
        methods=rows,
        slices=_slices(result, packages, test),
        regions=regions,
        curves=[_curve(name, result.out / "jobs" / name) for name in ("teacher", *METHODS)],
        notes=(
            "Fine-tuning sees the old organs labelled as background, and forgets them.",
            "Every student trains for the same number of steps with the same optimiser.",
            "A phantom is simpler than a patient. Figures on real CT stand in the README.",
        ),
        links=(
            Link(text="Segmentation and uncertainty map of the example", href=f"segmentation/{result.example.name}"),
        ),
    )


def _facts(result: DemoResult, rows: list[MethodRow], seconds: float) -> list[Fact]:
    by_name = {row.name: row for row in rows}
    teacher, student = by_name[_NAMES["teacher"]], by_name[_NAMES[DEFAULT]]
    hardware = resolve_hardware("auto", "auto")
    cases = len(next(iter(result.evaluations.values())).cases)
    return [
        Fact(
            label="Old organs, student", value=f"{student.old_mean:.3f}", detail=f"Dice; teacher {teacher.old_mean:.3f}"
        ),
        Fact(label="New organ, student", value=f"{student.new_mean:.3f}", detail=f"Dice; {cases} test patients"),
        Fact(label="Student's training", value=f"{result.seconds[DEFAULT]:.0f} s", detail=hardware.description),
        Fact(label="Whole demo", value=f"{seconds / 60:.1f} min", detail="4 trainings, 4 evaluations"),
    ]


def _row(name: str, evaluation: Evaluation, seconds: float) -> MethodRow:
    dice = {row.organ: float("nan") if row.dice is None else row.dice for row in evaluation.summary}
    known = {organ: dice.get(organ, float("nan")) for organ in OLD_ORGANS + NEW_ORGANS}
    return MethodRow(
        name=_NAMES[name],
        role=_ROLES.get(name, "baseline"),
        dice=known,
        old_mean=_mean([known[organ] for organ in OLD_ORGANS]),
        new_mean=_mean([known[organ] for organ in NEW_ORGANS]),
        average=_mean(list(known.values())),
        seconds=seconds,
    )


def _mean(values: list[float]) -> float:
    return float(np.mean(values))


def _curve(name: str, job: Path) -> Curve:
    events = read_events(job / "events.jsonl")
    steps = [event for event in events if isinstance(event, Step)]
    validated = [event for event in events if isinstance(event, Validated)]
    terms = steps[-1].losses if steps else {}
    losses = {term: [_number(event.losses.get(term)) for event in steps] for term in terms}
    dice: dict[str, tuple[list[int], list[float]]] = {}
    for event in validated:
        for organ, value in {**event.dice, **event.agreement}.items():
            at, values = dice.setdefault(organ, ([], []))
            at.append(event.step)
            values.append(_number(value))
    return Curve(name=_NAMES[name], steps=[event.step for event in steps], losses=losses, dice=dice)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _slices(result: DemoResult, packages: dict[str, Path], test: DatasetFolder) -> list[SlicePicture]:
    case = test.case(result.example_case)
    image = read_image(test.image_path(case))
    truth = read_labels(test.label_path(case), allowed=None)
    uncertainty = read_stored(result.example / "uncertainty.nrrd")
    hardware = resolve_hardware("auto", "auto")
    overlays = []
    for name in (DEFAULT, "mib", "fine-tune"):
        model = load_package(packages[name])
        model.network.to(hardware.device)
        overlays.append((_NAMES[name], run_model(model, image, hardware, "none").labels_DHW))
    new_label = 1 + len(OLD_ORGANS)
    areas = (truth.array_DHW == new_label).sum((1, 2)) + 0.2 * (truth.array_DHW > 0).sum((1, 2))
    axial = int(np.argmax(areas))
    coronal = int(np.argmax((truth.array_DHW > 0).sum((0, 2))))
    return [
        _picture("Axial", image, truth, uncertainty, overlays, (axial, slice(None), slice(None))),
        _picture("Coronal", image, truth, uncertainty, overlays, (slice(None), coronal, slice(None))),
    ]


def _picture(
    title: str,
    image: Volume,
    truth: Volume,
    uncertainty: Volume,
    overlays: list[tuple[str, NDArray[np.integer]]],
    where: tuple[int | slice, ...],
) -> SlicePicture:
    """A slice, first row on top: axial seen from the feet, coronal from the front with the head on top."""
    upright = (slice(None, None, -1), slice(None)) if title == "Coronal" else (slice(None), slice(None))
    rows = 1 if title == "Axial" else 0

    def cut(array_DHW: NDArray) -> NDArray:  # type: ignore[type-arg]
        return array_DHW[where][upright]

    return SlicePicture(
        title=title,
        image_HW=cut(image.array_DHW),
        labels_HW=cut(truth.array_DHW),
        overlays=[(name, cut(labels)) for name, labels in overlays],
        uncertainty_HW=cut(uncertainty.array_DHW),
        spacing_mm=(image.spacing_mm[rows], image.spacing_mm[2]),
        sides=("R", "L"),
    )
