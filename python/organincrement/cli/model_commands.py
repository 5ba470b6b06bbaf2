"""`segment`, `evaluate`, `audit`, `suggest`."""

import argparse
from pathlib import Path
from typing import Any

from organincrement.cli.fan_out_options import add_fan_out, crew_of
from organincrement.cli.notes import on_the_side
from organincrement.contract.plan import DEVICES

Commands = Any


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
    segment.add_argument(
        "--precision", default="own", choices=("own", "fastest"),
        help="own: a model that follows another tool's rules, such as an nnU-Net and its students, is computed as that "
        "tool does it (default); fastest: in half precision where this computer is faster with it, which may move an "
        "organ's edge by single voxels. All other models take the fastest.",
    )  # fmt: skip
    _add_exports(segment)
    segment.set_defaults(command=_segment)
    evaluate = commands.add_parser("evaluate", help="Dice, HD95 and ASSD per organ and case")
    evaluate.add_argument("--model", type=Path, required=True, metavar="PKG")
    evaluate.add_argument("--dataset", type=Path, required=True, metavar="DATASET")
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR")
    for command in (segment, evaluate):
        command.add_argument(
            "--largest-component", action="store_true", help="keep each organ's largest connected part"
        )
        command.add_argument("--device", default="auto", choices=DEVICES)
        add_fan_out(command)
    evaluate.set_defaults(command=_evaluate)
    _add_audit(commands)
    _add_suggest(commands)


def _add_exports(segment: argparse.ArgumentParser) -> None:
    segment.add_argument(
        "--nifti", dest="exports", action="append_const", const="nifti", default=[],
        help="write segmentation.nii.gz and labels.json, which says what its values are, as well",
    )  # fmt: skip
    segment.add_argument(
        "--dicom-seg", dest="exports", action="append_const", const="dicom-seg",
        help="write segmentation.dcm and, with uncertainty, uncertainty.dcm (a parametric map) as well; each IMAGE "
        "must be a DICOM series. Both carry the patient's and the study's attributes of the series, as DICOM requires: "
        "name, id, birth date, sex, study and its date, accession number, referring physician. Nothing else written "
        "does.",
    )  # fmt: skip


def _add_audit(commands: Commands) -> None:
    command = commands.add_parser(
        "audit", help="do the scans and labels of a dataset fit a teacher?",
        description="Looks at every case before training and says which fit. Ends with 0 whatever it finds.",
    )  # fmt: skip
    command.add_argument("--teacher", type=Path, required=True, metavar="PKG", help="the model package to learn from")
    command.add_argument("--dataset", type=Path, required=True, metavar="DATASET", help="the scans to train on")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="for audit.json and audit.html")
    command.add_argument("--device", default="auto", choices=DEVICES)
    command.add_argument("--json", action="store_true", help="print audit.json instead of the table")
    add_fan_out(command)
    command.set_defaults(command=_audit)


def _add_suggest(commands: Commands) -> None:
    command = commands.add_parser("suggest", help="which scans to annotate next: uncertain and representative")
    command.add_argument("--model", type=Path, required=True, metavar="PKG", help="the model that is to improve")
    command.add_argument("--images", type=Path, required=True, metavar="DIR", help="scans to choose from")
    command.add_argument("--count", type=_whole_number, required=True, metavar="N", help="how many to name")
    command.add_argument("--out", type=Path, metavar="DIR", help="write suggestions.json and suggestions.html here")
    command.add_argument("--device", default="auto", choices=DEVICES)
    command.add_argument("--json", action="store_true", help="print suggestions.json instead of the table")
    command.set_defaults(command=_suggest)


def _whole_number(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1")
    return int(text)


def _segment(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.workflows.segment import SegmentRequest, segment

    with CaseCounter("segment") as counter:
        request = SegmentRequest(
            model=options.model, out=options.out, images=options.images, uncertainty=options.uncertainty,
            largest_component=options.largest_component, device=options.device, notice=on_the_side,
            own_precision=options.precision == "own", exports=tuple(options.exports), progress=counter,
            working=counter.working, crew=crew_of(options),
        )  # fmt: skip
        for folder in segment(request):
            counter.aside(folder)


def _evaluate(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.workflows.evaluate import evaluate

    with CaseCounter("evaluate") as counter:
        evaluation = evaluate(
            options.model,
            options.dataset,
            options.out,
            options.device,
            counter,
            largest_component=options.largest_component,
            notice=on_the_side,
            working=counter.working,
            crew=crew_of(options),
        )
    print(f"{'organ':24s} {'n':>3s} {'Dice':>6s} {'HD95 mm':>8s} {'ASSD mm':>8s}")
    for row in evaluation.summary:
        values = (_shown(row.dice, ".3f"), _shown(row.hd95_mm, ".1f"), _shown(row.assd_mm, ".2f"))
        print(f"{row.organ:24s} {row.n:3d} {values[0]:>6s} {values[1]:>8s} {values[2]:>8s}")
    print(options.out / "evaluation.html")


def _audit(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.contract import codec
    from organincrement.workflows.audit import AuditRequest, audit

    with CaseCounter("audit") as counter:
        result = audit(
            AuditRequest(
                teacher=options.teacher, dataset=options.dataset, out=options.out, device=options.device,
                progress=counter, notice=on_the_side, working=counter.working, crew=crew_of(options),
            )
        )  # fmt: skip
    if options.json:
        print(codec.dumps(result), end="")
        return
    for case in result.cases:
        print(f"{case.id:24s} {case.verdict:9s} {case.reason}")
    print(options.out / "audit.html")


def _suggest(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.contract import codec
    from organincrement.workflows.suggest import SuggestRequest, suggest

    with CaseCounter("suggest") as counter:
        suggested = suggest(
            SuggestRequest(
                model=options.model, images=options.images, count=options.count, out=options.out,
                device=options.device, progress=counter, notice=on_the_side, working=counter.working,
            )
        )  # fmt: skip
    for reason in suggested.left_out:
        on_the_side(f"left out: {reason}")
    if options.json:
        print(codec.dumps(suggested.suggestions), end="")
        return
    print(f"{'rank':>4s} {'uncertainty %':>13s} {'gain %':>6s}  scan")
    for image in suggested.suggestions.images:
        print(f"{image.rank:4d} {image.uncertainty:13.2f} {100 * image.coverage_gain:6.1f}  {image.path}")
    if options.out:
        print(options.out / "suggestions.html")


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
