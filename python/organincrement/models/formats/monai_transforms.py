"""What a MONAI bundle does to a scan before its network, from the transforms that it names.

Each is one of a list, with options whose effect is known; the order in which they stand is followed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.model import STORED, Normalisation, Preprocessing
from organincrement.models.errors import ModelError
from organincrement.models.formats.monai_config import DISABLED, Config
from organincrement.models.formats.stated import Stated, is_number, shown

OWN = "scripts.organincrement_steps."  # the module that our own bundles bring along
NO_CLIP = (-1e9, 1e9)  # a scan's values lie within
_MODULES = ("monai.transforms.", "monai.inferers.", "monai.networks.nets.")
_HARMLESS = {
    "allow_missing_keys", "device", "track_meta", "data_type", "meta_keys", "meta_key_postfix", "wrap_sequence",
    "strict_check", "image_only", "align_corners",
}  # fmt: skip
Way = Literal["linear", "nearest"]


@dataclass
class _Steps:
    """What has been read so far."""

    orientation: str | None = None
    spacing_mm: list[float] | None = None
    way: Way = "linear"
    normalisation: Normalisation | None = None
    own: Preprocessing | None = None
    names: list[str] = field(default_factory=list)
    has_channel: bool = False


def preprocessing_of(config: Config, modality: str, orientation: str | None) -> tuple[Preprocessing, str]:
    """How the bundle prepares scans, and its key of the scan. Raises: ModelError naming what is not supported."""
    steps, image = _Steps(), ""
    for name, options in transforms(config, "preprocessing"):
        image = image or _first(options)
        if (name == "LoadImaged") != (not steps.names):
            raise ModelError(f"{options.where}: the scan should be loaded first, and once")
        if name not in _STEPS:
            raise ModelError(f"{options.where} is none of {', '.join(_STEPS)}, and cannot be followed")
        check_keys(options, image)
        _STEPS[name](steps, options)
        steps.names.append(name)
    if steps.own is not None:
        return steps.own, image
    if not steps.has_channel:
        raise config.refuse("preprocessing", "lacks EnsureChannelFirstd; it cannot be followed")
    spacing_mm = steps.spacing_mm or [-1.0] * 3
    try:
        return Preprocessing(
            orientation=orientation or steps.orientation or STORED, axis_order=(2, 1, 0), channels=(modality,),
            spacing_mm=tuple(mm if mm > 0 else 1.0 for mm in spacing_mm),  # type: ignore[arg-type]
            keep_axes=tuple(axis for axis, mm in enumerate(spacing_mm) if mm <= 0),
            order=_order(steps.names), normalisation=steps.normalisation or Normalisation(kind="none"),
            image_resampling=steps.way, output_resampling="linear", convention="monai",
        ), image  # fmt: skip
    except ContractError as error:
        raise config.refuse("preprocessing", str(error)) from None


def transforms(config: Config, key: str) -> Iterator[tuple[str, Stated]]:
    """The short names of a Compose's transforms, in order, and their options without references."""
    target, compose = config.part(key)
    if short_name(target) != "Compose":
        raise config.refuse(key, f"{shown(target)} is no Compose; it cannot be followed")
    if config.plain(compose.get("lazy"), f"{key}::lazy"):
        raise config.refuse(key, "is lazy, which interpolates in another way; it cannot be followed")
    listed = config.resolved(compose.get("transforms"), key)
    if not isinstance(listed, list):
        raise config.refuse(key, f"transforms should be a list, and is {shown(listed)}")
    for number, entry in enumerate(listed):
        target, part = config.part(f"{key}::transforms::{number}", entry)
        disabled = config.plain(part.get(DISABLED, False), f"{key}::{number}::{DISABLED}")
        if not isinstance(disabled, bool):
            raise config.refuse(f"{key}::{number}", f"{DISABLED} is {shown(disabled)}, not true or false")
        if not disabled:
            name = short_name(target)
            if name == "SaveImaged":  # it writes what is there
                part = {"keys": part.get("keys")}
            if name == "Invertd" and part.get("transform") not in ("@preprocessing", "$@preprocessing"):
                raise config.refuse(f"{key}: {name}", f"undoes {shown(part.get('transform'))}, not '@preprocessing'")
            yield name, config.options(part, f"{key}: {name}", _HARMLESS | _IGNORED.get(name, set()))


def short_name(target: str) -> str:
    """The name of a class of MONAI without its modules; other names stay whole."""
    last = target.rpartition(".")[2]
    return last if target.startswith(_MODULES) else target


def check_keys(options: Stated, wanted: str) -> None:
    """Refuse a transform of anything but one value. Raises: ModelError."""
    keys = options.values.get("keys")
    if keys not in (wanted, [wanted]):
        raise options.refuse("keys", f"should be '{wanted}' alone, and is {shown(keys)}")


def single(options: Stated, name: str, default: Any = None) -> Any:
    """An option of which there may be one for each key."""
    value = options.values.get(name, default)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def only(options: Stated, known: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse options that are not known, or of another value than those whose effect is. Raises: ModelError."""
    for name, value in options.values.items():
        if name != "keys" and name not in known:
            raise options.refuse(name, f"{shown(value)} is an option that is not supported")
        allowed = known.get(name, ())
        if allowed and not any(single(options, name) is a or single(options, name) == a for a in allowed):
            raise options.refuse(name, f"{shown(value)} is not supported, only {' or '.join(map(repr, allowed))}")


_IGNORED: Mapping[str, set[str]] = {"Orientationd": {"labels"}, "Invertd": {"to_tensor", "transform"}}
_FLOATS = (None, "float32", "float64")


def _first(options: Stated) -> str:
    keys = options.values.get("keys")
    first = keys[0] if isinstance(keys, list) and keys else keys
    if not isinstance(first, str):
        raise options.refuse("keys", f"should be a name, and is {shown(keys)}")
    return first


def _order(names: list[str]) -> Literal["normalise-then-resample", "resample-then-normalise"]:
    scaled = [number for number, name in enumerate(names) if name in ("ScaleIntensityRanged", "NormalizeIntensityd")]
    resampled = [number for number, name in enumerate(names) if name == "Spacingd"]
    return "normalise-then-resample" if scaled and resampled > scaled else "resample-then-normalise"


def _load(steps: _Steps, options: Stated) -> None:
    readers = (None, "ITKReader", "NibabelReader", "itkreader", "nibabelreader")
    only(options, {
        "reader": readers, "ensure_channel_first": (True, False), "dtype": (None, "float32"), "simple_keys": (),
        "prune_meta_pattern": (None,), "prune_meta_sep": (), "expanduser": (), "overwriting": (),
    })  # fmt: skip
    steps.has_channel = bool(options.values.get("ensure_channel_first"))


def _channel_first(steps: _Steps, options: Stated) -> None:
    only(options, {"channel_dim": (None, "no_channel")})
    steps.has_channel = True


def _typed(steps: _Steps, options: Stated) -> None:
    only(options, {"dtype": (None, "float32")})


def _orientation(steps: _Steps, options: Stated) -> None:
    only(options, {"axcodes": (), "as_closest_canonical": (True, False), "lazy": (False,)})
    if "Spacingd" in steps.names or steps.orientation:
        raise ModelError(f"{options.where} stands behind Spacingd or another one; it cannot be followed")
    closest = options.flag("as_closest_canonical", False)
    steps.orientation = "RAS" if closest else options.text("axcodes")


def _spacing(steps: _Steps, options: Stated) -> None:
    only(options, {
        "pixdim": (), "mode": ("bilinear", "nearest"), "padding_mode": ("border",), "diagonal": (False,),
        "dtype": _FLOATS, "scale_extent": (False,), "recompute_affine": (False,), "min_pixdim": (None,),
        "max_pixdim": (None,), "ensure_same_shape": (), "lazy": (False,),
    })  # fmt: skip
    if steps.spacing_mm is not None:
        raise ModelError(f"{options.where} stands there twice; it cannot be followed")
    value = options.values.get("pixdim")
    pixdim = options.numbers("pixdim") if isinstance(value, list) else [options.number("pixdim")]
    steps.spacing_mm = [*pixdim, *[pixdim[-1]] * (3 - len(pixdim))][:3]  # as MONAI: the last goes for the rest
    steps.way = "nearest" if single(options, "mode") == "nearest" else "linear"


def _scaled(steps: _Steps, options: Stated) -> None:
    only(options, {"a_min": (), "a_max": (), "b_min": (), "b_max": (), "clip": (True, False), "dtype": _FLOATS})
    low, high = options.number("a_min"), options.number("a_max")
    first, last = options.number("b_min"), options.number("b_max")
    if not low < high or not first < last:
        raise ModelError(f"{options.where}: a_min, a_max and b_min, b_max should rise")
    std = (high - low) / (last - first)
    clip_hu = (low, high) if options.flag("clip", False) else NO_CLIP
    _normalise(steps, options, Normalisation(kind="ct", clip_hu=clip_hu, mean=low - first * std, std=std))


def _normalised(steps: _Steps, options: Stated) -> None:
    only(options, {
        "subtrahend": (), "divisor": (), "nonzero": (True, False), "channel_wise": (True, False), "dtype": _FLOATS,
    })  # fmt: skip
    given = [single(options, name) for name in ("subtrahend", "divisor")]
    nonzero = options.flag("nonzero", False)
    if given == [None, None]:
        _normalise(steps, options, Normalisation(kind="zscore", masked=nonzero))
        return
    mean, std = given
    if nonzero or not is_number(mean) or not is_number(std) or std <= 0:
        raise ModelError(f"{options.where}: subtrahend and divisor should be numbers, for all of the scan")
    _normalise(steps, options, Normalisation(kind="ct", clip_hu=NO_CLIP, mean=float(mean), std=float(std)))


def _normalise(steps: _Steps, options: Stated, normalisation: Normalisation) -> None:
    if steps.normalisation is not None:
        raise ModelError(f"{options.where}: a second change of intensities cannot be followed")
    steps.normalisation = normalisation


def _own(steps: _Steps, options: Stated) -> None:
    try:
        steps.own = codec.from_json(Preprocessing, dict(options.part("preprocessing").values), where=options.where)
    except ContractError as error:
        raise ModelError(str(error)) from None


_STEPS: dict[str, Callable[[_Steps, Stated], None]] = {
    "LoadImaged": _load, "EnsureChannelFirstd": _channel_first, "EnsureTyped": _typed, "CastToTyped": _typed,
    "Orientationd": _orientation, "Spacingd": _spacing, "ScaleIntensityRanged": _scaled,
    "NormalizeIntensityd": _normalised, f"{OWN}Prepared": _own,
}  # fmt: skip
