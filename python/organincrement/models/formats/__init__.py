"""Models of other tools: one module for each format, each with `recognise` and `read`, imported when it is asked."""

import importlib
from pathlib import Path
from typing import Protocol, cast

from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import Foreign, ImportOptions


class Format(Protocol):
    """What the module of a format offers."""

    def recognise(self, path: Path) -> bool:
        """Whether a file or folder looks like this format; cheap, never raises, runs nothing of it."""

    def read(self, path: Path, options: ImportOptions) -> Foreign:
        """The model in our terms; raises ModelError with the reason in one line."""


# A folder or file is asked for in this order: special layouts come before those that they contain.
FORMATS: dict[str, str] = {
    "totalsegmentator": "organincrement.models.formats.totalsegmentator",
    "nnunet2": "organincrement.models.formats.nnunet2",
    "nnunet1": "organincrement.models.formats.nnunet1",
    "monai": "organincrement.models.formats.monai_bundle",
    "torchscript": "organincrement.models.formats.torchscript",
    "state-dict": "organincrement.models.formats.state_dict",
}

# What each is, and what it is recognised by, for people.
LOOKS: dict[str, str] = {
    "organincrement": "an OrganIncrement package (model.json, or a .oimodel file)",
    "totalsegmentator": "a TotalSegmentator weights folder (DatasetNNN_TotalSegmentator_…)",
    "nnunet2": "an nnU-Net v2 results folder (plans.json, dataset.json, fold_0/checkpoint_final.pth)",
    "nnunet1": "an nnU-Net v1 model folder (plans.pkl, fold_0/model_final_checkpoint.model)",
    "monai": "a MONAI bundle (configs/metadata.json, models/model.pt)",
    "torchscript": "a TorchScript program (a zip with code/ and constants.pkl)",
    "state-dict": "a state dict (.pt, .pth or .safetensors, with --network FILE)",
}


# Which of ImportOptions a format takes; what it does not take, its files say.
_ANY = frozenset({"name", "labels", "orientation", "modality", "confirmed"})
_OF_NNUNET = _ANY | {"configuration", "folds", "checkpoint"}
_TAKEN: dict[str, frozenset[str]] = {
    "organincrement": frozenset({"confirmed"}),
    "totalsegmentator": _OF_NNUNET,
    "nnunet2": _OF_NNUNET,
    "nnunet1": _OF_NNUNET,
    "monai": _ANY,
    "torchscript": _ANY | {"network", "spacing_mm"},
    "state-dict": _ANY | {"network", "spacing_mm"},
}
_FLAGS = {"folds": "fold", "labels": "organs", "spacing_mm": "spacing"}


def check_options(form: str, options: ImportOptions) -> None:
    """Refuse an option that a format would pass over in silence. Raises: ModelError naming it."""
    for name, value in vars(options).items():
        if value and name not in _TAKEN[form]:
            raise ModelError(
                f"--{_FLAGS.get(name, name)}: is not asked of {LOOKS[form]}, which says that itself; leave it out"
            )


def format_module(name: str) -> Format:
    """The reader of a format of FORMATS."""
    return cast(Format, importlib.import_module(FORMATS[name]))
