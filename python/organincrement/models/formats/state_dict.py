"""A network's weights alone (.pt, .pth, .safetensors), with a JSON file that says what they are of.

The file, given as `--network FILE`, has the keys of model.json of the same names; `network` may be left out where the
weights' shapes tell it, `name`, `licence` and `citation` may be left out in any case:

    {"network": {"kind": "PlainConvUNet", "args": {"in_channels": 1, "out_channels": 3, "features": [32, 64], …}},
     "labels": {"liver": 1, "spleen": 2},
     "preprocessing": {"orientation": "LPS", "spacing_mm": [1.5, 1.5, 1.5], "axis_order": [0, 1, 2], …},
     "inference": {"patch": [128, 128, 128], "step": 0.5, …}}

A whole one is state_dict_example.json beside this module.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from organincrement.contract.model import Network, SoftmaxHead
from organincrement.models.errors import ModelError, MoreNeededError
from organincrement.models.formats.described import described_manifest, read_description
from organincrement.models.formats.foreign import Foreign, ImportOptions, on_meta
from organincrement.models.formats.inferred_network import assumed_of, inferred_network, open_question
from organincrement.models.formats.label_organs import label_organs
from organincrement.models.package import first_names
from organincrement.models.torch_file import LazyTensor, read_safetensors, read_torch_file, weights_of
from organincrement.networks.build import count_parameters
from organincrement.networks.sizing import NetworkSpec

_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin")
_SAFETENSORS = ".safetensors"
_STARTS = (b"PK\3\4", b"\x80\x02")
# of networks that were trained in parallel, compiled, or inside another object
_PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.")
_PLACES = ("state_dict", "model_state_dict", "network_weights", "model", "network", "net", "weights")
_EXAMPLE = "state_dict_example.json, beside this program's models/formats/state_dict.py, is an example"


def recognise(path: Path) -> bool:
    """A file of torch.save or safetensors by its name and first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    if path.suffix.lower() == _SAFETENSORS:
        return start[8:] == b"{"
    return path.suffix.lower() in _SUFFIXES and start.startswith(_STARTS)


def read(path: Path, options: ImportOptions) -> Foreign:
    """The model in our terms; raises ModelError with the reason in one line."""
    weights = _without_prefixes(_weights(path))
    spec = inferred_network({name: weight.shape for name, weight in weights.items()})
    if options.network is None:
        raise MoreNeededError(f"{path.name}: {_asked(spec)}")
    description = read_description(options.network, f"correct it ({_EXAMPLE})")
    told = description.network
    notes: tuple[str, ...] = ()
    if told is not None:
        spec = NetworkSpec(kind=told.kind, args=told.args)
    elif spec is None:
        raise ModelError(f"{path.name}: is of no network that is known by its weights; describe `network` in --network")
    elif question := open_question(spec):
        raise ModelError(
            f"{path.name}: looks like {_shown(spec)}, but does not show {question}; say `network` in --network"
        )
    else:
        notes = (f"{spec.kind} was inferred from the weights' shapes; taken for granted: {assumed_of(spec.kind)}",)
    network = on_meta(spec, path.name if told is None else options.network.name)
    member, unused = _placed(weights, network, path.name)
    organs = label_organs(description.labels, options.labels, options.network.name)
    _check_channels(spec, len(organs), options.network.name)
    made = Network(kind=spec.kind, args=dict(spec.args), parameters=count_parameters(network))
    manifest = described_manifest(path, description, options, organs, made, SoftmaxHead())
    if unused:
        notes += (f"{unused} weights of heads on coarser levels were left out; they serve training alone",)
    return Foreign(manifest=manifest, members=(member,), notes=notes)


def _weights(path: Path) -> Mapping[str, LazyTensor]:
    """The weights by name, wherever in the file they are."""
    if path.suffix.lower() == _SAFETENSORS:
        return weights_of(dict(read_safetensors(path)), path.name)
    tree = read_torch_file(path)
    for _ in range(2):  # {"model": {"state_dict": …}}
        if isinstance(tree, dict) and not any(isinstance(value, LazyTensor) for value in tree.values()):
            tree = next((tree[place] for place in _PLACES if isinstance(tree.get(place), dict)), tree)
    return weights_of(tree, path.name)


def _without_prefixes(weights: Mapping[str, LazyTensor]) -> Mapping[str, LazyTensor]:
    while prefix := next((one for one in _PREFIXES if all(name.startswith(one) for name in weights)), ""):
        weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return weights


def _asked(spec: NetworkSpec | None) -> str:
    if spec is None:
        seen = "does not say what network, organs, spacing, patch and intensities it is for"
    else:
        seen = f"looks like {_shown(spec)}, but does not say what organs, spacing, patch and intensities it is for"
    return f"{seen}; describe them in a JSON file and give it as --network FILE ({_EXAMPLE})"


def _shown(spec: NetworkSpec) -> str:
    return json.dumps({"kind": spec.kind, "args": dict(spec.args)}, separators=(", ", ": "))


def _placed(weights: Mapping[str, LazyTensor], network: nn.Module, where: str) -> tuple[dict[str, LazyTensor], int]:
    """Each weight under the first of its names in our network, and how many others there are for training alone."""
    wanted, first_of = network.state_dict(), first_names(network)
    found: dict[str, LazyTensor] = {}
    unused = 0
    for name, stored in weights.items():
        if name not in first_of:
            if not _is_for_training(name):
                raise ModelError(f"{where}: weight '{name[:80]}' has no place in the network; describe it in --network")
            unused += 1
            continue
        shape = tuple(wanted[name].shape)
        flat = (*shape[:2], *shape[3:])
        if stored.shape == flat and len(shape) == 5 and shape[2] == 1:
            stored = stored.reshaped(shape)
        if stored.shape != shape:
            raise ModelError(f"{where}: weight '{name}' is {list(stored.shape)}, but the network needs {list(shape)}")
        found.setdefault(first_of[name], stored)
    missing = next((name for name in first_of.values() if name not in found), None)
    if missing:
        raise ModelError(f"{where}: has no weight '{missing}', which the network needs; describe it in --network")
    return found, unused


def _is_for_training(name: str) -> bool:
    return name.startswith(("deep_supervision_heads.", "heads."))


def _check_channels(spec: NetworkSpec, organs: int, where: str) -> None:
    found = (spec.args.get("in_channels"), spec.args.get("out_channels"))
    if found != (1, 1 + organs):
        raise ModelError(
            f"{where}: describes {organs} labels, which need a network of 1 input and {1 + organs} outputs, but it has "
            f"{found[0]} and {found[1]}"
        )
