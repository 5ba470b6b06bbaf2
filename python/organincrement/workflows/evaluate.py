"""Evaluating a package on a labelled dataset: Dice, HD95 and ASSD per organ and case; json, csv, html."""

from collections.abc import Callable
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.files import write_atomic
from organincrement.contract.results import EvaluatedCase, Evaluation
from organincrement.evaluation.cases import evaluate_case, evaluation_csv, summarise
from organincrement.evaluation.report import render_evaluation
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import Prediction
from organincrement.models.package import LoadedModel, load_package
from organincrement.training.device import resolve_hardware
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.modality import check_modality
from organincrement.workflows.scan_in_work import ScanInWork, Working, nobody_asks
from organincrement.workflows.segment import run_model


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
) -> Evaluation:
    """Segment every labelled case and compare it with its label, on the scan's own grid.

    Args: largest_component: compare each organ's largest connected part only. notice: told where memory is short.
    working: told of the windows of the scan in work.
    Organs that only the dataset or only the model knows are left out. Raises: WorkflowError where they share none.
    """
    model = load_package(model_path)
    dataset = DatasetFolder.open(dataset_path)
    labelled = _labelled_cases(dataset, model)
    hardware = resolve_hardware(device, "auto")
    cases = []
    at = ScanInWork(working, len(labelled))

    def predict(image: Volume) -> Prediction:
        return run_model(
            model, image, hardware, "none", largest_component=largest_component, notice=notice, progress=at.within
        )

    for case in labelled:
        at.begin(len(cases), case.id)
        cases.append(_evaluated(model, dataset, case, predict))
        if progress:
            progress(len(cases), len(labelled), case.id)
    evaluation = Evaluation(model=model.manifest.name, reference="truth", cases=tuple(cases), summary=summarise(cases))
    _write(evaluation, model, out)
    return evaluation


def _labelled_cases(dataset: DatasetFolder, model: LoadedModel) -> list[Case]:
    check_modality(dataset, model, "the model was trained on")
    if not any(model.organs.has(organ) for organ in dataset.label_space.organs):
        raise WorkflowError(f"{dataset.path.name}: has none of the model's organs ({', '.join(model.organs.ids)})")
    labelled = [case for case in dataset.cases() if case.label is not None]
    if not labelled:
        raise WorkflowError(f"{dataset.path.name}: no case has a label")
    return labelled


def _write(evaluation: Evaluation, model: LoadedModel, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    codec.write(evaluation, out / "evaluation.json")
    write_atomic(out / "evaluation.csv", evaluation_csv(evaluation))
    write_atomic(out / "evaluation.html", render_evaluation(evaluation, model.organs))


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
