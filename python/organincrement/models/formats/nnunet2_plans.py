"""What nnU-Net v2's plans.json and dataset.json say of how a model sees scans, in our terms.

Source of the rules: nnU-Net v2 (F. Isensee et al., Nature Methods 18, 2021), its DefaultPreprocessor and predictor.
"""

from collections.abc import Mapping
from typing import Any, Literal

from organincrement.contract.errors import ContractError
from organincrement.contract.model import STORED, Inference, Normalisation, Preprocessing, SpacingRange, TrainedOn
from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.formats.stated import Stated, is_number, is_whole, shown

READERS: Mapping[str, str] = {
    "SimpleITKIO": STORED, "NibabelIO": STORED, "NibabelIOWithReorient": "RAS", "SimpleITKIOWithReorient": "RAS",
}  # fmt: skip
_SPLINES = "resample_data_or_seg_to_shape"
_TORCH = "resample_torch_fornnunet"
_NONE = "no_resampling_hack"
_ORDERS: Mapping[int, Literal["linear", "cubic"]] = {1: "linear", 3: "cubic"}
_MODALITIES = {"CT": "CT", "CBCT": "CT", "PET": "PT", "PT": "PT", "US": "US"}
_MR = ("MR", "T1", "T2", "FLAIR", "ADC", "DWI", "PD")
_MOST_INHERITED = 20


def configuration_of(plans: Stated, name: str) -> Stated:
    """A configuration with what it inherits. Raises: ModelError for one that is not there, or inherits from itself."""
    configurations, found, seen = plans.part("configurations"), {}, []
    key: str | None = name
    while key is not None:
        if key not in configurations:
            there = ", ".join(configurations.values)
            raise configurations.refuse(key, f"there is no such configuration; choose with --configuration: {there}")
        if key in seen or len(seen) > _MOST_INHERITED:
            raise configurations.refuse(key, "inherits from itself; get the file again")
        seen.append(key)
        part = configurations.part(key)
        found = {**part.values, **found}
        key = part.text("inherits_from") if "inherits_from" in part else None
    return Stated(found, f"{configurations.where}: {name}")


def modality_of(dataset: Stated, options: ImportOptions) -> str:
    """Of the one channel. Raises: ModelError where there are several."""
    key = "channel_names" if "channel_names" in dataset else "modality"
    channels = dataset.part(key).values
    if len(channels) != 1:
        raise dataset.refuse(key, f"{len(channels)} input channels; only models of one channel can be imported")
    return options.modality or modality_called(str(next(iter(channels.values()))))


def modality_called(channel: str) -> str:
    """The modality that a channel's name means."""
    name = channel.strip().upper()
    if name in _MODALITIES:
        return _MODALITIES[name]
    return "MR" if name.startswith(_MR) else name[:20] or "CT"


def labels_of(dataset: Stated) -> dict[str, int]:
    """The labels that have a channel: all but `ignore`. Raises: ModelError for regions and for no background."""
    labels = {}
    for name, value in dataset.part("labels").values.items():
        single = value[0] if isinstance(value, list) and len(value) == 1 else value
        if isinstance(single, list):
            raise dataset.refuse("labels", f"{shown(name)} is a region of several labels, which is not supported")
        if not is_whole(single):
            raise dataset.refuse("labels", f"{shown(name)} has the value {shown(value)}, not a whole number")
        if name != "ignore":
            labels[str(name)] = int(single)
    if labels.get("background") != 0:
        raise dataset.refuse("labels", "background is missing, or is not 0; correct the file")
    return labels


def preprocessing_of(plans: Stated, configuration: Stated, modality: str, options: ImportOptions) -> Preprocessing:
    """How a configuration prepares scans. Raises: ModelError naming the rule that is not supported."""
    reader = plans.text("image_reader_writer", "SimpleITKIO")
    if reader not in READERS:
        raise plans.refuse("image_reader_writer", f"{shown(reader)} is none of {', '.join(READERS)}")
    if configuration.text("preprocessor_name", "DefaultPreprocessor") != "DefaultPreprocessor":
        raise configuration.refuse("preprocessor_name", "only DefaultPreprocessor is supported")
    order = plans.whole("transpose_forward", 3)
    spacing_mm, keep = _spacing(plans, configuration)
    image, moved = _resampling(configuration, "data", 3)
    output, moved_back = _resampling(configuration, "probabilities", 1)
    if moved != moved_back:
        raise configuration.refuse("resampling_fn_probabilities", "is not done as resampling_fn_data is")
    if output != "linear":
        raise configuration.refuse("resampling_fn_probabilities", "only linear resampling of the output is supported")
    try:
        return Preprocessing(
            orientation=options.orientation or READERS[reader], spacing_mm=spacing_mm, axis_order=tuple(order),  # type: ignore[arg-type]
            channels=(modality,), order="normalise-then-resample",
            normalisation=_normalisation(plans, configuration), image_resampling=image, output_resampling=output,
            convention="nnunet", keep_axes=keep if moved else (0, 1, 2), slice_by_slice=moved or "rule",
        )  # fmt: skip
    except ContractError as error:
        raise ModelError(f"{configuration.where}: {error}") from None


def inference_of(configuration: Stated, mirror_axes: object) -> Inference:
    """How a configuration runs. Args: mirror_axes: as the checkpoint has them, or None. Raises: ModelError."""
    patch = configuration.whole("patch_size")
    if len(patch) not in (2, 3):
        raise configuration.refuse("patch_size", f"should have 2 or 3 numbers, and is {patch}")
    flat = 3 - len(patch)  # a slice is one voxel along the first axis
    axes = list(mirror_axes) if isinstance(mirror_axes, list | tuple) else []
    if mirror_axes is not None and not isinstance(mirror_axes, list | tuple):
        raise ModelError(f"inference_allowed_mirroring_axes: should be axes, and is {shown(mirror_axes)}")
    if not all(is_whole(axis) and 0 <= axis < len(patch) for axis in axes) or len(set(axes)) != len(axes):
        raise ModelError(f"inference_allowed_mirroring_axes: {shown(mirror_axes)} are no axes of {patch}")
    try:
        return Inference(
            patch=(1,) * flat + tuple(patch), step=0.5, window="gaussian",
            mirror_axes=tuple(int(axis) + flat for axis in axes), average="logits", temperature=1.0,
        )  # fmt: skip
    except ContractError as error:
        raise ModelError(f"{configuration.where}: {error}") from None


def trained_on(plans: Stated, dataset: Stated, fingerprint: Stated | None, modality: str) -> TrainedOn:
    """What the training scans were like, as far as fingerprint and plans tell."""
    order, spacings = plans.whole("transpose_forward", 3), []
    if fingerprint is not None and "spacings" in fingerprint:
        spacings = [s for s in fingerprint.items("spacings") if isinstance(s, list) and len(s) == 3]
    along = [sorted(float(s[axis]) for s in spacings if is_number(s[axis])) for axis in order]
    spacing = None
    if spacings and all(along):
        low, middle, high = (
            tuple(round(pick(values), 4) for values in along)
            for pick in (lambda v: v[0], lambda v: v[len(v) // 2], lambda v: v[-1])
        )
        spacing = SpacingRange(min=low, median=middle, max=high)  # type: ignore[arg-type]
    cases = dataset.values.get("numTraining")
    facts = _intensities(plans)
    names = {"0.5": "percentile_00_5", "50": "median", "99.5": "percentile_99_5"}
    return TrainedOn(
        modality=modality, cases=int(cases) if is_whole(cases) else len(spacings) or None, spacing_mm=spacing,
        intensity_percentiles={k: facts.number(name) for k, name in names.items() if facts and name in facts},
    )  # fmt: skip


def _intensities(plans: Stated) -> Stated | None:
    for key in ("foreground_intensity_properties_per_channel", "foreground_intensity_properties_by_modality"):
        if key in plans and "0" in plans.part(key):
            return plans.part(key).part("0")
    return None


def _spacing(plans: Stated, configuration: Stated) -> tuple[tuple[float, float, float], tuple[int, ...]]:
    """Of the network's axes, and those along which the scan keeps its own: the first, of a network of slices."""
    spacing = configuration.numbers("spacing")
    if len(spacing) == 2:
        return (plans.numbers("original_median_spacing_after_transp", 3)[0], spacing[0], spacing[1]), (0,)
    if len(spacing) != 3:
        raise configuration.refuse("spacing", f"should have 2 or 3 numbers, and is {spacing}")
    return (spacing[0], spacing[1], spacing[2]), ()


def _normalisation(plans: Stated, configuration: Stated) -> Normalisation:
    scheme = configuration.items("normalization_schemes")[0:1]
    masked = (configuration.items("use_mask_for_norm")[0:1] if "use_mask_for_norm" in configuration else []) == [True]
    match scheme:
        case ["CTNormalization"]:
            facts = _intensities(plans)
            if facts is None:
                raise plans.refuse("foreground_intensity_properties_per_channel", "is missing; get the file again")
            clip_hu = (facts.number("percentile_00_5"), facts.number("percentile_99_5"))
            std = max(facts.number("std"), 1e-8)
            return Normalisation(kind="ct", clip_hu=clip_hu, mean=facts.number("mean"), std=std)
        case ["ZScoreNormalization"]:
            return Normalisation(kind="zscore", masked=masked)
        case ["NoNormalization"]:
            return Normalisation(kind="none")
    known = "CTNormalization, ZScoreNormalization, NoNormalization"
    raise configuration.refuse("normalization_schemes", f"{shown(scheme)} is not supported, only {known}")


def _resampling(
    configuration: Stated, what: str, order: int
) -> tuple[Literal["linear", "cubic"], Literal["rule", "never", "always"] | None]:
    """The interpolation of data or probabilities, and when it goes slice by slice; None where there is none at all.

    Args: order: where the plans say nothing at all; where they name a function, its own defaults hold.
    """
    key = f"resampling_fn_{what}"
    function = configuration.text(key, _SPLINES)
    kwargs = configuration.values.get(f"{key}_kwargs") or {}
    stated = Stated(kwargs if isinstance(kwargs, dict) else {}, f"{configuration.where}: {key}_kwargs")
    if function == _NONE:
        return "linear", None
    if function not in (_SPLINES, _TORCH):
        raise configuration.refuse(key, f"{shown(function)} is not supported, only {_SPLINES}, {_TORCH} and {_NONE}")
    expected: dict[str, tuple[Any, ...]] = {
        "is_seg": (False,), "force_separate_z": (None, False, True), "separate_z_anisotropy_threshold": (3,),
        "order_z": (0,), "mode": ("linear",), "aniso_axis_mode": ("nearest-exact",),
    }  # fmt: skip
    for name, value in stated.values.items():
        if name in expected and value not in expected[name]:
            raise stated.refuse(name, f"{shown(value)} is not supported, only {shown(expected[name][0])}")
    named = key in configuration or bool(kwargs)
    found = 1 if function == _TORCH else int(stated.number("order", 3 if named else order))
    if found not in _ORDERS:
        raise stated.refuse("order", f"{found} is not supported, only 1 and 3")
    # the two functions differ in what they do where nothing is said
    forced = stated.values.get("force_separate_z", False if named and function == _SPLINES else None)
    return _ORDERS[found], "rule" if forced is None else "always" if forced else "never"
