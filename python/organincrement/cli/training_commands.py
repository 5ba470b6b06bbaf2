"""`demo`, `methods`, `plan`, `train`, `job`."""

import argparse
import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from organincrement.cli.notes import on_the_side
from organincrement.contract.plan import DEVICES

Commands = Any


def add_to(commands: Commands) -> None:
    """Register the commands."""
    demo = commands.add_parser("demo", help="the whole story on a phantom, with a report")
    demo.add_argument("--out", type=Path, default=Path("demo-output"), metavar="DIR")
    demo.set_defaults(command=_demo)
    methods = commands.add_parser("methods", help="every method, its settings and needs")
    methods.add_argument("--json", action="store_true")
    methods.set_defaults(command=_methods)
    _add_plan(commands)
    train = commands.add_parser("train", help="run a plan")
    train.add_argument("plan", type=Path, metavar="plan.json")
    train.add_argument("--job", type=Path, required=True, metavar="DIR")
    train.add_argument("--device", choices=DEVICES, help="replaces the plan's")
    train.add_argument("--detach", action="store_true", help="in a process of its own that goes on when this one ends")
    train.add_argument(
        "--distributed", action="store_true", help="as one of the processes that torchrun starts, on several GPUs"
    )
    train.add_argument(
        "--interface", metavar="NAME", help="the network between those processes (default on one computer: loopback)"
    )
    train.set_defaults(command=_train)
    job = commands.add_parser("job", help="look at a job, or stop it").add_subparsers(required=True, metavar="ACTION")
    for name, help_text, command in (
        ("status", "state and progress", _status),
        ("pause", "save a checkpoint and end the process", _pause),
        ("resume", "go on in a new process", _resume),
        ("cancel", "give it up", _cancel),
        ("run", "run or go on in this process", _run),
    ):
        action = job.add_parser(name, help=help_text)
        action.add_argument("job", type=Path, metavar="DIR")
        if name == "status":
            action.add_argument("--json", action="store_true", help="the last event with the state, as JSON")
        action.set_defaults(command=command)


def _add_plan(commands: Commands) -> None:
    plan = commands.add_parser("plan", help="decide everything about a training, and estimate it")
    _add_inputs(plan)
    plan.add_argument("--method", default="bla-uag", help="see `organincrement methods` (default: bla-uag)")
    plan.add_argument("--preset", default="practical", help="practical, paper, or another of the method's presets")
    plan.add_argument(
        "--merge",
        nargs="+",
        default=[],
        metavar="ORGAN=ORGAN",
        help="an organ of the teacher that counts as another of its organs, or as one of the dataset that replaces it",
    )
    plan.add_argument(
        "--include",
        nargs="+",
        default=["approved"],
        choices=("draft", "submitted", "approved", "flagged"),
        help="cases to train on",
    )
    plan.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="a method setting, training.*, validation.* or seed",
    )
    plan.add_argument("--device", default="auto", choices=DEVICES)
    plan.add_argument("--out", type=Path, required=True, metavar="plan.json")
    plan.set_defaults(command=_plan)


def _add_inputs(plan: argparse.ArgumentParser) -> None:
    plan.add_argument("--teacher", type=Path, nargs="+", default=[], metavar="PKG")
    plan.add_argument("--dataset", type=Path, nargs="+", required=True, metavar="DATASET")
    plan.add_argument(
        "--old-dataset",
        type=Path,
        nargs="+",
        default=[],
        metavar="DATASET",
        help="what the teacher was trained on, for methods that may see it",
    )
    plan.add_argument(
        "--exemplars", type=Path, metavar="VAULT", help="a vault of old images, for methods that replay them"
    )


def _demo(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import watching
    from organincrement.workflows.demo import run_demo

    run_demo(options.out, watch=watching)


def _methods(options: argparse.Namespace) -> None:
    from organincrement.workflows.describe_methods import describe_methods, needed

    described = describe_methods()
    if options.json:
        print(json.dumps(described, indent=2))
        return
    for method in described:
        print(f"{method['name']:18s} {method['summary']}")
        print(f"    needs: {needed(method)}")
        for setting in method["settings"]:
            print(f"    {setting['name']:22s} {setting['default']!s:14s} {setting['help']}")
    print("every method also takes training.steps, training.batch, ...: docs/methods/, or this command with --json")


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ValueError(f"'{text}' is not of the form key=value")
        pairs[key] = value
    return pairs


def _value(text: str) -> Any:
    """Numbers, lists and true/false/null as JSON; anything else is a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plan(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import duration
    from organincrement.workflows.make_plan import PlanRequest, make_plan

    signal.signal(signal.SIGTERM, lambda *of_system: sys.exit(128 + signal.SIGTERM))  # scans prepared on trial go, too
    request = PlanRequest(
        datasets=options.dataset, out=options.out, teachers=options.teacher, method=options.method,
        old_datasets=options.old_dataset, exemplars=options.exemplars,
        preset=options.preset, merges=_pairs(options.merge), include=options.include, device=options.device,
        overrides={key: _value(value) for key, value in _pairs(options.set).items()},
        notice=on_the_side,
    )  # fmt: skip
    plan = make_plan(request)
    e = plan.estimate
    held = len(plan.validation.cases)
    on = f"{held} case" if held == 1 else f"{held} cases"
    print(f"{options.out}: {plan.method} ({plan.preset}), {plan.training.steps} steps, validation on {on}")
    needs = [f"about {duration(e.seconds or 0)} on {e.measured_on}", f"{(e.ram_bytes or 0) / 2**30:.1f} GiB of memory"]
    if e.gpu_bytes:
        needs.append(f"{e.gpu_bytes / 2**30:.1f} GiB of GPU memory")
    print(" · ".join([*needs, f"{(e.disk_bytes or 0) / 2**30:.2f} GiB on disk"]))


def _train(options: argparse.Namespace) -> int:
    from organincrement.workflows.jobs import start_detached
    from organincrement.workflows.train import create_job

    if options.distributed:
        return _train_together(options)
    if options.interface:
        raise ValueError("--interface is for --distributed: leave it out")
    job = create_job(options.plan, options.job, options.device)
    if options.detach:
        pid = start_detached(job).pid
        print(f"{options.job}: started as process {pid}; see `organincrement job status {options.job}`")
        return 0
    return _run_here(job)


def _train_together(options: argparse.Namespace) -> int:
    """One of several processes, the first speaks. A cancelled job is no failure to torchrun: it would retry."""
    from organincrement.cli.progress import watching
    from organincrement.contract.job import JobFolder
    from organincrement.training.distributed import arose_elsewhere
    from organincrement.workflows.job_endings import input_folders, retold
    from organincrement.workflows.train_together import joined_job, run_together

    if options.detach:
        raise ValueError("--distributed goes on as long as torchrun does: leave --detach out, and detach torchrun")
    is_first = os.environ.get("RANK", "0") == "0"
    try:
        with joined_job(options.plan, options.job, options.device, options.interface) as (job, group):
            with watching(job) if is_first else nullcontext():
                outcome = run_together(job, group)
            if is_first:
                print(f"{job.path}: {outcome}")
    except (OSError, RuntimeError, ValueError) as error:
        if arose_elsewhere(error) and not is_first:
            return 1
        raise retold(error, input_folders(JobFolder(options.job))) from error
    return 0


def _run(options: argparse.Namespace) -> int:
    from organincrement.contract.job import JobFolder

    return _run_here(JobFolder.open(options.job))


def _run_here(job: Any) -> int:
    from organincrement.cli.progress import watching
    from organincrement.workflows.job_endings import input_folders, retold
    from organincrement.workflows.train import run_job

    try:
        with watching(job):
            outcome = run_job(job)
    except (OSError, RuntimeError, ValueError) as error:
        # the line goes to process.log, which is to tell nobody's folders
        raise retold(error, input_folders(job)) from error
    said = {"finished": f"; the student is {job.student_path}", "paused": f" {job.status().message}".rstrip()}
    print(f"{job.path}: {outcome}{said.get(outcome, '')}")
    return 4 if outcome == "cancelled" else 0


def _status(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import status_line
    from organincrement.contract.codec import to_json
    from organincrement.contract.job import JobFolder

    status = JobFolder.open(options.job).status()
    if options.json:
        event = to_json(status.last_event) if status.last_event else {}
        print(json.dumps({"state": status.state, **event}))
    else:
        print(status_line(status))


def _pause(options: argparse.Namespace) -> None:
    from organincrement.contract.job import JobFolder
    from organincrement.workflows.jobs import pause

    pause(JobFolder.open(options.job))
    print(f"{options.job}: pausing; its process writes a checkpoint and ends")


def _resume(options: argparse.Namespace) -> None:
    from organincrement.contract.job import JobFolder
    from organincrement.workflows.jobs import resume, start_detached

    job = JobFolder.open(options.job)
    resume(job)
    process = start_detached(job)
    from organincrement.training.checkpoint import newest_step  # it takes seconds, and the process need not wait

    print(f"{options.job}: goes on at step {newest_step(job.checkpoint_path) or 0} as process {process.pid}")


def _cancel(options: argparse.Namespace) -> None:
    from organincrement.contract.job import JobFolder
    from organincrement.workflows.jobs import cancel

    state = cancel(JobFolder.open(options.job))
    print(f"{options.job}: {state}" + (", before it could be cancelled" if state == "finished" else ""))
