"""`model import`, `model verify`, `model export`."""

import argparse
import json
from pathlib import Path
from typing import Any

from organincrement.cli.data_commands import organ_value, organ_values
from organincrement.cli.notes import on_the_side

Commands = Any
IMPORTED = (
    "auto", "organincrement", "nnunet2", "nnunet1", "totalsegmentator", "monai", "torchscript", "state-dict",
)  # fmt: skip
EXPORTED = ("nnunet2", "monai", "onnx")


def add_to(commands: Commands) -> None:
    """Register the commands."""
    model = commands.add_parser("model", help="take models in, check them, hand them on").add_subparsers(
        required=True, metavar="ACTION"
    )
    _add_import(model)
    verify = model.add_parser("verify", help="are a package's files and ancestors what it says?")
    verify.add_argument("package", type=Path, metavar="PACKAGE")
    verify.add_argument(
        "--ancestors", type=Path, nargs="+", default=[], metavar="PACKAGE", help="packages that it should come from"
    )
    verify.set_defaults(command=_verify)
    export = model.add_parser("export", help="write a package for another tool")
    export.add_argument("package", type=Path, metavar="PACKAGE")
    export.add_argument("--format", required=True, choices=EXPORTED)
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    export.set_defaults(command=_export)


def _add_import(model: Commands) -> None:
    command = model.add_parser(
        "import", help="make a package of a model of another tool",
        description="Nothing of the file is run, unless it is a program and --confirm-code is given.",
    )  # fmt: skip
    command.add_argument("path", type=Path, metavar="PATH", help="a file or folder")
    command.add_argument("--out", type=Path, required=True, metavar="PACKAGE", help="a new folder, or NAME.oimodel")
    command.add_argument("--format", default="auto", choices=IMPORTED, help="default: auto, by its files")
    command.add_argument("--name", help="of the package; default: the model's own")
    command.add_argument("--configuration", help="of an nnU-Net folder, such as 3d_fullres")
    command.add_argument("--fold", nargs="+", default=[], help="of an nnU-Net folder; several make an ensemble")
    command.add_argument("--checkpoint", help="of an nnU-Net fold, such as checkpoint_best.pth")
    command.add_argument("--orientation", help="in which the network saw its scans, such as LPS, or stored")
    command.add_argument(
        "--network", type=Path, metavar="FILE", help="JSON that describes network, labels and preprocessing"
    )
    command.add_argument(
        "--organs", nargs="+", default=[], type=organ_value, metavar="ORGAN=VALUE",
        help="what a label of the model is called here, for example liver=1",
    )  # fmt: skip
    command.add_argument(
        "--spacing", nargs=3, type=float, metavar="MM", help="of the network's voxels, in its order of axes"
    )
    command.add_argument("--modality", help="of its scans, such as CT or MR")
    command.add_argument(
        "--confirm-code", action="store_true", help="a program (TorchScript) may run: only from people that you trust"
    )
    command.add_argument("--json", action="store_true", help="print the facts of the package for programs")
    command.set_defaults(command=_import)


def _import(options: argparse.Namespace) -> None:
    from organincrement.models.formats.foreign import ImportOptions
    from organincrement.workflows.import_model import ImportRequest, import_model

    given = ImportOptions(
        name=options.name, configuration=options.configuration, folds=tuple(options.fold),
        checkpoint=options.checkpoint, orientation=options.orientation, network=options.network,
        labels=organ_values(options.organs),
        spacing_mm=tuple(options.spacing) if options.spacing else None, modality=options.modality,
        confirmed=options.confirm_code,
    )  # fmt: skip
    done = import_model(
        ImportRequest(path=options.path, out=options.out, format=options.format, options=given, notice=on_the_side)
    )
    if options.json:
        print(json.dumps(done.facts, indent=2))
        return
    for line in _in_words(done):
        print(line)


def _in_words(done: Any) -> list[str]:
    from organincrement.workflows.model_facts import purposes
    from organincrement.workflows.model_lineage import Verified, lineage_lines

    facts = done.facts
    edges, mm = (" x ".join(f"{value:g}" for value in facts[key]) for key in ("patch", "spacing"))
    lines = [
        f"{facts['name']}: {len(facts['organs'])} organs: {', '.join(facts['organs'])}",
        f"{facts['network']}, {facts['parameters']} weights, patch {edges}, voxels {mm} mm, {facts['orientation']}",
        purposes(facts),
        *(f"note: {note}" for note in facts["notes"]),
    ]
    if done.manifest.lineage:
        verified = Verified(manifest=done.manifest, sha256=done.sha256, broken=(), seen=frozenset())
        lines += ["lineage, oldest first:", *(f"  {line}" for line in lineage_lines(verified))]
    return [*lines, str(done.package)]


def _verify(options: argparse.Namespace) -> int:
    from organincrement.workflows.model_lineage import lineage_lines
    from organincrement.workflows.verify_model import verify_model

    verified = verify_model(options.package, options.ancestors)
    for line in lineage_lines(verified):
        print(line)
    for broken in verified.broken:
        print(f"broken: {broken}")
    print(f"{options.package}: {'the lineage does not hold' if verified.broken else 'its files are those it lists'}")
    return 3 if verified.broken else 0


def _export(options: argparse.Namespace) -> None:
    from organincrement.workflows.export_model import export_model

    done = export_model(options.package, options.format, options.out)
    for note in done.notes:
        print(f"note: {note}")
    print(done.folder)
