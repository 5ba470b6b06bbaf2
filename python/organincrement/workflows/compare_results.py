"""What `compare` writes: from the students' and teachers' evaluations to rows, tests, verdict and page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.files import write_atomic
from organincrement.contract.job import JobFolder
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import ModelManifest
from organincrement.contract.package import manifest_sha256
from organincrement.contract.results import Comparison, ComparisonRow, Evaluation
from organincrement.evaluation.comparison import Run, compared, standings, with_common_ids
from organincrement.evaluation.comparison_report import ComparedTeacher, render_comparison
from organincrement.evaluation.comparison_words import comparison_csv, terminal_table, verdict
from organincrement.workflows.compare_jobs import NamedPlan, costs_of


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A comparison that is on disk; `table` and `verdict` are for people."""

    comparison: Comparison
    table: Sequence[str]
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A student, the teachers it learned from, and what all of them got on the test cases."""

    plan: NamedPlan
    job: JobFolder
    manifest: ModelManifest
    evaluation: Evaluation
    teachers: Sequence[tuple[ModelManifest, Evaluation | None, Path]]


def write_comparison(
    learned: Sequence[Learned], out: Path, *, test: str, teacher_row: bool, notes: Sequence[str]
) -> Compared:
    """Write comparison.json, .csv and .html. Args: test: the test set's name. teacher_row: teachers in json and csv."""
    common = LabelSpace.joined(space for one in learned for space in (one.manifest.label_space, *_taught(one)))
    runs = [_run(one, learned, common) for one in learned]
    teachers = _teachers(learned, common)
    rows = [row for teacher in teachers for row in _teacher_rows(teacher)] if teacher_row else []
    comparison, order = compared(runs, rows), standings(runs)
    methods = {one.plan.name: one.plan.plan.method for one in learned}
    said = verdict(order, runs)
    codec.write(comparison, out / "comparison.json")
    write_atomic(out / "comparison.csv", comparison_csv(comparison, methods))
    page = render_comparison(runs, comparison.tests, common, teachers=teachers, verdict=said, dataset=test, notes=notes)
    write_atomic(out / "comparison.html", page)
    return Compared(comparison=comparison, table=terminal_table(order), verdict=said)


def _taught(one: Learned) -> list[LabelSpace]:
    return [manifest.label_space for manifest, _, _ in one.teachers]


def _run(one: Learned, learned: Sequence[Learned], common: LabelSpace) -> Run:
    """A student's figures under the organs' common ids."""
    known = LabelSpace.joined(_taught(one))
    if not one.teachers:  # it learned all at once: what others had learned before counts as old
        known = LabelSpace.joined(space for other in learned for space in _taught(other))
    own = one.manifest.label_space
    old, mine = ({common.like(o).id for o in space.hosted_in(common.organs)} for space in (known, own))
    before: dict[str, float] = {}
    for manifest, evaluation, _ in one.teachers:
        for organ, dice in _dice(evaluation, manifest.label_space, common).items():
            before[organ] = max(dice, before.get(organ, 0.0))  # of several teachers the one that knows it best
    return Run(
        name=one.plan.name, method=one.plan.plan.method, preset=one.plan.plan.preset, seed=one.job.plan().seed,
        evaluation=_renamed(one.evaluation, own, common), taught=bool(one.teachers), before=before,
        costs=costs_of(one.job),
        old=frozenset(old & mine),
        after=next(iter(one.plan.parents.values()), None),
    )  # fmt: skip


def _renamed(evaluation: Evaluation, own: LabelSpace, common: LabelSpace) -> Evaluation:
    ids = with_common_ids(evaluation, own, common)
    cases = [
        replace(case, organs=tuple(replace(r, organ=ids[r.organ]) for r in case.organs)) for case in evaluation.cases
    ]
    summary = tuple(replace(row, organ=ids[row.organ]) for row in evaluation.summary)
    return replace(evaluation, cases=tuple(cases), summary=summary)


def _dice(evaluation: Evaluation | None, own: LabelSpace, common: LabelSpace) -> Mapping[str, float]:
    if evaluation is None:
        return {}
    return {row.organ: row.dice for row in _renamed(evaluation, own, common).summary if row.dice is not None}


def _teachers(learned: Sequence[Learned], common: LabelSpace) -> list[ComparedTeacher]:
    """Every teacher once, but for those that are students of the comparison."""
    students = {manifest_sha256(one.job.student_path) for one in learned}
    found: dict[str, ComparedTeacher] = {}
    for one in learned:
        for manifest, evaluation, path in one.teachers:
            sha256 = manifest_sha256(path)
            if evaluation is None or sha256 in students or sha256 in found:
                continue
            found[sha256] = ComparedTeacher(
                name=manifest.name, evaluation=_renamed(evaluation, manifest.label_space, common),
                parameters=manifest.network.parameters, package_bytes=sum(w.bytes for w in manifest.weights),
            )  # fmt: skip
    return list(found.values())


def _teacher_rows(teacher: ComparedTeacher) -> list[ComparisonRow]:
    return [
        ComparisonRow(
            method=f"teacher {teacher.name}", preset="", seed=0, organ=row.organ, group="old", dice=row.dice,
            hd95_mm=row.hd95_mm, assd_mm=row.assd_mm, forgetting=None, seconds=None, ram_bytes=None, gpu_bytes=None,
            parameters=teacher.parameters, package_bytes=teacher.package_bytes,
        )
        for row in teacher.evaluation.summary
    ]  # fmt: skip
