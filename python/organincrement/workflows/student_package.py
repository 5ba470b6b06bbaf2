"""Packaging a student: calibrated, with what it was trained on, what it reaches, and where it comes from."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from organincrement.contract.job import JobFolder
from organincrement.contract.model import (
    Decoder,
    Inference,
    LineageStep,
    Metrics,
    ModelManifest,
    MultiDecoderHead,
    MultiHead,
    Network,
    SoftmaxHead,
    SpacingRange,
    TrainedOn,
    Uncertainty,
)  # fmt: skip
from organincrement.contract.results import SummaryRow
from organincrement.evaluation.statistics import bootstrap_ci
from organincrement.imaging.cache import CachedCase
from organincrement.methods.protocol import Citation, Product
from organincrement.methods.registry import method_named
from organincrement.models.package import Provenance, save_package, shared_state
from organincrement.networks.build import count_parameters
from organincrement.networks.head import temper_rows
from organincrement.training.calibration import CalibratedTeacher, fitted_group_temperatures, fitted_temperature
from organincrement.training.validation import HeldBackCase, Rows, Segmenter, ValidationResult
from organincrement.workflows.body_ranges import with_ranges
from organincrement.workflows.cases_cache import Prepared
from organincrement.workflows.setup import Setup

_PERTURBATIONS = 6  # arXiv 2103.05227: Q
PreparedCases = Mapping[str, tuple[CachedCase, Prepared]]


def write_student(
    job: JobFolder,
    setup: Setup,
    product: Product,
    prepared: PreparedCases,
    held: Sequence[HeldBackCase],
    result: ValidationResult,
    segmenter: Segmenter,
) -> dict[str, Any]:
    """Calibrate the student and write its package into the job folder. Returns: the metrics of the `finished` event."""
    product, temperature = _calibrated(setup, with_ranges(product, setup, job), held, segmenter)
    agreement = {organ: float(np.mean(values)) for organ, values in result.agreement.items() if values}
    # nothing to agree with: a first model is judged by its Dice alone
    recommended = not setup.teachers or (
        bool(agreement) and min(agreement.values()) >= setup.plan.validation.recommended_above
    )
    manifest = _manifest(setup, product, prepared, temperature, result, recommended)
    provenance = Provenance(
        method=setup.plan.method, dataset_sha256=setup.dataset_sha256, made=datetime.now(UTC).date().isoformat()
    )
    save_package(job.student_path, manifest, shared_state(product.network), provenance)
    return {
        "dice": result.means(result.dice),
        "agreement": result.means(result.agreement),
        "recommended": recommended,
        "temperature": temperature,
    }


def _calibrated(
    setup: Setup, product: Product, held: Sequence[HeldBackCase], segmenter: Segmenter
) -> tuple[Product, float]:
    """The product with its decoders' temperatures where it has any, and the temperature of the whole."""
    seed = setup.plan.seed
    if isinstance(product.head, SoftmaxHead):
        teacher = _calibrated_teacher(setup, segmenter)
        return product, fitted_temperature(product.network, held, teacher, setup.organs, segmenter, seed)
    found = fitted_group_temperatures(product.network, held, setup.organs, setup.readout, segmenter, seed)
    if isinstance(product.head, MultiDecoderHead):
        return replace(product, head=MultiDecoderHead(decoders=_tempered(product.head.decoders, found))), 1.0
    if isinstance(product.head, MultiHead):
        _temper_heads(product, found, setup)
        return product, 1.0
    fitted = [t for t in found if t is not None]
    return product, round(float(np.exp(np.mean(np.log(fitted)))), 4) if fitted else 1.0


def _tempered(decoders: Sequence[Decoder], fitted: Sequence[float | None]) -> tuple[Decoder, ...]:
    """With the temperatures that could be fitted; the others keep theirs."""
    pairs = zip(decoders, fitted, strict=True)
    return tuple(part if t is None else replace(part, temperature=t) for part, t in pairs)


def _temper_heads(product: Product, fitted: Sequence[float | None], setup: Setup) -> None:
    """Divide each head's rows by its temperature, for which a head has no field: of the old ones their teacher's."""
    taught = setup.teachers[0].manifest.inference.temperature if setup.teachers else 1.0
    heads = product.head.heads  # type: ignore[union-attr]
    for layer, group, t in zip((head.prefix for head in heads), setup.readout.groups, fitted, strict=True):
        temper_rows(product.network, layer, group.all_channels, t or taught)


def _calibrated_teacher(setup: Setup, segmenter: Segmenter) -> CalibratedTeacher | None:
    """The one teacher; of several none knows all old organs, so that none can say how sure to be of the background."""
    if len(setup.teachers) != 1:
        return None
    frozen, manifest = setup.frozen_teachers(segmenter.device)[0], setup.teachers[0].manifest
    return CalibratedTeacher(frozen=frozen, temperature=manifest.inference.temperature)


def _manifest(setup: Setup, product: Product, prepared: PreparedCases, temperature: float, result: ValidationResult,
              recommended: bool) -> ModelManifest:  # fmt: skip
    method = method_named(setup.plan.method)
    return ModelManifest(
        name="-".join(["organs", str(len(setup.organs)), method.name]),
        organs=setup.organs.organs,
        network=Network(kind=product.spec.kind, args=product.spec.args, parameters=count_parameters(product.network)),
        head=product.head,
        preprocessing=setup.preprocessing,
        inference=Inference(
            patch=setup.plan.training.patch,
            step=0.5,
            window="gaussian",
            mirror_axes=(),
            average="logits",
            temperature=temperature,
        ),
        uncertainty=Uncertainty(kind="perturbation", perturbations=_PERTURBATIONS),
        trained_on=_trained_on(setup, [known for _, known in prepared.values()]),
        lineage=_lineage(setup),
        metrics=Metrics(
            validation=_rows(result.dice), agreement_with_teacher=_rows(result.agreement), recommended=recommended
        ),
        licence=licence_of([teacher.manifest.licence for teacher in setup.teachers]),
        citation=cited(method.paper),
        weights=(),
    )


def licence_of(teachers: Sequence[str]) -> str:
    """Each teacher's: what one of them forbids, its student may not do either."""
    return "; ".join(dict.fromkeys(filter(None, teachers))) or "research use only"


def cited(paper: Citation) -> str:
    """A citation in one line."""
    return f"{paper.authors}: {paper.title}. {paper.venue}, {paper.year}. {paper.url}".strip()


def _trained_on(setup: Setup, known: Sequence[Prepared]) -> TrainedOn:
    spacings = list(zip(*(case.spacing_mm for case in known), strict=True))
    low, middle, high = (
        statistics.median(column) for column in zip(*(case.percentiles for case in known), strict=True)
    )

    def each(pick: Any) -> tuple[float, float, float]:
        return tuple(round(float(pick(axis)), 4) for axis in spacings)  # type: ignore[return-value]

    return TrainedOn(
        modality=setup.cases[0].dataset.manifest.modality, cases=len(known),
        spacing_mm=SpacingRange(min=each(min), median=each(statistics.median), max=each(max)),
        intensity_percentiles={"0.5": round(low, 2), "50": round(middle, 2), "99.5": round(high, 2)},
    )  # fmt: skip


def _lineage(setup: Setup) -> tuple[LineageStep, ...]:
    """Each teacher's ancestors, then the teacher; the student's own hash cannot stand inside it."""
    steps: list[LineageStep] = []
    for teacher in setup.teachers:
        made = teacher.provenance
        parent = LineageStep(
            name=teacher.manifest.name, sha256=teacher.sha256, method=made.method,
            dataset_sha256=made.dataset_sha256 or None, made=made.made,
        )  # fmt: skip
        steps += [step for step in (*teacher.manifest.lineage, parent) if step not in steps]
    return tuple(steps)


def _rows(values: Rows) -> tuple[SummaryRow, ...]:
    return tuple(
        SummaryRow(
            organ=organ, n=len(dice), dice=float(np.mean(dice)) if dice else None, hd95_mm=None, assd_mm=None,
            ci95=bootstrap_ci(dice) if len(dice) > 1 else None,
        )
        for organ, dice in values.items()
    )  # fmt: skip
