"""Evaluating a package on a labelled dataset: Dice, HD95 and ASSD per organ and case; json, csv, html."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.files import sha256_file, write_atomic
from organincrement.contract.model import ModelManifest
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.contract.results import EvaluatedCase, Evaluation
from organincrement.evaluation.cases import evaluate_case, evaluation_csv, summarise
from organincrement.evaluation.report import render_evaluation
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import Prediction
from organincrement.models.package import LoadedModel, load_package
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.fan_out import Crew, Line, Waiting, fan_out
from organincrement.workflows.fan_out_ledger import Ledger
from organincrement.workflows.fan_out_size import sized
from organincrement.workflows.looking import hardware_for_scans
from organincrement.workflows.modality import check_seen
from organincrement.workflows.scan_in_work import Working, nobody_asks
from organincrement.workflows.segment import run_model

_HERE = Crew()


def evaluate(
    model_path: Path,
    dataset_path: Path,
    out: Path,
    device: str = "auto",
    progress: Callable[[int, int, str], None] | None = None,
    *,
    largest_component: bool = False,
    notice: Callable[[str], None] = lambda line: None,
    working: Working = nobody_asks,
    crew: Crew = _HERE,
) -> Evaluation:
    """Segment every labelled case and compare it with its label, on the scan's own grid.

    Args: largest_component: compare each organ's largest connected part only. notice: told where memory is short, and
    of two organs under one name. working: told of the windows of the scan in work. crew: who does it; where others than
    this process do, and it was stopped, the same call goes on with the cases that are left.
    Organs that only the dataset or only the model knows are left out. Raises: WorkflowError where they share none.
    """
    manifest, dataset = read_manifest(model_path), DatasetFolder.open(dataset_path)
    labelled = {case.id: case for case in _labelled_cases(dataset, manifest, notice)}
    crew = sized(crew, [dataset.image_path(case) for case in labelled.values()], model=manifest, device=device)
    model, data = crew.seen(model_path), crew.seen(dataset_path)
    work = _Evaluating(model=model, dataset=data, largest_component=largest_component, device=device)
    settings = {
        "model": manifest_sha256(model_path), "dataset": codec.to_json(dataset.manifest), "device": device,
        "largest_component": largest_component,
    }  # fmt: skip
    found: dict[str, EvaluatedCase] = {}
    waiting = Waiting(notice=notice, progress=progress or _nobody_asks, working=working)
    with Ledger.of(out, settings, keep=crew.is_shared) as ledger:
        items = {name: _Item(case=case, known=ledger.inputs_of(name)) for name, case in labelled.items()}
        for name, (inputs, evaluated) in fan_out(work, items, crew, waiting):
            found[name] = evaluated or codec.from_json(EvaluatedCase, ledger.done[name].result, where="done.jsonl")
            ledger.add(name, inputs, found[name])
        cases = tuple(found[name] for name in labelled)
        evaluation = Evaluation(model=manifest.name, reference="truth", cases=cases, summary=summarise(cases))
        _write(evaluation, manifest, out)
        ledger.finish()
    return evaluation


@dataclass(frozen=True, kw_only=True)
class _Item:
    """A labelled case. known: the hash of what an earlier run evaluated, "" or None where it has not: see `Ledger`."""

    case: Case
    known: str | None


@dataclass(frozen=True, kw_only=True)
class _Evaluating:
    """Evaluating cases, wherever that is done. Results: the hash of the inputs, and what was found, None if known."""

    model: Path
    dataset: Path
    largest_component: bool
    device: str

    def begin(self) -> Callable[[_Item, Line], tuple[str, EvaluatedCase | None]]:
        """Open the model and the dataset."""
        model, hardware = load_package(self.model), hardware_for_scans(self.device)
        dataset = DatasetFolder.open(self.dataset)

        def do(item: _Item, line: Line) -> tuple[str, EvaluatedCase | None]:
            inputs = _inputs_sha256(dataset, item.case) if item.known is not None else ""
            if item.known and inputs == item.known:
                return inputs, None

            def predict(image: Volume) -> Prediction:
                return run_model(
                    model, image, hardware, "none", line.between, largest_component=self.largest_component,
                    notice=line.notice, progress=line.within,
                )  # fmt: skip

            return inputs, _evaluated(model, dataset, item.case, predict)

        return do


def _nobody_asks(done: int, total: int, name: str) -> None:
    """The progress that is told nobody."""


def _inputs_sha256(dataset: DatasetFolder, case: Case) -> str:
    """Of the scan, the label, and of what the case says was looked for."""
    hashes = [sha256_file(dataset.image_path(case)), sha256_file(dataset.label_path(case)), *case.annotated]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _labelled_cases(dataset: DatasetFolder, manifest: ModelManifest, notice: Callable[[str], None]) -> list[Case]:
    check_seen(dataset, manifest, "the model was trained on")
    for line in _two_under_one_id(dataset, manifest):
        notice(line)
    organs = manifest.label_space
    if not any(organs.has(organ) for organ in dataset.label_space.organs):
        raise WorkflowError(f"{dataset.path.name}: has none of the model's organs ({', '.join(organs.ids)})")
    labelled = [case for case in dataset.cases() if case.label is not None]
    if not labelled:
        raise WorkflowError(f"{dataset.path.name}: no case has a label")
    return labelled


def _two_under_one_id(dataset: DatasetFolder, manifest: ModelManifest) -> Iterator[str]:
    """A line for each organ of the dataset that the model has another of by the same name."""
    for organ in dataset.label_space.organs:
        for other in manifest.label_space.organs:
            if organ.id == other.id and (difference := organ.apart_from(other)):
                yield (
                    f"organ '{organ.id}' {difference} (here: {dataset.path.name}, there: model '{manifest.name}'): "
                    "they are two, and not compared; correct the one that is wrong"
                )


def _write(evaluation: Evaluation, manifest: ModelManifest, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    codec.write(evaluation, out / "evaluation.json")
    write_atomic(out / "evaluation.csv", evaluation_csv(evaluation))
    write_atomic(out / "evaluation.html", render_evaluation(evaluation, manifest.label_space))


def _evaluated(
    model: LoadedModel, dataset: DatasetFolder, case: Case, predict: Callable[[Volume], Prediction]
) -> EvaluatedCase:
    image = read_image(dataset.image_path(case))
    truth = read_labels(dataset.label_path(case), allowed=dataset.label_values, like=image)
    predicted = predict(image)
    rows = evaluate_case(
        predicted.labels_DHW, model.organs, truth.array_DHW, dataset.label_space, case.annotated, image.spacing_mm,
        ignore_value=dataset.manifest.ignore_value,
    )  # fmt: skip
    return EvaluatedCase(id=case.id, organs=rows)
