"""`results`."""

import argparse
from pathlib import Path
from typing import Any

from organincrement.cli.notes import on_the_side

Commands = Any


def add_to(commands: Commands) -> None:
    """Register the commands."""
    results = commands.add_parser("results", help="what `segment` or `merge` wrote, in other programs' formats")
    export = results.add_subparsers(required=True, metavar="ACTION").add_parser(
        "export", help="NIfTI with a table of its labels, or DICOM segmentation and parametric map",
        description="nifti: segmentation.nii.gz and labels.json. dicom-seg: segmentation.dcm and, where there is "
        "uncertainty, uncertainty.dcm, both referring to the scan's DICOM series. These carry the patient's and the "
        "study's attributes of the series, as DICOM requires: name, id, birth date, sex, study and its date, accession "
        "number, referring physician. Nothing else that is written does.",
    )  # fmt: skip
    export.add_argument("result", type=Path, metavar="RESULT", help="a folder that `segment` or `merge` wrote")
    export.add_argument("--format", required=True, choices=("nifti", "dicom-seg"))
    export.add_argument("--dicom", type=Path, metavar="SERIES", help="the scan's DICOM series, for dicom-seg")
    export.add_argument(
        "--other-series", action="store_true",
        help="the series shows the scan although its files are not those that were segmented (they name its patient)",
    )  # fmt: skip
    export.add_argument("--out", type=Path, required=True, metavar="DIR")
    export.set_defaults(command=_export)


def _export(options: argparse.Namespace) -> None:
    from organincrement.workflows.export_results import ExportRequest, export_results

    request = ExportRequest(
        result=options.result, out=options.out, format=options.format, series=options.dicom,
        other_series=options.other_series, notice=on_the_side,
    )  # fmt: skip
    for path in export_results(request):
        print(path)
