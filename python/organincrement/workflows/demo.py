"""The demo: the whole story on phantoms, which belong to nobody, in a few minutes on two cores.

A hospital trains a teacher at site A and loses the data. Site B contours one more organ. Students are made from the
teacher and site B alone, and compared on patients that none of them has seen.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.files import write_atomic
from organincrement.contract.job import JobFolder
from organincrement.contract.results import Evaluation
from organincrement.imaging.phantom.scan import SITES
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.evaluate import evaluate
from organincrement.workflows.jobs import start_detached
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.segment import SegmentRequest, segment
from organincrement.workflows.shared_cases import forget_shared_cases
from organincrement.workflows.train import create_job, run_job

OLD_ORGANS = ("liver", "spleen", "kidney_left", "kidney_right")
NEW_ORGANS = ("stomach",)
METHODS = ("fine-tune", "mib", "bla-uag")
DEFAULT = "bla-uag"
_TEACHER_CASES, _STUDENT_CASES, _TEST_CASES = range(100, 114), range(200, 212), range(300, 306)

Say = Callable[[str], None]
Watch = Callable[[JobFolder], AbstractContextManager[None]]


@dataclass(frozen=True, kw_only=True)
class DemoSize:
    """How much the demo computes. The default takes about five minutes on two cores."""

    teacher_steps: int = 320
    student_steps: int = 160
    teacher_cases: int = len(_TEACHER_CASES)
    student_cases: int = len(_STUDENT_CASES)
    test_cases: int = len(_TEST_CASES)
    patch: tuple[int, int, int] = (40, 48, 56)
    features: tuple[int, ...] = (16, 32, 64)
    spacing_mm: tuple[float, float, float] = (4.5, 4.5, 4.5)


@dataclass(frozen=True, kw_only=True)
class DemoResult:
    """Where everything is. evaluations: by method, `teacher` first. example: the folder of the segmented scan."""

    out: Path
    evaluations: dict[str, Evaluation]
    seconds: dict[str, float]
    example: Path
    example_case: str


def run_demo(
    out: Path, say: Say = print, watch: Watch = lambda job: nullcontext(), size: DemoSize | None = None
) -> Path:
    """Run the demo into a new folder. Returns: its report.html.

    Args: say: told what happens. watch: shows a job's progress for a block.
    Raises: WorkflowError where the folder holds something else already, or a job fails.
    """
    size = size or DemoSize()
    started = time.monotonic()
    _clear(out)
    say("1/5  phantoms of two sites: A labels four organs, B only the stomach")
    datasets = _datasets(out, size)
    say("2/5  the teacher learns site A's organs")
    teacher, teacher_s = _trained(out, "teacher", _plan_teacher(out, datasets["site-a"], size), watch, detach=False)
    shutil.rmtree(datasets["site-a"].path)
    say("     site A's data is deleted; only the teacher is left")
    say("3/5  students learn the stomach from the teacher and site B alone")
    packages, seconds = {"teacher": teacher}, {"teacher": teacher_s}
    for method in METHODS:
        plan = _plan_student(out, method, teacher, datasets["site-b"], size)
        say(f"     {method}" + (", in a detached process" if method == DEFAULT else ""))
        packages[method], seconds[method] = _trained(out, method, plan, watch, detach=method == DEFAULT)
    say("4/5  comparing on patients that nobody has seen")
    forget_shared_cases(out / "jobs")
    evaluations = {
        name: evaluate(path, datasets["test"].path, out / "evaluation" / name) for name, path in packages.items()
    }
    say("5/5  segmenting one of them, with an uncertainty map")
    case = datasets["test"].cases()[0]
    request = SegmentRequest(
        model=packages[DEFAULT], out=out / "segmentation", images=[datasets["test"].image_path(case)]
    )
    example = next(segment(request))
    result = DemoResult(out=out, evaluations=evaluations, seconds=seconds, example=example, example_case=case.id)
    report = _write_report(result, packages, datasets["test"], time.monotonic() - started)
    say(f"done in {(time.monotonic() - started) / 60:.1f} min")
    say(f"segmentation and uncertainty map: {example}")
    say(f"report: {report}")
    return report


def _write_report(result: DemoResult, packages: dict[str, Path], test: DatasetFolder, seconds: float) -> Path:
    from organincrement.evaluation.report import render_story
    from organincrement.workflows.demo_report import demo_story

    report = result.out / "report.html"
    write_atomic(report, render_story(demo_story(result, packages, test, seconds)))
    return report


def _clear(out: Path) -> None:
    """An earlier demo is replaced; anything else is not touched."""
    marker = out / ".organincrement-demo"
    if out.exists() and any(out.iterdir()) and not marker.exists():
        raise WorkflowError(f"{out}: is not empty and was not made by the demo; name another folder with --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    marker.touch()


def _datasets(out: Path, size: DemoSize) -> dict[str, DatasetFolder]:
    def make(name: str, site: str, organs: tuple[str, ...], seeds: range, count: int) -> DatasetFolder:
        return write_phantom_dataset(out / "data" / name, SITES[site], organs, list(seeds)[:count], name=name)

    return {
        "site-a": make("site-a", "a", OLD_ORGANS, _TEACHER_CASES, size.teacher_cases),
        "site-b": make("site-b", "b", NEW_ORGANS, _STUDENT_CASES, size.student_cases),
        "test": make("test", "b", OLD_ORGANS + NEW_ORGANS, _TEST_CASES, size.test_cases),
    }


def _plan_teacher(out: Path, dataset: DatasetFolder, size: DemoSize) -> Path:
    path = out / "plans" / "teacher.json"
    overrides = {
        "features": list(size.features),
        "blocks": [1] * len(size.features),
        "spacing_mm": list(size.spacing_mm),
        "training.patch": list(size.patch),
        **_lengths(size.teacher_steps),
    }
    make_plan(PlanRequest(datasets=(dataset.path,), out=path, method="supervised", overrides=overrides))
    return path


def _plan_student(out: Path, method: str, teacher: Path, dataset: DatasetFolder, size: DemoSize) -> Path:
    path = out / "plans" / f"{method}.json"
    overrides = _lengths(size.student_steps)
    make_plan(PlanRequest(datasets=(dataset.path,), out=path, teachers=(teacher,), method=method, overrides=overrides))
    return path


def _lengths(steps: int) -> dict[str, int]:
    return {"training.steps": steps, "validation.every_steps": max(1, steps // 4)}


def _trained(out: Path, name: str, plan: Path, watch: Watch, *, detach: bool) -> tuple[Path, float]:
    job = create_job(plan, out / "jobs" / name)
    started = time.monotonic()
    with watch(job):
        if detach:
            start_detached(job).wait()
        else:
            run_job(job)
    status = job.status()
    if status.state != "finished":
        raise WorkflowError(f"the job {name} is {status.state}: {status.message or f'see {job.log_path}'}")
    return job.student_path, time.monotonic() - started
