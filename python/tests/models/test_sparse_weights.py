"""Pruned weights are stored sparse: the file follows the pruning, comes back exactly, and hostile ones are refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec
from torch import Tensor, nn

from organincrement.contract import codec
from organincrement.contract.files import sha256_file
from organincrement.contract.model import Decoder, MultiDecoderHead, Weights
from organincrement.contract.package import read_manifest
from organincrement.models.errors import ModelError
from organincrement.models.package import (
    WEIGHTS_FILE,
    Provenance,
    load_package,
    save_package,
    shared_state,
    with_all_names,
)
from organincrement.models.sparse import packed, unpacked
from organincrement.networks.build import build_network, count_parameters
from organincrement.networks.multi_decoder import MultiDecoder, with_decoder
from organincrement.networks.pruning import apply_masks, magnitude_masks, prunable, sparsity_of
from organincrement.networks.sizing import NetworkSpec

MADE = Provenance(method="continual-segment", dataset_sha256="d" * 64, made="2026-11-21")
ORGANS = organs("liver", "stomach")
WIDE = NetworkSpec(kind="PlainConvUNet", args={**tiny_spec(2).args, "features": [8, 16]})
SPEC = with_decoder(WIDE, 2, supporting=False)
NAME = "decoders.1.stages.0.convs.0.conv.weight"


def pruned_network(sparsity: float) -> MultiDecoder:
    torch.manual_seed(0)
    network = build_network(SPEC.kind, SPEC.args).eval()
    weights = prunable(network.decoders[1])
    for weight in weights:
        nn.init.normal_(weight)  # of one size, so that each of them loses its share
    apply_masks(weights, magnitude_masks(weights, sparsity))
    return network


def saved(folder: Path, network: nn.Module) -> Path:
    decoders = tuple(Decoder(organs=(o,), temperature=1.0, range_mm=None, sparsity=0.0) for o in ORGANS.ids)
    manifest = replace(tiny_manifest(ORGANS, SPEC), head=MultiDecoderHead(decoders=decoders))
    save_package(folder, manifest, shared_state(network), MADE)
    return folder


def changed(package: Path, change: dict[str, Tensor | None], shapes: dict[str, object] | None = None) -> Path:
    """The package with other stored tensors, and other shapes in its header."""
    file = package / WEIGHTS_FILE
    data = file.read_bytes()
    told = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = {name: t for name, t in {**safetensors.torch.load(data), **change}.items() if t is not None}
    if shapes is not None:
        told["sparse"] = json.dumps({**json.loads(told["sparse"]), **shapes})
    file.write_bytes(safetensors.torch.save(tensors, metadata=told))
    listed = Weights(file=WEIGHTS_FILE, sha256=sha256_file(file), bytes=file.stat().st_size)
    codec.write(replace(read_manifest(package), weights=(listed,)), package / "model.json")
    return package


def refusal(package: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load_package(package)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(package.name)
    return str(caught.value)


@pytest.mark.parametrize("sparsity", [0.0, 0.8, 0.998])
def test_pruned_weights_come_back_exactly(tmp_path, sparsity):
    network = pruned_network(sparsity)
    loaded = load_package(saved(tmp_path / "student", network)).network
    assert sparsity_of(loaded.decoders[1]) == pytest.approx(sparsity, abs=1e-3)
    expected, found = network.state_dict(), loaded.state_dict()
    assert expected.keys() == found.keys() and all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_file_follows_the_pruning(tmp_path):
    """A kept weight takes 8 bytes and a dense one 4, so that what 80 % leave takes 0.4 of the dense bytes."""
    prunable_bytes = 4 * sum(weight.numel() for weight in prunable(pruned_network(0.0).decoders[1]))
    sizes = {}
    for sparsity in (0.0, 0.8, 0.9, 0.98, 0.998):
        package = saved(tmp_path / str(sparsity), pruned_network(sparsity))
        sizes[sparsity] = (package / WEIGHTS_FILE).stat().st_size
    for sparsity in (0.8, 0.9, 0.98, 0.998):
        expected = sizes[0.0] - prunable_bytes * (1 - 2 * (1 - sparsity))
        assert sizes[sparsity] == pytest.approx(expected, abs=0.05 * prunable_bytes)
    assert sizes[0.998] < sizes[0.98] < sizes[0.9] < sizes[0.8] < sizes[0.0]


def test_equal_sparse_models_have_equal_hashes(tmp_path):
    hashes = {sha256_file(saved(tmp_path / str(i), pruned_network(0.9)) / WEIGHTS_FILE) for i in range(6)}
    assert len(hashes) == 1


def test_the_encoder_and_every_other_weight_is_stored_once(tmp_path):
    """nnU-Net's U-Net names its encoder's convolutions four times."""
    spec = tiny_spec(3)
    network = tiny_network(spec)
    assert len(network.state_dict()) > 2.5 * len(shared_state(network))
    save_package(tmp_path / "m", tiny_manifest(organs("liver", "spleen"), spec), shared_state(network), MADE)
    stored = safetensors.torch.load_file(tmp_path / "m" / WEIGHTS_FILE)
    assert sum(tensor.numel() for tensor in stored.values()) == count_parameters(network)


def test_packages_that_store_a_weight_under_all_its_names_still_load(tmp_path):
    spec = tiny_spec(3)
    network = tiny_network(spec)
    save_package(tmp_path / "old", tiny_manifest(organs("liver", "spleen"), spec), network.state_dict(), MADE)
    found = load_package(tmp_path / "old").network.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in network.state_dict().items())


def test_a_weight_that_is_missing_under_all_its_names_is_not_made_up():
    network = tiny_network(tiny_spec(3))
    state = shared_state(network)
    first = next(iter(state))
    without = with_all_names(network, {name: weight for name, weight in state.items() if name != first})
    assert first not in without


def test_tensors_of_zeros_minus_zeros_and_other_kinds_survive():
    tensors = {
        "zeros": torch.zeros(4, 100), "minus": -torch.zeros(4, 100), "dense": torch.ones(4, 100),
        "one": torch.tensor(3.0), "counts": torch.zeros(400, dtype=torch.int64),
        "nan": torch.zeros(400).index_fill(0, torch.tensor(7), torch.nan),
    }  # fmt: skip
    stored, told = packed(tensors)
    shapes = json.loads(told["sparse"])
    assert set(shapes) == {"zeros", "nan"} and len(stored["zeros.indices"]) == 0
    back = unpacked(stored, shapes)
    for name, tensor in tensors.items():
        torch.testing.assert_close(back[name], tensor, rtol=0, atol=0, equal_nan=True)
    assert back["minus"].signbit().all()


@pytest.mark.parametrize(
    ("what", "indices", "says"),
    [
        ("negative", lambda i: i.index_fill(0, torch.tensor(0), -1), "places outside"),
        ("beyond the end", lambda i: i.index_fill(0, torch.tensor(len(i) - 1), 10**9), "places outside"),
        ("twice", lambda i: i.index_copy(0, torch.tensor(1), i[:1]), "twice, or out of their order"),
        ("unsorted", lambda i: i.flip(0), "twice, or out of their order"),
        ("too few", lambda i: i[:-1], "values"),
        ("of another type", lambda i: i.float(), "not of whole numbers"),
        ("of two axes", lambda i: i[None], "not of whole numbers"),
        ("not there", lambda i: None, "is not there"),
    ],
)
def test_hostile_places_are_refused_in_one_line(tmp_path, what, indices, says):
    package = saved(tmp_path / "student", pruned_network(0.9))
    stored = safetensors.torch.load_file(package / WEIGHTS_FILE)[NAME + ".indices"]
    message = refusal(changed(package, {NAME + ".indices": indices(stored)}))
    assert says in message and NAME in message


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({NAME: [2**15, 2**15]}, "for each byte of the file"),
        ({NAME: [2**30, 2**30, 2**30, 2**30]}, "for each byte of the file"),
        ({"new": [100]}, "is not there"),
        ({NAME: [7]}, "places outside"),
        ({NAME: [7, 10**3]}, "do not fit the network"),
        ({NAME: []}, "no proper shapes"),
        ({NAME: [-4, -4]}, "no proper shapes"),
        ({NAME: [1.5]}, "no proper shapes"),
        ({NAME: [True, 5]}, "no proper shapes"),
        ({NAME: "eight"}, "no proper shapes"),
        ({NAME: [1] * 9}, "no proper shapes"),
    ],
)
def test_hostile_shapes_are_refused_before_they_are_made(tmp_path, shapes, says):
    assert says in refusal(changed(saved(tmp_path / "student", pruned_network(0.9)), {}, shapes))


def test_a_sparse_weight_that_is_there_as_it_is_as_well_is_refused(tmp_path):
    package = saved(tmp_path / "student", pruned_network(0.9))
    assert "there twice" in refusal(changed(package, {NAME: torch.zeros(8, 16, 3, 3, 3)}))


@pytest.mark.parametrize("text", ["[]", "3", "{", "[" * 100_000, '{"a": null}'])
def test_a_header_that_says_anything_else_is_refused(tmp_path, text):
    package = saved(tmp_path / "student", pruned_network(0.9))
    file = package / WEIGHTS_FILE
    file.write_bytes(safetensors.torch.save(safetensors.torch.load_file(file), metadata={"sparse": text}))
    listed = Weights(file=WEIGHTS_FILE, sha256=sha256_file(file), bytes=file.stat().st_size)
    codec.write(replace(read_manifest(package), weights=(listed,)), package / "model.json")
    assert "no proper shapes" in refusal(package)
