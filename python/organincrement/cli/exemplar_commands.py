"""`exemplars`: select, check, trim."""

import argparse
from pathlib import Path
from typing import Any

from organincrement.contract.plan import DEVICES

Commands = Any
_WARNING = "these are images of patients: the vault stays on this computer, is yours alone to open, and is no backup"


def add_to(commands: Commands) -> None:
    """Register the commands."""
    exemplars = commands.add_parser(
        "exemplars", help="keep a few old scans for methods that replay them"
    ).add_subparsers(required=True, metavar="ACTION")  # fmt: skip
    select = exemplars.add_parser(
        "select", help="choose slabs of the old scans and lock them into a vault",
        description="Of each organ: the slabs of which the model is surest and, of these, those that cover all best.",
    )  # fmt: skip
    select.add_argument("--model", type=Path, required=True, metavar="PKG", help="the teacher to be")
    select.add_argument("--dataset", type=Path, required=True, metavar="DATASET", help="what it was trained on")
    select.add_argument(
        "--by", choices=("aeiseg", "coriseg"), default="aeiseg",
        help="for which method: by abstraction (aeiseg, the default) or by content (coriseg)",
    )  # fmt: skip
    select.add_argument("--out", type=Path, required=True, metavar="VAULT", help="a new folder")
    select.add_argument("--most-certain", type=int, default=50, metavar="N", help="candidates of each organ (50)")
    select.add_argument(
        "--keep", "--count", dest="keep", type=int, default=30, metavar="N", help="exemplars of each organ (30)"
    )
    select.add_argument("--passes", type=int, default=29, metavar="T", help="passes with dropout (29)")
    select.add_argument("--vgg", type=Path, metavar="WEIGHTS", help="of an ImageNet VGG16, .safetensors or .pth")
    select.add_argument("--device", default="auto", choices=DEVICES)
    select.set_defaults(command=_select)
    check = exemplars.add_parser("check", help="is a vault whole, and may it be used here?")
    check.set_defaults(command=_check)
    trim = exemplars.add_parser("trim", help="give up the exemplars at the end of the order")
    trim.add_argument("--keep", type=int, required=True, metavar="N", help="how many stay, of all organs together")
    trim.set_defaults(command=_trim)
    for command in (check, trim):
        command.add_argument("vault", type=Path, metavar="VAULT")


def _select(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.workflows.select_exemplars import SelectRequest, select_exemplars

    with CaseCounter("exemplars") as counter:
        request = SelectRequest(
            model=options.model, dataset=options.dataset, by=options.by, out=options.out, keep=options.keep,
            most_certain=options.most_certain, passes=options.passes, vgg=options.vgg, device=options.device,
            progress=counter,
        )  # fmt: skip
        vault = select_exemplars(request)
    print(f"{options.out}: {_told(vault)}")
    print(_WARNING)


def _check(options: argparse.Namespace) -> None:
    from organincrement.replay.vault import open_vault

    opened = open_vault(options.vault)
    opened.cases()
    print(f"{options.vault}: whole; {_told(opened.vault)}")
    print(_WARNING)


def _trim(options: argparse.Namespace) -> None:
    from organincrement.replay.vault import trim

    print(f"{options.vault}: {_told(trim(options.vault, options.keep))}")


def _told(vault: Any) -> str:
    return f"{len(vault.exemplars)} exemplars of {', '.join(vault.organs)}, by {vault.features}"
