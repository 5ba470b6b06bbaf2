"""What a MONAI bundle does around and behind its network: windows, and from their answers to labels on the scan."""

import math
from dataclasses import replace
from typing import Any, Literal

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.model import Inference, Preprocessing
from organincrement.models.errors import ModelError
from organincrement.models.formats.monai_config import Config
from organincrement.models.formats.monai_transforms import (
    OWN,
    Way,
    check_keys,
    only,
    short_name,
    single,
    transforms,
)
from organincrement.models.formats.stated import Stated, is_number, is_whole, shown

_LARGEST_PATCH = 512**3
Resampled = Literal["averages", "probabilities"]
_FASTER = {
    "sw_batch_size", "sw_device", "device", "progress", "cache_roi_weight_map", "cpu_thresh", "buffer_steps",
    "buffer_dim",
}  # fmt: skip
_ENGINES = ("SupervisedEvaluator", "monai.engines.SupervisedEvaluator", "monai.engines.evaluator.SupervisedEvaluator")
_PARTS = {
    "network": ("@network", "@network_def", "$@network"), "inferer": ("@inferer", "$@inferer"),
    "postprocessing": ("@postprocessing", "$@postprocessing"),
}  # fmt: skip
_NETWORK = ("$@network_def.to(@device)", "@network_def", "$@network_def")
_OF_ENGINES = {
    "device", "val_data_loader", "val_handlers", "amp", "epoch_length", "key_val_metric", "additional_metrics",
    "metric_cmp_fn", "non_blocking", "val_stats", "to_kwargs", "amp_kwargs", "decollate", *_PARTS,
}  # fmt: skip


def with_answers(config: Config, preprocessing: Preprocessing, image: str) -> tuple[Preprocessing, Inference]:
    """How windows are placed and averaged, and how labels come from that. Raises: ModelError naming what is not."""
    _check_engine(config)
    inference = _windows(config)
    way, resampled = _answers(config, image, preprocessing)
    if preprocessing.convention != "monai":  # of our own steps, which bring everything along
        return preprocessing, inference
    return replace(preprocessing, output_resampling=way), replace(inference, resampled=resampled)


def _windows(config: Config) -> Inference:
    target, part = config.part("inferer")
    name = short_name(target)
    options = config.options(part, f"inferer: {name}", _FASTER)
    try:
        if name == f"{OWN}Windows":
            return codec.from_json(Inference, dict(options.part("inference").values), where=options.where)
        if name != "SlidingWindowInferer":
            raise ModelError(f"{options.where} is not SlidingWindowInferer, and cannot be followed")
        only(options, {
            "roi_size": (), "overlap": (), "mode": ("gaussian", "constant"), "sigma_scale": (0.125,),
            "padding_mode": ("constant",), "cval": (0,), "with_coord": (False,),
        })  # fmt: skip
        window: Any = options.values.get("mode", "constant")
        return Inference(
            patch=_patch(options), step=1 - _overlap(options), window=window, mirror_axes=(), average="logits",
            temperature=1.0,
        )  # fmt: skip
    except ContractError as error:
        raise ModelError(f"{config.where}: inferer: {error}") from None


def _patch(options: Stated) -> tuple[int, ...]:
    value = options.values.get("roi_size")
    edges = [int(value)] * 3 if is_whole(value) else options.whole("roi_size", 3)
    if min(edges) < 1 or math.prod(edges) > _LARGEST_PATCH:
        raise options.refuse("roi_size", f"{shown(value)} takes a whole edge of the scan, or is too large a window")
    return tuple(edges)


def _overlap(options: Stated) -> float:
    value = options.values.get("overlap", 0.25)
    shares = set(value) if isinstance(value, list) and all(map(is_number, value)) else {value}
    share = next(iter(shares)) if len(shares) == 1 else None
    if not is_number(share) or not 0 <= share < 1:  # type: ignore[operator]
        raise options.refuse("overlap", f"should be one share from 0 to below 1, and is {shown(value)}")
    return float(share)  # type: ignore[arg-type]


def _answers(config: Config, image: str, preprocessing: Preprocessing) -> tuple[Way, Resampled]:
    """How the network's answer is brought onto the scan, and whether as logits or probabilities."""
    way: Way = "nearest"
    stage, inverted, resampled, pred = "logits", False, "averages", ""
    for name, options in transforms(config, "postprocessing"):
        pred = pred or str(single(options, "keys"))
        check_keys(options, pred)
        if name == "Activationsd":
            _check_activation(options)
            stage = "probabilities" if stage == "logits" and single(options, "softmax") is True else stage
        elif name == "Invertd" and not inverted:
            way, inverted = _inversion(config, options, image, preprocessing, stage), True
            resampled = "probabilities" if stage == "probabilities" and way == "linear" else "averages"
        elif name == "AsDiscreted" and stage != "labels":
            only(options, {"argmax": (True,), "to_onehot": (None,), "threshold": (None,), "rounding": (None,)})
            if not options.flag("argmax", False) and single(options, "argmax") is not True:
                raise options.refuse("argmax", "is not true; only the most probable label is supported")
            stage = "labels"
        elif name not in ("SaveImaged", "EnsureTyped"):
            raise ModelError(f"{options.where} is none that can be followed behind the network, or stands there twice")
    if stage != "labels":
        raise config.refuse("postprocessing", "has no AsDiscreted with argmax; outputs that overlap are not supported")
    resamples = preprocessing.keep_axes != (0, 1, 2)
    if not inverted and resamples:
        raise config.refuse("postprocessing", "has no Invertd: its labels lie on another grid than the scan's")
    return way, resampled  # type: ignore[return-value]


def _check_activation(options: Stated) -> None:
    if single(options, "sigmoid"):
        raise options.refuse("sigmoid", "outputs of their own for each organ, which may overlap, are not supported")
    only(options, {"sigmoid": (False, None), "softmax": (True, False), "other": (None,)})


def _inversion(config: Config, options: Stated, image: str, preprocessing: Preprocessing, stage: str) -> Way:
    known: dict[str, tuple[Any, ...]] = {"orig_keys": (image,), "orig_meta_keys": (), "nearest_interp": (True, False)}
    only(options, {**known, "post_func": (None,)})
    nearest = single(options, "nearest_interp", True) or preprocessing.image_resampling == "nearest"
    if stage == "labels" and not nearest and preprocessing.convention == "monai":
        raise options.refuse("nearest_interp", "is false, so that labels are averaged; it cannot be followed")
    return "nearest" if nearest else "linear"


def _check_engine(config: Config) -> None:
    """Refuse an evaluator that does something else than to run the parts that are read."""
    moved = config.values.get("network", _NETWORK[0])
    if moved not in _NETWORK:
        raise config.refuse("network", f"{shown(moved)} is not '{_NETWORK[0]}'")
    for key in ("evaluator", "validator"):
        if key not in config.values:
            continue
        target, part = config.part(key)
        if target not in _ENGINES:
            raise config.refuse(key, f"{shown(target)} is not SupervisedEvaluator, and cannot be followed")
        for name, value in part.items():
            if name[:1] != "_" and name not in _OF_ENGINES and not (name == "mode" and value == "eval"):
                raise config.refuse(f"{key}::{name}", f"{shown(value)} is an option that is not supported")
            if name in _PARTS and value not in _PARTS[name]:
                raise config.refuse(f"{key}::{name}", f"{shown(value)} is not '{_PARTS[name][0]}'")
