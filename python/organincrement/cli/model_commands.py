"""`segment`, `evaluate`."""

import argparse
from pathlib import Path
from typing import Any

Commands = Any
_DEVICES = ("auto", "cpu", "cuda")


def add_to(commands: Commands) -> None:
    """Register the commands."""
    segment = commands.add_parser("segment", help="segment scans with a model")
    segment.add_argument("--model", type=Path, required=True, metavar="PKG")
    segment.add_argument("--out", type=Path, required=True, metavar="DIR")
    segment.add_argument("images", type=Path, nargs="+", metavar="IMAGE")
    segment.add_argument(
        "--uncertainty",
        default="entropy",
        choices=("none", "entropy", "perturbation"),
        help="perturbation: entropy of the mean over perturbed copies (default: entropy)",
    )
    segment.set_defaults(command=_segment)
    evaluate = commands.add_parser("evaluate", help="Dice, HD95 and ASSD per organ and case")
    evaluate.add_argument("--model", type=Path, required=True, metavar="PKG")
    evaluate.add_argument("--dataset", type=Path, required=True, metavar="DATASET")
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR")
    for command in (segment, evaluate):
        command.add_argument(
            "--largest-component", action="store_true", help="keep each organ's largest connected part"
        )
        command.add_argument("--device", default="auto", choices=_DEVICES)
    evaluate.set_defaults(command=_evaluate)


def _segment(options: argparse.Namespace) -> None:
    from organincrement.workflows.segment import SegmentRequest, segment

    request = SegmentRequest(
        model=options.model, out=options.out, images=options.images, uncertainty=options.uncertainty,
        largest_component=options.largest_component, device=options.device,
    )  # fmt: skip
    for folder in segment(request):
        print(folder)


def _evaluate(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.workflows.evaluate import evaluate

    with CaseCounter("evaluating") as counter:
        evaluation = evaluate(
            options.model,
            options.dataset,
            options.out,
            options.device,
            counter,
            largest_component=options.largest_component,
        )
    print(f"{'organ':24s} {'n':>3s} {'Dice':>6s} {'HD95 mm':>8s} {'ASSD mm':>8s}")
    for row in evaluation.summary:
        values = (_shown(row.dice, ".3f"), _shown(row.hd95_mm, ".1f"), _shown(row.assd_mm, ".2f"))
        print(f"{row.organ:24s} {row.n:3d} {values[0]:>6s} {values[1]:>8s} {values[2]:>8s}")
    print(options.out / "evaluation.html")


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
