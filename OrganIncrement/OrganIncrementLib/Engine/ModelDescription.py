"""The JSON file that says what a plain file of weights is of, made from what a user types into a few fields."""

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import write_atomic
from organincrement.contract.model import Inference, Normalisation, Preprocessing
from OrganIncrementLib.Engine.EngineFolder import engineFolder
from OrganIncrementLib.Translation import _

_EXAMPLE = Path("organincrement", "models", "formats", "state_dict_example.json")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


class DescriptionError(ValueError):
    """A field is missing or cannot be understood; one sentence for people."""


@dataclass(frozen=True, kw_only=True)
class DescriptionFields:
    """As typed. `organs`: names in the order of their label values. `window`: lowest and highest intensity, mean, std.

    `spacing`, `patch`: three numbers, in the network's order of axes.
    """

    organs: str = ""
    spacing: str = ""
    patch: str = ""
    window: str = ""
    modality: str = "CT"
    orientation: str = "LPS"


def writeDescription(path: Path, fields: DescriptionFields) -> None:
    """Write the file. Raises: DescriptionError naming the field; OSError or ContractError for the disk."""
    names = [" ".join(name.split()) for name in fields.organs.split(",") if name.strip()]
    if not names:
        raise DescriptionError(_("Name the organs, in the order of their label values: liver, spleen."))
    if len({name.lower() for name in names}) < len(names):
        raise DescriptionError(_("Name each organ once."))
    spacing = _numbers(fields.spacing, 3, _("Give the spacing of the network's voxels in mm: three numbers."))
    patch = _numbers(fields.patch, 3, _("Give the patch of the network in voxels: three whole numbers."))
    missing = _("Give the intensity window: lowest, highest, mean and standard deviation, four numbers.")
    low, high, mean, std = _numbers(fields.window, 4, missing)
    if min(patch) < 1 or any(edge != int(edge) for edge in patch):
        raise DescriptionError(_("Give the patch of the network in voxels: three whole numbers."))
    try:
        preprocessing = Preprocessing(
            orientation=fields.orientation, spacing_mm=spacing, axis_order=(0, 1, 2), channels=(fields.modality,),
            order="normalise-then-resample", image_resampling="cubic", output_resampling="linear",
            normalisation=Normalisation(kind="ct", clip_hu=(low, high), mean=mean, std=std),
        )  # fmt: skip
        inference = Inference(
            patch=tuple(int(edge) for edge in patch), step=0.5, window="gaussian", mirror_axes=(), average="logits",
            temperature=1.0,
        )  # fmt: skip
    except ContractError as error:
        raise DescriptionError(str(error)) from None
    write_atomic(path, codec.dumps(_Description(_labels(names), preprocessing, inference)))


def writeExample(path: Path) -> None:
    """A whole description to start from. Raises: OSError."""
    path.write_bytes((engineFolder() / _EXAMPLE).read_bytes())


@dataclass(frozen=True)
class _Description:
    labels: dict[str, int]
    preprocessing: Preprocessing
    inference: Inference


def _labels(names: list[str]) -> dict[str, int]:
    return {name: value for value, name in enumerate(names, 1)}


def _numbers(text: str, count: int, otherwise: str) -> tuple[float, ...]:
    """Numbers between blanks, commas or ×. Raises: DescriptionError with `otherwise`."""
    parts = [part for part in re.split(r"[\s,;×x]+", text.strip()) if part]
    if len(parts) != count or not all(_NUMBER.fullmatch(part) and isfinite(float(part)) for part in parts):
        raise DescriptionError(otherwise)
    return tuple(map(float, parts))
