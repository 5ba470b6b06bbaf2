"""Writing a package as the results folder of an nnU-Net v2 model, which its stock predictor runs.

dataset.json names the organs, plans.json describes preprocessing and network, and each member of an ensemble is a fold:
fold_0/checkpoint_final.pth, fold_1/…, with the state of the same network under the same names.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import ModelManifest, Preprocessing, SoftmaxHead
from organincrement.imaging.conventions import CONVENTIONS
from organincrement.models.errors import ModelError
from organincrement.models.formats.nnunet2_notes import notes
from organincrement.models.formats.onnx_out import instead
from organincrement.models.package import LoadedModel
from organincrement.models.torch_file import write_torch_file

NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
CHECKPOINT = "checkpoint_final.pth"
_TRAINER, _PLANS_NAME, _ENDING = "nnUNetTrainer", "nnUNetPlans", ".nii.gz"
_NORMALISATIONS = {"ct": "CTNormalization", "zscore": "ZScoreNormalization", "none": "NoNormalization"}
_ORDERS = {"nearest": 0, "linear": 1, "cubic": 3}
_RESERVED_LABELS = ("background", "ignore")  # names to which nnU-Net gives a meaning of its own


def write(model: LoadedModel, folder: Path) -> tuple[str, ...]:
    """Write the results folder. Returns: what the user should know. Raises: ModelError where nnU-Net has no place."""
    manifest = model.manifest
    _check_expressible(manifest)
    members = tuple(getattr(model.network, "members", (model.network,)))
    flat = _runs_in_slices(members[0], manifest)
    configuration = "2d" if flat else "3d_fullres"
    plans = _plans(manifest, members[0], configuration)
    dataset = _dataset(manifest)
    for name, content in (("plans.json", plans), ("dataset.json", dataset)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for number, member in enumerate(members):
        fold = folder / f"fold_{number}"
        fold.mkdir()
        checkpoint = {
            "network_weights": _state(member, flat),
            "init_args": {"plans": plans, "configuration": configuration, "fold": number, "dataset_json": dataset},
            "trainer_name": _TRAINER,
            "inference_allowed_mirroring_axes": _mirror_axes(manifest, flat),
            # what nnU-Net asks for when somebody trains on from here
            "optimizer_state": None, "grad_scaler_state": None, "logging": {}, "_best_ema": None, "current_epoch": 0,
        }  # fmt: skip
        write_torch_file(checkpoint, fold / CHECKPOINT)
    return notes(manifest, len(members), flat)


def _check_expressible(manifest: ModelManifest) -> None:
    if not isinstance(manifest.head, SoftmaxHead):
        raise ModelError(
            f"{manifest.name}: nnU-Net knows one softmax over all organs, and this model has a {manifest.head.kind} "
            f"head; {instead(manifest.head)}"
        )
    if manifest.network.kind not in NETWORKS:
        raise ModelError(
            f"{manifest.name}: nnU-Net's plans can name {' and '.join(NETWORKS)}, and this network is a "
            f"{manifest.network.kind}; export it to ONNX"
        )


def _runs_in_slices(network: nn.Module, manifest: ModelManifest) -> bool:
    """Whether nothing of the network reaches along its first axis, so that it is nnU-Net's 2-D network."""
    encoder: Any = network.encoder
    reach = [edges[0] for edges in (*_triples(encoder.kernel_sizes), *_triples(encoder.strides))]
    return max(reach) == 1 and manifest.inference.patch[0] == 1


def _triples(edges: Sequence[Any]) -> list[list[int]]:
    return [[edge] * 3 if isinstance(edge, int) else list(edge) for edge in edges]


def _state(network: nn.Module, flat: bool) -> dict[str, Tensor]:
    """The weights under nnU-Net's names, which are ours; those of slices without the axis of one voxel."""
    state = {name: weight.detach().cpu() for name, weight in network.state_dict().items()}
    if flat:
        state = {name: weight.squeeze(2) if weight.ndim == 5 else weight for name, weight in state.items()}
    return state


def _mirror_axes(manifest: ModelManifest, flat: bool) -> tuple[int, ...] | None:
    """Counted among the network's own axes; None rather than nothing, which is what nnU-Net asks for."""
    axes = tuple(axis - int(flat) for axis in manifest.inference.mirror_axes)
    return tuple(axis for axis in axes if axis >= 0) or None


def _dataset(manifest: ModelManifest) -> dict[str, Any]:
    names = label_names(manifest.label_space)
    return {
        "name": manifest.name,
        "channel_names": {str(number): name for number, name in enumerate(manifest.preprocessing.channels)},
        "labels": {"background": 0, **{name: label for label, name in enumerate(names, 1)}},
        "numTraining": manifest.trained_on.cases or 0,
        "file_ending": _ENDING,
        "licence": manifest.licence,
        "reference": manifest.citation,
        "description": "Written by OrganIncrement. Research use only, not a medical device.",
    }


def label_names(space: LabelSpace) -> tuple[str, ...]:
    """The organs' names in label order; ids in place of names that are not unique or mean something to nnU-Net."""
    unusable = {name for name in space.names if space.names.count(name) > 1 or name.casefold() in _RESERVED_LABELS}
    wanted = [organ.id if organ.name in unusable else organ.name for organ in space.organs]
    taken = set(_RESERVED_LABELS)
    result: list[str] = []
    for name in wanted:
        while name.casefold() in taken:
            name += "_organ"
        taken.add(name.casefold())
        result.append(name)
    return tuple(result)


def _plans(manifest: ModelManifest, network: nn.Module, configuration: str) -> dict[str, Any]:
    preprocessing, trained = manifest.preprocessing, manifest.trained_on
    median_mm = trained.spacing_mm.median if trained.spacing_mm else preprocessing.spacing_mm
    return {
        "dataset_name": manifest.name,
        "plans_name": _PLANS_NAME,
        "original_median_spacing_after_transp": list(median_mm),
        "original_median_shape_after_transp": list(manifest.inference.patch),
        "image_reader_writer": _reader(preprocessing),
        "transpose_forward": list(preprocessing.axis_order),
        "transpose_backward": np.argsort(preprocessing.axis_order).tolist(),
        "configurations": {configuration: _configuration(manifest, network, configuration == "2d")},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): _intensities(manifest) for channel in range(len(preprocessing.channels))
        },
    }


def _reader(preprocessing: Preprocessing) -> str:
    """SimpleITKIO takes a scan's axes as they are stored, the other turns them to RAS."""
    return "NibabelIOWithReorient" if preprocessing.orientation == "RAS" else "SimpleITKIO"


def _configuration(manifest: ModelManifest, network: nn.Module, flat: bool) -> dict[str, Any]:
    preprocessing, first = manifest.preprocessing, int(flat)
    channels = len(preprocessing.channels)
    patch = list(manifest.inference.patch[first:])
    image, output = (_ORDERS[kind] for kind in (preprocessing.image_resampling, preprocessing.output_resampling))
    return {
        "data_identifier": f"{_PLANS_NAME}_{'2d' if flat else '3d_fullres'}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": patch,
        "median_image_size_in_voxels": patch,
        "spacing": list(preprocessing.spacing_mm[first:]),
        "normalization_schemes": [_NORMALISATIONS[preprocessing.normalisation.kind]] * channels,
        "use_mask_for_norm": [preprocessing.normalisation.masked] * channels,
        **_resampling("data", image, preprocessing),
        **_resampling("seg", 1, preprocessing),
        **_resampling("probabilities", output, preprocessing),
        "architecture": architecture(manifest, network, flat),
        "batch_dice": True,
    }


def _resampling(what: str, order: int, preprocessing: Preprocessing) -> dict[str, Any]:
    """Which function resamples data, labels or probabilities; a scan that keeps its own spacing needs none."""
    if len(preprocessing.keep_axes) == 3:
        return {f"resampling_fn_{what}": "no_resampling_hack", f"resampling_fn_{what}_kwargs": {}}
    settings = {"is_seg": what == "seg", "order": order, "order_z": 0, "force_separate_z": _forced(preprocessing)}
    return {
        f"resampling_fn_{what}": "resample_data_or_seg_to_shape",
        f"resampling_fn_{what}_kwargs": settings,
    }


def _forced(preprocessing: Preprocessing) -> bool | None:
    """Whether slices are resampled one by one, whatever nnU-Net's own rule (None) says."""
    if preprocessing.slice_by_slice != "rule":
        return preprocessing.slice_by_slice == "always"
    has_rule = CONVENTIONS[preprocessing.convention].separate_above is not None
    return None if has_rule else False


def _intensities(manifest: ModelManifest) -> dict[str, float]:
    normalisation, percentiles = manifest.preprocessing.normalisation, manifest.trained_on.intensity_percentiles
    if normalisation.clip_hu is None or normalisation.mean is None or normalisation.std is None:
        return {}
    low, high = normalisation.clip_hu
    return {
        "max": high, "mean": normalisation.mean, "median": percentiles.get("50", normalisation.mean), "min": low,
        "percentile_00_5": low, "percentile_99_5": high, "std": normalisation.std,
    }  # fmt: skip


def architecture(manifest: ModelManifest, network: nn.Module, flat: bool) -> dict[str, Any]:
    """The network as plans describe it; read from the network itself, which is of the library that nnU-Net uses."""
    kind, args, encoder = manifest.network.kind, manifest.network.args, network.encoder
    settings: dict[str, Any] = {
        "n_stages": len(encoder.output_channels),  # type: ignore[arg-type]
        "features_per_stage": list(encoder.output_channels),  # type: ignore[arg-type]
        "conv_op": _named(encoder.conv_op, flat),
        "kernel_sizes": [edges[int(flat) :] for edges in _triples(encoder.kernel_sizes)],  # type: ignore[arg-type]
        "strides": [edges[int(flat) :] for edges in _triples(encoder.strides)],  # type: ignore[arg-type]
        "n_conv_per_stage" if kind == "PlainConvUNet" else "n_blocks_per_stage": list(args["blocks"]),
        "n_conv_per_stage_decoder": list(args["decoder_blocks"]),
        "conv_bias": bool(encoder.conv_bias),
        "norm_op": _named(encoder.norm_op, flat),
        "norm_op_kwargs": encoder.norm_op_kwargs,
        "dropout_op": _named(encoder.dropout_op, flat),
        "dropout_op_kwargs": encoder.dropout_op_kwargs,
        "nonlin": _named(encoder.nonlin, flat),
        "nonlin_kwargs": encoder.nonlin_kwargs,
    }
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{kind}",
        "arch_kwargs": settings,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _named(layer: Any, flat: bool) -> str | None:
    """A class of torch by its path, in slices that of two dimensions."""
    if layer is None:
        return None
    if not layer.__module__.startswith("torch.nn."):
        raise ModelError(f"its layers of {layer.__name__} are not torch's, and nnU-Net's plans cannot name them")
    name = layer.__name__.replace("3d", "2d") if flat else layer.__name__
    return f"{layer.__module__}.{name}"
