"""`compare`, `merge`."""

import argparse
import os
from pathlib import Path
from typing import Any

from organincrement.cli.data_commands import organ_value
from organincrement.cli.fan_out_options import add_fan_out, crew_of
from organincrement.cli.notes import on_the_side
from organincrement.contract.plan import DEVICES

Commands = Any
_KINDS = ("none", "entropy", "perturbation")


def add_to(commands: Commands) -> None:
    """Register the commands."""
    compare = commands.add_parser(
        "compare", help="methods side by side: old, new and average Dice, forgetting, costs",
        description="Trains every plan, for each seed, evaluates the students and says which is better, with tests "
        "paired by case. Run it again to go on where it stopped.",
    )  # fmt: skip
    compare.add_argument("plans", type=Path, nargs="+", metavar="PLAN", help="told apart by their file names")
    compare.add_argument(
        "--dataset", type=Path, required=True, metavar="TEST", help="labelled; scans that a plan trains on are named"
    )
    compare.add_argument("--out", type=Path, required=True, metavar="DIR")
    compare.add_argument("--seeds", type=int, nargs="+", default=[], metavar="N", help="default: each plan's own")
    compare.add_argument("--teacher-row", action="store_true", help="the teachers in comparison.json and .csv as well")
    compare.add_argument("--device", choices=DEVICES, help="replaces the plans'")
    add_fan_out(compare, default="1", what="trainings, or cases of an evaluation,")
    compare.set_defaults(command=_compare)
    _add_merge(commands)


def _add_merge(commands: Commands) -> None:
    merge = commands.add_parser(
        "merge", help="several models' segmentations of one scan into one",
        description="The more certain claim wins, the earlier one on a tie; an anomaly lies over its organ. Lists "
        "every place where they disagree. With --model and --image each model segments the scan first.",
    )  # fmt: skip
    merge.add_argument(
        "segmentations", nargs="*", metavar="SEGMENTATION",
        help="a folder that `segment` wrote, a .seg.nrrd, or labels with their organs: a.nii.gz:liver=1,spleen=2",
    )  # fmt: skip
    merge.add_argument("--out", type=Path, required=True, metavar="DIR")
    merge.add_argument("--model", type=Path, nargs="+", default=[], metavar="PKG", help="instead of segmentations")
    merge.add_argument("--image", type=Path, metavar="SCAN", help="what the models segment")
    merge.add_argument(
        "--uncertainty", nargs="+", default=[], metavar="FILE",
        help="a map in per cent for each segmentation, or 'none' (default: the one beside it); one without a map is "
        "certain of all it claims; with --model: none, entropy (default) or perturbation",
    )  # fmt: skip
    merge.add_argument(
        "--order", type=int, nargs="+", default=[], metavar="N",
        help="numbers of the segmentations from 1: who wins a tie, first to last (default: as named)",
    )  # fmt: skip
    merge.add_argument("--resample", action="store_true", help="look others up on the grid of the first one named")
    merge.add_argument("--device", default="auto", choices=DEVICES)
    merge.add_argument("--json", action="store_true", help="print conflicts.json instead of the summary")
    merge.set_defaults(command=_merge)


def _compare(options: argparse.Namespace) -> int:
    from organincrement.cli.progress import CaseCounter
    from organincrement.training.signals import PauseRequested
    from organincrement.workflows.compare import CompareRequest, compare

    with CaseCounter("compare") as counter:
        request = CompareRequest(
            plans=options.plans, dataset=options.dataset, out=options.out, seeds=options.seeds, device=options.device,
            teacher_row=options.teacher_row, notice=on_the_side, working=counter.working, crew=crew_of(options),
        )  # fmt: skip
        try:
            compared = compare(request)
        except (PauseRequested, KeyboardInterrupt) as stop:
            counter.aside(f"{options.out}: stopped; run the same command to go on. {stop}".rstrip())
            return 4
    for line in compared.table:
        print(line)
    print(compared.verdict)
    print(options.out / "comparison.html")
    return 0


def _merge(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.contract import codec
    from organincrement.inference.conflicts import as_document
    from organincrement.workflows.merge import merge
    from organincrement.workflows.merge_models import merge_models
    from organincrement.workflows.merge_words import in_words

    with CaseCounter("merge") as counter:
        if options.model or options.image:
            merged = merge_models(_models_request(options, counter))
        else:
            merged = merge(_request(options, counter))
    if options.json:
        print(codec.dumps(as_document(merged.conflicts)), end="")
        return
    for line in in_words(merged):
        print(line)
    print(merged.folder)


def _models_request(options: argparse.Namespace, counter: Any) -> Any:
    from organincrement.workflows.merge import MergeRequest
    from organincrement.workflows.merge_models import MergeModelsRequest

    if not (options.model and options.image) or options.segmentations:
        raise ValueError("--model segments the scan of --image: give both, and no segmentations")
    kinds = options.uncertainty or ["entropy"]
    if len(kinds) > 1 or kinds[0] not in _KINDS:
        raise ValueError(f"--uncertainty: with --model, give one of {', '.join(_KINDS)}")
    merging = MergeRequest(
        out=options.out, inputs=(), order=[number - 1 for number in options.order], resample=options.resample,
        notice=on_the_side,
    )  # fmt: skip
    return MergeModelsRequest(
        models=options.model, image=options.image, merging=merging, uncertainty=kinds[0], device=options.device,
        working=counter.working,
    )  # fmt: skip


def _request(options: argparse.Namespace, counter: Any) -> Any:
    from organincrement.workflows.merge import MergeRequest
    from organincrement.workflows.merge_inputs import MergeInput

    maps = options.uncertainty or [""]
    if maps in ([""], ["none"]):
        maps = maps * len(options.segmentations)
    if len(maps) != len(options.segmentations):
        raise ValueError(f"--uncertainty: give {len(options.segmentations)}, one for each segmentation, or 'none'")
    inputs = []
    for text, map_text in zip(options.segmentations, maps, strict=True):
        path, organs = _labelled(text)
        inputs.append(
            MergeInput(
                path=path, organs=organs, uncertainty=Path(map_text) if map_text not in ("", "none") else None,
                certain=map_text == "none",
            )
        )  # fmt: skip
    return MergeRequest(
        out=options.out, inputs=inputs, order=[number - 1 for number in options.order], resample=options.resample,
        notice=on_the_side, working=lambda part, parts: counter.working(0, 1, options.out.resolve().name, part, parts),
    )  # fmt: skip


def _labelled(text: str) -> tuple[Path, dict[str, int]]:
    """`labels.nii.gz:liver=1,spleen=2` as a path and its organs; a name that holds a colon may be a file's own."""
    path, colon, organs = text.rpartition(":")
    # a list of many organs is longer than any file's name, at which Path.exists raises
    if not colon or "=" not in organs or os.path.exists(text):  # noqa: PTH110
        return Path(text), {}
    try:
        return Path(path), organ_value(organs)
    except argparse.ArgumentTypeError as error:
        raise ValueError(str(error)) from None
