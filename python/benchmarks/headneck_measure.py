"""What the study measures of a package on test patients: overlap, distances, calibration, worth of the uncertainty."""

import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.evaluation.calibration import reliability
from organincrement.imaging.cache import write_case
from organincrement.imaging.preprocessing import preprocess_pair
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.imaging.volume import Volume
from organincrement.models.package import LoadedModel, load_package
from organincrement.planning.scan_facts import body_mask
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.training.validation import Segmenter
from organincrement.workflows.evaluate import evaluate
from organincrement.workflows.segment import run_model

SHARES = (0.01, 0.05, 0.10)  # of the body's voxels, the most uncertain first
BINS = 15
_LEVELS = 101  # uncertainty in per cent
_IN_BODY = 256


def accuracy(package: Path, dataset: Path, out: Path) -> dict[str, dict[str, dict[str, float | None]]]:
    """Per organ and case: Dice, HD95 and ASSD in mm, on the scans' own grids."""
    found = evaluate(package, dataset, out)
    shutil.rmtree(out)
    rows: dict[str, dict[str, dict[str, float | None]]] = {}
    for case in found.cases:
        for row in case.organs:
            if row.dice is not None:
                figures = {"dice": row.dice, "hd95_mm": row.hd95_mm, "assd_mm": row.assd_mm}
                rows.setdefault(row.organ, {})[case.id] = {k: v and round(v, 4) for k, v in figures.items()}
    return rows


def trust(package: Path, dataset: Path, scratch: Path) -> dict[str, Any]:
    """Over all cases: ECE and reliability; per case then mean: error AUROC in the body, Dice with voxels set aside."""
    model, hardware = load_package(package), resolve_hardware("auto", "auto")
    model.network.to(hardware.device)
    folder = DatasetFolder.open(dataset)
    cases = [_Case.read(model, folder, case) for case in folder.cases()]
    return {
        "uncertainty": {
            kind: _worth([_ranked(model, case, hardware, kind) for case in cases])
            for kind in ("entropy", "perturbation")
        },
        "calibration": _calibration(model, cases, hardware, scratch),
    }


@dataclass(frozen=True, kw_only=True)
class _Case:
    """truth_DHW: in the model's labels; organs that the model does not know are background."""

    image: Volume
    truth_DHW: NDArray[np.int16]
    body_DHW: NDArray[np.bool_]

    @classmethod
    def read(cls, model: LoadedModel, folder: DatasetFolder, case: Case) -> "_Case":
        image = read_image(folder.image_path(case))
        labels = read_labels(folder.label_path(case), allowed=folder.label_values, like=image).array_DHW
        truth = np.zeros(labels.shape, np.int16)
        for value, organ in enumerate(folder.label_space.organs, start=1):
            match = [i for i, known in enumerate(model.organs.organs, start=1) if known.same_as(organ)]
            truth[labels == value] = match[0] if match else 0
        return cls(image=image, truth_DHW=truth, body_DHW=body_mask(image.array_DHW, ct=True))


def _ranked(model: LoadedModel, case: _Case, hardware: Hardware, kind: Any) -> dict[str, Any]:
    """One case: how well uncertainty ranks its errors, and what is left when the most uncertain are set aside."""
    found = run_model(model, case.image, hardware, kind)
    u, wrong = found.uncertainty_DHW[case.body_DHW], (found.labels_DHW != case.truth_DHW)[case.body_DHW]
    predicted, truth = found.labels_DHW[case.body_DHW], case.truth_DHW[case.body_DHW]
    order = np.argsort(u, kind="stable")[::-1]
    aside, corrected, organs = {}, {}, np.setdiff1d(truth, [0])
    for share in (0.0, *SHARES):
        most, rest = np.split(order, [round(share * len(order))])
        aside[str(share)] = _mean_dice(predicted[rest], truth[rest], organs)
        mended = predicted.copy()
        mended[most] = truth[most]
        corrected[str(share)] = _mean_dice(mended, truth, organs)
    return {"auroc": auroc(u, wrong), "dice_set_aside": aside, "dice_corrected": corrected}


def auroc(u: NDArray[np.uint8], wrong: NDArray[np.bool_]) -> float | None:
    """Probability that a wrong voxel is more uncertain than a right one, ties counting half; None without either.

    u in per cent.
    """
    if wrong.all() or not wrong.any():
        return None
    bad = np.bincount(u[wrong], minlength=_LEVELS) / wrong.sum()
    good = np.bincount(u[~wrong], minlength=_LEVELS) / (~wrong).sum()
    return float((bad * (np.cumsum(good) - good / 2)).sum())


def _mean_dice(predicted: NDArray[Any], truth: NDArray[Any], organs: NDArray[Any]) -> float:
    """Over these organs; one of which neither side has a voxel left is left out."""
    found = []
    for label in organs:
        a, b = predicted == label, truth == label
        total = np.count_nonzero(a) + np.count_nonzero(b)
        if total:
            found.append(2 * np.count_nonzero(a & b) / total)
    return float(np.mean(found))


def _worth(cases: list[dict[str, Any]]) -> dict[str, Any]:
    known = [case["auroc"] for case in cases if case["auroc"] is not None]
    return {
        "auroc": statistics.mean(known),
        "auroc_least": min(known),
        **{
            kind: {share: statistics.mean(case[kind][share] for case in cases) for share in cases[0][kind]}
            for kind in ("dice_set_aside", "dice_corrected")
        },
    }


def _calibration(model: LoadedModel, cases: list[_Case], hardware: Hardware, scratch: Path) -> dict[str, Any]:
    """Reliability on the network's grid, over the body and over what the model calls an organ."""
    body, organs = [], []
    for number, case in enumerate(cases):
        p_NC, truth_N, body_N = _probabilities(model, case, hardware, scratch / str(number))
        body.append(reliability(p_NC[body_N], truth_N[body_N], bins=BINS))
        # chosen by the prediction alone: a choice by the truth would make any model look too sure
        organ_N = p_NC.argmax(1) > 0
        organs.append(reliability(p_NC[organ_N], truth_N[organ_N], bins=BINS))
    return {"body": _pooled(body), "organs": _pooled(organs)}


def _probabilities(model: LoadedModel, case: _Case, hardware: Hardware, scratch: Path) -> tuple[NDArray[Any], ...]:
    manifest = model.manifest
    # both masks in one, so that both are cropped alike
    marked = case.image.with_array((case.truth_DHW + _IN_BODY * case.body_DHW).astype(np.uint16))
    image_DHW, marked_DHW = preprocess_pair(case.image, marked, manifest.preprocessing)
    truth_DHW, body_DHW = marked_DHW % _IN_BODY, marked_DHW >= _IN_BODY
    scratch.mkdir(parents=True)
    cached = write_case(scratch, "case", image_DHW, truth_DHW.astype(np.int16), seed=0)
    segmenter = Segmenter(
        patch=tuple(manifest.inference.patch), step=manifest.inference.step, fill=float(image_DHW.min()),
        device=hardware.device, autocast=hardware.autocast, between=lambda: None,
    )  # fmt: skip
    with torch.inference_mode():
        logits = segmenter.logits(model.network, cached, 1 + len(model.organs))
    shutil.rmtree(scratch)
    p_NC = (logits / manifest.inference.temperature).softmax(0).flatten(1).T.numpy()
    return p_NC, truth_DHW.ravel().astype(np.int64), body_DHW.ravel()


def _pooled(parts: list[Any]) -> dict[str, Any]:
    """All cases' voxels in one reliability diagram."""
    voxels = sum(part.voxels for part in parts)
    seen = np.maximum(voxels, 1)
    confidence = sum(np.nan_to_num(part.confidence) * part.voxels for part in parts) / seen
    accuracy = sum(np.nan_to_num(part.accuracy) * part.voxels for part in parts) / seen
    return {
        "ece": float((np.abs(confidence - accuracy) * voxels).sum() / voxels.sum()),
        "confidence": [round(float(c), 4) for c in confidence],
        "accuracy": [round(float(a), 4) for a in accuracy],
        "voxels": [int(n) for n in voxels],
    }
