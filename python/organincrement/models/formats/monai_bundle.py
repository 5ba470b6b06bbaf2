"""MONAI bundles: configs/metadata.json, configs/inference.json and models/model.pt, as a folder or a zip of one.

Their configurations are read as data, nothing in them is executed, and what is not understood is refused by name.
Source: the MONAI bundle specification, https://docs.monai.io/en/stable/mb_specification.html.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from organincrement.contract.model import ModelManifest, Network, SoftmaxHead, TrainedOn
from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import NOT_TOLD, Foreign, ImportOptions, on_meta, printable, refused_as
from organincrement.models.formats.label_organs import label_organs
from organincrement.models.formats.monai_answers import with_answers
from organincrement.models.formats.monai_config import TARGET, Config, walked
from organincrement.models.formats.monai_files import INFERENCE, METADATA, WEIGHTS, Bundle, roots
from organincrement.models.formats.monai_networks import network_of
from organincrement.models.formats.monai_transforms import preprocessing_of, short_name
from organincrement.models.formats.nnunet2_plans import modality_called
from organincrement.models.formats.stated import Stated, shown
from organincrement.models.torch_file import LazyTensor, read_torch_file, weights_of
from organincrement.networks.build import count_parameters
from organincrement.networks.sizing import patch_multiple

_PREFIXES = ("module.", "_orig_mod.")  # of networks that were trained in parallel, or compiled
_NESTED = ("model", "state_dict", "network", "net")
_COARSER = ("deep_supervision_heads.", "super_head.")  # of DynUNet, which only training asks


def recognise(path: Path) -> bool:
    """A bundle's folder, its configs folder, or a zip of a bundle; whole or half copied."""
    try:
        folder = path.parent if path.name == "configs" else path
        if folder.is_dir():
            return any((folder / name).is_file() for name in (METADATA, INFERENCE))
        return bool(roots(path))
    except (OSError, ValueError):
        return False


def read(path: Path, options: ImportOptions) -> Foreign:
    """The model in our terms; raises ModelError with the reason in one line."""
    bundle = Bundle(path)
    metadata, config = bundle.config(METADATA), bundle.config(INFERENCE)
    labels, modality = _labels(metadata), _modality(metadata, options)
    organs = label_organs(labels, options.labels, f"{bundle.name}/{METADATA}")
    preprocessing, image = preprocessing_of(config, modality, options.orientation)
    preprocessing, inference = with_answers(config, preprocessing, image)
    spec = network_of(config)
    if spec.args["out_channels"] != 1 + len(organs):
        raise config.refuse("network_def", f"has {spec.args['out_channels']} outputs, and {1 + len(organs)} are named")
    network, multiple = on_meta(spec, f"{config.where}: network_def"), patch_multiple(spec)
    if any(edge % by for edge, by in zip(inference.patch, multiple, strict=True)):
        raise config.refuse("inferer", f"roi_size {list(inference.patch)} should be multiples of {list(multiple)}")
    with refused_as(bundle.name):
        manifest = ModelManifest(
            name=options.name or _line(metadata, "name", bundle.name)[:80], organs=organs,
            network=Network(kind=spec.kind, args=spec.args, parameters=count_parameters(network)), head=SoftmaxHead(),
            preprocessing=preprocessing, inference=inference,
            trained_on=TrainedOn(modality=modality, cases=None, spacing_mm=None, intensity_percentiles={}),
            licence=_line(metadata, "license") or _line(metadata, "licence"), citation=_citation(metadata), **NOT_TOLD,
        )  # fmt: skip
    return Foreign(
        manifest=manifest, members=(_Member(_member(bundle, config, network), bundle),), notes=_notes(manifest, config)
    )


class _Member(dict[str, LazyTensor]):
    """The weights, and the bundle, whose unpacked files must stay as long as they do."""

    def __init__(self, weights: Mapping[str, LazyTensor], bundle: Bundle) -> None:
        super().__init__(weights)
        self._bundle = bundle


def _formats(metadata: Config, which: str, name: str) -> Stated:
    """What metadata.json says of an input or output."""
    stated = Stated(metadata.values, metadata.where).part("network_data_format").part(which)
    if name not in stated and len(stated.values) == 1:
        name = next(iter(stated.values))
    return stated.part(name)


def _labels(metadata: Config) -> dict[str, int]:
    pred = _formats(metadata, "outputs", "pred")
    labels: dict[str, int] = {}
    for value, name in pred.part("channel_def").values.items():
        if not value.isdecimal() or len(value) > 4 or not isinstance(name, str) or name in labels:
            raise pred.refuse("channel_def", f"{shown(value)}: {shown(name)} should be a channel's number and name")
        labels[name] = int(value)
    if not any(value == 0 and name.strip().lower() == "background" for name, value in labels.items()):
        raise pred.refuse("channel_def", "channel 0 is not the background; such a model cannot be imported")
    return labels


def _modality(metadata: Config, options: ImportOptions) -> str:
    image = _formats(metadata, "inputs", "image")
    if image.number("num_channels", 1) != 1:
        raise image.refuse("num_channels", "is not 1; only models of one channel can be imported")
    return options.modality or modality_called(image.text("modality", "CT"))


def _weights_file(config: Config) -> str:
    """That which a CheckpointLoader of the bundle loads; the usual one where there is none."""
    found = {
        config.file_in_bundle(value.get("load_path"), f"{key}::load_path")
        for key, _, value, _ in walked(config.values)
        if isinstance(value, Mapping) and short_name(str(value.get(TARGET))).rpartition(".")[2] == "CheckpointLoader"
    }
    if len(found) > 1:
        raise config.refuse("load_path", f"{', '.join(sorted(found))} are several files of weights; leave one")
    return found.pop() if found else WEIGHTS


def _member(bundle: Bundle, config: Config, network: nn.Module) -> dict[str, LazyTensor]:
    """The weights under the first of their names in the network. Raises: ModelError naming one that does not fit."""
    name = _weights_file(config)
    tree: Any = read_torch_file(bundle.weights(name))
    for nested in _NESTED:
        if isinstance(tree, Mapping) and isinstance(tree.get(nested), Mapping):
            tree = tree[nested]
            break
    stored: dict[str, LazyTensor] = {}
    for key, tensor in weights_of(tree, f"{bundle.name}/{name}").items():
        for prefix in _PREFIXES:
            key = key.removeprefix(prefix)
        if not any(part in key for part in _COARSER):
            stored[key] = tensor
    names: dict[int, list[str]] = {}
    wanted = network.state_dict(keep_vars=True)
    for key, weight in wanted.items():
        names.setdefault(id(weight), []).append(key)
    unknown = next((key for key in stored if key not in wanted), None)
    if unknown is not None:
        raise ModelError(f"{name}: weight '{unknown[:80]}' is not of the network that network_def describes")
    found = {}
    for same in names.values():
        tensor_ = next((stored[key] for key in same if key in stored), None)
        if tensor_ is None:
            raise ModelError(f"{name}: lacks weight '{same[0]}' of the network that network_def describes")
        if tuple(tensor_.shape) != tuple(wanted[same[0]].shape):
            raise ModelError(
                f"{name}: weight '{same[0]}' is {list(tensor_.shape)}, and network_def describes "
                f"{list(wanted[same[0]].shape)}"
            )
        found[same[0]] = tensor_
    return found


def _line(metadata: Config, key: str, default: str = "") -> str:
    value = metadata.values.get(key)
    line = " ".join(value.split())[:200] if isinstance(value, str) else default
    return printable(line)


def _citation(metadata: Config) -> str:
    references = metadata.values.get("references")
    lines = [" ".join(r.split()) for r in references if isinstance(r, str)] if isinstance(references, list) else []
    return "; ".join(lines)[:400]


def _notes(manifest: ModelManifest, config: Config) -> tuple[str, ...]:
    notes = []
    preprocessing = manifest.preprocessing
    if preprocessing.orientation == "stored":
        notes.append("axes of scans are taken as their files store them; --orientation RAS turns them")
    if preprocessing.keep_axes == (0, 1, 2):
        notes.append("scans keep their own spacing, as the bundle has no Spacingd")
    if any(name == "amp" and value is True for _, name, value, _ in walked(config.values)):
        notes.append("on a GPU the bundle runs in half precision, and here as you choose")
    return tuple(notes)
