"""Methods side by side: every plan is trained and its students evaluated on one test set; who is better, and is it so?

A comparison that was stopped goes on where it was: jobs and evaluations that are whole are not repeated.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.contract.plan import input_path
from organincrement.contract.results import Evaluation
from organincrement.planning.limits import check_seed
from organincrement.replay.vault import open_vault
from organincrement.workflows.compare_jobs import NamedPlan, finish, job_for, job_path, named_plans, teachers_of
from organincrement.workflows.compare_results import Compared, Learned, write_comparison
from organincrement.workflows.compare_training import Pair, finish_together, in_waves
from organincrement.workflows.errors import REFUSALS, WorkflowError
from organincrement.workflows.evaluate import evaluate
from organincrement.workflows.fan_out import Crew, Waiting
from organincrement.workflows.looking import made_folder
from organincrement.workflows.scan_in_work import Working, nobody_asks
from organincrement.workflows.setup import set_up
from organincrement.workflows.shared_cases import forget_shared_cases
from organincrement.workflows.train import refuse_inside


@dataclass(frozen=True, kw_only=True)
class CompareRequest:
    """What to compare on what, where to.

    seeds: empty: each plan's own. device: replaces the plans'. teacher_row: the teachers in comparison.json and .csv as
    well. own_process: each training in a process of its own, so that its memory is its own. notice: told, in a line,
    of what goes otherwise than asked. working: told of the trainings and evaluations done, of how many, the present
    one's name, and how far that is. crew: who trains, a job each, and who evaluates, a case each.
    """

    plans: Sequence[Path]
    dataset: Path
    out: Path
    seeds: Sequence[int] = ()
    device: str | None = None
    teacher_row: bool = False
    own_process: bool = True
    notice: Callable[[str], None] = lambda line: None
    working: Working = nobody_asks
    crew: Crew = field(default_factory=Crew)


def compare(request: CompareRequest) -> Compared:
    """Train, evaluate, compare; write comparison.json, .csv and .html.

    Raises: WorkflowError or ContractError with one line; PauseRequested where a training was paused. What is done by
    then stays, and is not done again.
    """
    plans = named_plans(request.plans)
    dataset = DatasetFolder.open(request.dataset)
    if not any(case.label is not None for case in dataset.cases()):
        raise WorkflowError(f"{dataset.path.name}: no case has a label")
    notes = list(filter(None, [_seen_note(plan, dataset) for plan in plans]))
    for note in notes:
        request.notice(note)
    pairs = [(plan, seed) for plan in plans for seed in (request.seeds or (plan.plan.seed,))]
    if len(set(request.seeds)) < len(request.seeds):
        raise WorkflowError("seeds: one is there twice; name each once")
    for seed in request.seeds:
        check_seed(seed)
    refuse_inside(request.out)
    _check(plans, pairs, request.out / "jobs")
    made_folder(request.out / "jobs")
    work = _Work(request=request, dataset=dataset, steps=2 * len(pairs))
    jobs = work.all_trained(pairs)
    if work.trains_together and len(pairs) > 1:
        notes.append("several trainings ran at the same time: the seconds of one alone would be fewer")
    work.steps = len(pairs) + work.count_packages([job for _, job in jobs])
    learned = [work.evaluated(plan, job) for plan, job in jobs]
    forget_shared_cases(request.out / "jobs")  # the folder of a comparison gets about
    return write_comparison(
        learned,
        request.out,
        test=request.dataset.name,
        teacher_row=request.teacher_row,
        notes=notes,
    )


@dataclass(kw_only=True)
class _Work:
    """Does one thing after another and tells which one it is at."""

    request: CompareRequest
    dataset: DatasetFolder
    steps: int
    done: int = 0
    _evaluations: dict[str, Evaluation] = field(default_factory=dict)

    @property
    def trains_together(self) -> bool:
        """Whether several trainings run at once; left open, they do not: their seconds are compared."""
        return self.request.crew.scheduler is not None or (self.request.crew.processes or 1) > 1

    def all_trained(self, pairs: Sequence[Pair]) -> list[tuple[NamedPlan, JobFolder]]:
        """A finished job for each plan and seed."""
        if not self.trains_together:
            return [(plan, self.trained(plan, seed)) for plan, seed in pairs]
        jobs: dict[str, tuple[NamedPlan, JobFolder]] = {}
        for wave in in_waves(pairs):
            made = [(plan, job_for(plan, seed, self.request.out / "jobs", self.request.device)) for plan, seed in wave]
            together = {job.path.name: job for _, job in made}
            finish_together(together, self.request.crew, self._waiting_for_trainings())
            self.done += len(together)
            jobs |= {f"{plan.name}-{seed}": one for (plan, seed), one in zip(wave, made, strict=True)}
        return [jobs[f"{plan.name}-{seed}"] for plan, seed in pairs]

    def _waiting_for_trainings(self) -> Waiting:
        def working(done: int, total: int, name: str, part: int, parts: int) -> None:
            self.request.working(self.done + done, self.steps, f"train {name}", part, parts)

        def progress(done: int, total: int, name: str) -> None:
            self.request.working(self.done + done, self.steps, f"train {name}", 0, 1)

        return Waiting(notice=self.request.notice, progress=progress, working=working)

    def trained(self, plan: NamedPlan, seed: int) -> JobFolder:
        """A job that is finished."""
        job = job_for(plan, seed, self.request.out / "jobs", self.request.device)
        name = f"train {job.path.name}"
        self.request.working(self.done, self.steps, name, 0, 1)
        finish(
            job, lambda step, of: self.request.working(self.done, self.steps, name, step, of),
            own_process=self.request.own_process,
        )  # fmt: skip
        self.done += 1
        return job

    def count_packages(self, jobs: Sequence[JobFolder]) -> int:
        """How many students and teachers there are to be evaluated."""
        students = {manifest_sha256(job.student_path) for job in jobs}
        return len(students | {manifest_sha256(path) for job in jobs for path in teachers_of(job)})

    def evaluated(self, plan: NamedPlan, job: JobFolder) -> Learned:
        """A student and its teachers on the test cases."""
        evaluation = self._of(job.student_path, job.path.name)
        if evaluation is None:
            raise WorkflowError(f"{self.dataset.path.name}: has none of the organs of {job.path.name}")
        teachers = []
        for path in teachers_of(job):
            manifest = read_manifest(path)
            teachers.append((manifest, self._of(path, f"teacher-{manifest.name}"), path))
        return Learned(
            plan=plan, job=job, manifest=read_manifest(job.student_path), evaluation=evaluation, teachers=teachers
        )

    def _of(self, package: Path, name: str) -> Evaluation | None:
        """The package's evaluation, from the disk where it is there; None where the test set has none of its organs."""
        sha256 = manifest_sha256(package)
        if not any(self.dataset.label_space.has(organ) for organ in read_manifest(package).organs):
            return None
        if sha256 not in self._evaluations:
            digest = hashlib.sha256(f"{sha256} {self.dataset.sha256()}".encode()).hexdigest()
            plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".")[:80]
            folder = self.request.out / "evaluations" / f"{plain}-{digest[:8]}"
            self._evaluations[sha256] = self._read_or_made(package, folder, plain)
            self.done += 1
        return self._evaluations[sha256]

    def _read_or_made(self, package: Path, folder: Path, name: str) -> Evaluation:
        if (folder / "evaluation.html").is_file():  # it comes last, and says that the others are whole
            return codec.read(Evaluation, folder / "evaluation.json")
        told = self.request.working

        def within(done: int, total: int, case: str, part: int, parts: int) -> None:
            told(self.done, self.steps, f"evaluate {name}", 100 * done + 100 * part // max(parts, 1), 100 * total)

        return evaluate(
            package,
            self.dataset.path,
            folder,
            self.request.device or "auto",
            notice=self.request.notice,
            working=within,
            crew=self.request.crew,
        )


def _check(plans: Sequence[NamedPlan], pairs: Sequence[Pair], jobs: Path) -> None:
    """Refuse plans that cannot be trained before hours go by with the others; a finished one needs its inputs no more.

    A vault is of one package and its descendants; a comparison that trains that package anew makes another.
    """
    anew = {i.sha256: plan.parents[i.path] for plan in plans for i in plan.plan.inputs if i.path in plan.parents}
    for plan in plans:
        if all(JobFolder(job_path(plan, seed, jobs)).student_path.is_dir() for own, seed in pairs if own is plan):
            continue
        try:
            setup = set_up(plan.plan, plan.file)
        except REFUSALS as error:
            raise WorkflowError(f"plan {plan.name}: {error}") from error
        if setup.vault and (maker := anew.get(open_vault(setup.vault).vault.model_sha256)):
            raise WorkflowError(
                f"plan {plan.name}: its exemplars were chosen by the teacher that plan {maker} would train again; "
                f"leave plan {maker} out of the comparison"
            )


def _seen_note(plan: NamedPlan, test: DatasetFolder) -> str | None:
    """A word of warning where test scans are among those that a plan trains on."""
    hashes = {case.image_sha256 for case in test.cases()}
    seen: set[str] = set()
    for one in plan.plan.inputs:
        if one.role in ("dataset", "old_dataset"):
            seen |= {case.image_sha256 for case in DatasetFolder.open(input_path(plan.file, one)).cases()}
    count = len(hashes & seen)
    if not count:
        return None
    return f"{count} of the test scans are among those of plan {plan.name}: its figures are better than they should be"
