"""What nnU-Net v1's plans say of how a model sees scans, in our terms.

Source of the rules: nnU-Net v1 (F. Isensee et al., Nature Methods 18, 2021), its GenericPreprocessor and predict_3D. It
crops to what is not 0, resamples, then normalises, and averages probabilities.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from organincrement.contract.errors import ContractError
from organincrement.contract.files import read_bytes
from organincrement.contract.model import STORED, Inference, Normalisation, Preprocessing, SpacingRange, TrainedOn
from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.formats.nnunet2_plans import modality_called
from organincrement.models.formats.stated import Stated, is_number, shown
from organincrement.models.pickled_data import MAX_BYTES, read_pickled

_KEYS = (
    "num_modalities", "modalities", "normalization_schemes", "use_mask_for_norm", "num_classes", "all_classes",
    "transpose_forward", "plans_per_stage", "preprocessor_name", "segmentation_export_params", "original_spacings",
)  # fmt: skip
_INTENSITIES = ("mean", "sd", "percentile_00_5", "median", "percentile_99_5")
_SLICES = "PreprocessorFor2D"
_PREPROCESSORS = ("GenericPreprocessor", _SLICES)
_EXPORT = {"force_separate_z": None, "interpolation_order": 1, "interpolation_order_z": 0}


def read_pickle(file: Path) -> Mapping[str, Any]:
    """The dict of a .pkl file, read as data. Raises: ModelError, one line."""
    try:
        found = read_pickled(read_bytes(file, MAX_BYTES), file.name)
    except ContractError as error:
        raise ModelError(" ".join(str(error).split())) from None
    if not isinstance(found, Mapping):
        raise ModelError(f"{file.name}: holds no dictionary; get the file again")
    return found


def stated_plans(plans: Any, where: str) -> Stated:
    """The part of the plans that matters, in JSON's types. Raises: ModelError where they are none."""
    if not isinstance(plans, Mapping) or "plans_per_stage" not in plans:
        raise ModelError(f"{where}: holds no plans of nnU-Net v1; get the file again")
    values = {key: _plain(plans[key]) for key in _KEYS if key in plans}
    properties = plans.get("dataset_properties")
    facts = properties.get("intensityproperties") if isinstance(properties, Mapping) else None
    first = facts.get(0) if isinstance(facts, Mapping) else None
    if isinstance(first, Mapping):
        values["intensities"] = {key: _plain(first[key]) for key in _INTENSITIES if key in first}
    return Stated(values, where)


def stage_of(plans: Stated, number: object, configuration: str | None) -> Stated:
    """The stage of a configuration: the one that was trained, else the finest, of 3d_lowres the coarsest."""
    stages = plans.part("plans_per_stage")
    there = sorted(int(key) for key in stages.values if re.fullmatch(r"[0-9]{1,3}", key))
    if not there:
        raise plans.refuse("plans_per_stage", "holds no stage; get the file again")
    chosen = there[0] if configuration == "3d_lowres" else there[-1]
    if type(number) is int:
        chosen = number
    return stages.part(str(chosen))


def preprocessing_of(plans: Stated, stage: Stated, modality: str, options: ImportOptions) -> Preprocessing:
    """How scans are prepared. Raises: ModelError naming the rule that is not supported."""
    flat = _is_flat(stage)
    name = plans.text("preprocessor_name", _SLICES if flat else _PREPROCESSORS[0])
    if name not in _PREPROCESSORS:
        raise plans.refuse("preprocessor_name", f"{shown(name)} is none of {', '.join(_PREPROCESSORS)}")
    if "segmentation_export_params" in plans:
        asked = plans.part("segmentation_export_params").values
        if {key: asked.get(key) for key in _EXPORT} != _EXPORT:
            raise plans.refuse("segmentation_export_params", f"{shown(asked)} is not supported, only v1's own")
    spacing = stage.numbers("current_spacing", 3)
    order = plans.whole("transpose_forward", 3) if "transpose_forward" in plans else [0, 1, 2]
    try:
        return Preprocessing(
            orientation=options.orientation or STORED, spacing_mm=tuple(spacing), axis_order=tuple(order),  # type: ignore[arg-type]
            channels=(modality,), order="resample-then-normalise", normalisation=_normalisation(plans),
            image_resampling="cubic", output_resampling="linear", convention="nnunet1",
            keep_axes=(0,) if name == _SLICES else (),
        )  # fmt: skip
    except ContractError as error:
        raise ModelError(f"{plans.where}: {error}") from None


def inference_of(stage: Stated, *, mirrors: bool) -> Inference:
    """How the network runs over a scan. Args: mirrors: whether it was trained with mirrored patches."""
    patch = stage.whole("patch_size")
    if len(patch) not in (2, 3):
        raise stage.refuse("patch_size", f"should have 2 or 3 numbers, and is {patch}")
    flat = 3 - len(patch)
    try:
        return Inference(
            patch=(1,) * flat + tuple(patch), step=0.5, window="gaussian",
            mirror_axes=tuple(range(flat, 3)) if mirrors else (), average="probabilities", temperature=1.0,
        )  # fmt: skip
    except ContractError as error:
        raise ModelError(f"{stage.where}: {error}") from None


def modality_of(plans: Stated, options: ImportOptions) -> str:
    """Of the one channel. Raises: ModelError where there are several."""
    count = int(plans.number("num_modalities"))
    if count != 1:
        raise plans.refuse("num_modalities", f"{count} input channels; only models of one channel can be imported")
    named = plans.part("modalities").values if "modalities" in plans else {}
    return options.modality or modality_called(str(next(iter(named.values()), "CT")))


def labels_of(plans: Stated, dataset: Stated | None) -> dict[str, int]:
    """The labels by name; class_1, class_2, … where no dataset.json is there."""
    values, count = plans.whole("all_classes"), int(plans.number("num_classes"))
    if len(values) != count:
        raise plans.refuse("all_classes", f"has {len(values)} labels, but num_classes is {count}")
    if dataset is None:
        return {"background": 0, **{f"class_{value}": value for value in values}}
    labels: dict[str, int] = {}
    for key, name in dataset.part("labels").values.items():
        if not key.strip().isdecimal() or not isinstance(name, str):
            raise dataset.refuse("labels", f"{shown(key)}: {shown(name)} is no label of nnU-Net v1, as in 1: liver")
        unique = name if name not in labels else f"{name} {key}"
        labels[unique] = int(key)
    if sorted(labels.values()) != [0, *sorted(values)]:
        raise dataset.refuse("labels", f"are not the {count} labels of the model; give the dataset.json of its task")
    return labels


def trained_on(plans: Stated, modality: str) -> TrainedOn:
    """What the training scans were like, as far as the plans tell."""
    listed = plans.values.get("original_spacings")
    rows = [row for row in (listed if isinstance(listed, list) else []) if isinstance(row, list) and len(row) == 3]
    rows = [row for row in rows if all(map(is_number, row))]
    order = plans.values.get("transpose_forward") or [0, 1, 2]
    spacing = None
    if rows:
        along = np.array(rows, float)[:, order]
        low, middle, high = (tuple(np.round(pick(along, axis=0), 4).tolist()) for pick in (np.min, np.median, np.max))
        spacing = SpacingRange(min=low, median=middle, max=high)
    facts = plans.part("intensities") if "intensities" in plans else Stated({}, plans.where)
    names = {"0.5": "percentile_00_5", "50": "median", "99.5": "percentile_99_5"}
    return TrainedOn(
        modality=modality, cases=len(rows) or None, spacing_mm=spacing,
        intensity_percentiles={k: facts.number(name) for k, name in names.items() if name in facts},
    )  # fmt: skip


def _is_flat(stage: Stated) -> bool:
    return len(stage.whole("patch_size")) == 2


def _normalisation(plans: Stated) -> Normalisation:
    scheme = plans.part("normalization_schemes").text("0")
    masked = plans.part("use_mask_for_norm").flag("0", False) if "use_mask_for_norm" in plans else False
    match scheme:
        case "CT":
            if masked:
                raise plans.refuse("use_mask_for_norm", "CT with a mask, which no nnU-Net v1 writes, is not supported")
            facts = plans.part("intensities")
            clip_hu = (facts.number("percentile_00_5"), facts.number("percentile_99_5"))
            return Normalisation(kind="ct", clip_hu=clip_hu, mean=facts.number("mean"), std=facts.number("sd"))
        case "nonCT":
            return Normalisation(kind="zscore", masked=masked)
        case "noNorm":
            return Normalisation(kind="none")
    raise plans.refuse("normalization_schemes", f"{shown(scheme)} is not supported, only CT, nonCT and noNorm")


def _plain(value: Any) -> Any:
    """In JSON's types: arrays and tuples as lists, keys as text; what is none of them stays, to be refused by name."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
