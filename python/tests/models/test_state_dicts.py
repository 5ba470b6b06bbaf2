"""Weights alone become a model where a file describes them; what is missing is asked for in words."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from models.hostile_pickles import commands, tensor_pickle, torch_zip
from tiny_models import tiny_network, tiny_spec

from organincrement.models.errors import ModelError
from organincrement.models.formats import state_dict
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.formats.inferred_network import inferred_network
from organincrement.models.package import Provenance, load_package, save_package
from organincrement.networks.build import build_network
from organincrement.networks.sizing import NetworkSpec

EXAMPLE = Path(state_dict.__file__).with_name("state_dict_example.json")
KINDS = ("PlainConvUNet", "ResidualEncoderUNet", "DynUNet", "SegResNet")
MADE = Provenance(method="imported", dataset_sha256="", made="2026-11-21")


def described(folder: Path, *, drop: tuple[str, ...] = ("network",), **changes: Any) -> ImportOptions:
    """The example with other values, and without `network` unless told."""
    told = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    told["inference"]["patch"] = [8, 8, 8]
    told = {key: value for key, value in {**told, **changes}.items() if key not in drop}
    (folder / "network.json").write_text(json.dumps(told), encoding="utf-8")
    return ImportOptions(network=folder / "network.json")


def saved(folder: Path, state: Any, name: str = "model.pt") -> Path:
    if name.endswith("safetensors"):
        safetensors.torch.save_file({key: value.clone() for key, value in state.items()}, folder / name)
    else:
        torch.save(state, folder / name)
    return folder / name


def refusal(path: Path, options: ImportOptions) -> str:
    with pytest.raises(ModelError) as refused:
        state_dict.read(path, options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@torch.no_grad()
@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.safetensors"])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_come_back_as_a_network_that_answers_the_same(kind, name, tmp_path):
    network = tiny_network(tiny_spec(3, kind), seed=3)
    path = saved(tmp_path, network.state_dict(), name)
    assert state_dict.recognise(path)
    told: dict[str, Any] = {}
    if kind == "SegResNet":  # whose norm does not show
        told = {"network": {"kind": kind, "args": tiny_spec(3, kind).args}, "drop": ()}
    foreign = state_dict.read(path, described(tmp_path, **told))
    save_package(tmp_path / "package", foreign.manifest, foreign.members, MADE)
    image = torch.randn(1, 1, 8, 8, 8)
    assert torch.equal(load_package(tmp_path / "package").network(image), network(image))
    assert [organ.id for organ in foreign.manifest.organs] == ["liver", "spleen"]
    assert foreign.manifest.name == "Liver and spleen"
    assert told or "inferred from the weights' shapes" in foreign.notes[0]


def test_a_norm_that_does_not_show_is_asked_for(tmp_path):
    path = saved(tmp_path, tiny_network(tiny_spec(3, "SegResNet")).state_dict())
    message = refusal(path, described(tmp_path))
    assert message.startswith('model.pt: looks like {"kind": "SegResNet"') and '"norm": "group", "groups": 8' in message


_U_NET = {"in_channels": 1, "out_channels": 4, "features": [4, 8, 12], "blocks": [1, 2, 3], "decoder_blocks": [2, 1]}


@pytest.mark.parametrize(
    "spec",
    [
        *(NetworkSpec(kind=kind, args={**_U_NET, "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
                                       "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], **more})
          for kind in KINDS[:2]
          for more in ({}, {"conv_bias": False}, {"norm": "batch"}, {"norm_affine": False}, {"dropout": 0.0})),
        NetworkSpec(kind="DynUNet", args={"in_channels": 1, "out_channels": 4, "features": [4, 8, 12, 16],
                                          "residual": True}),
        NetworkSpec(kind="DynUNet", args={"in_channels": 1, "out_channels": 4, "features": [4, 8, 12, 16],
                                          "norm": "batch",
                                          "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]], "trans_bias": True,
                                          "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2]],
                                          "up_kernels": [[1, 2, 2], [2, 2, 2], [2, 2, 2]]}),
        NetworkSpec(kind="SegResNet", args={"in_channels": 1, "out_channels": 4, "init_filters": 8,
                                            "blocks_down": [1, 2, 2], "blocks_up": [1, 2]}),
    ],
    ids=str,
)  # fmt: skip
def test_a_network_is_inferred_from_its_shapes(spec):
    with torch.device("meta"):
        wanted = {
            name: tuple(weight.shape) for name, weight in build_network(spec.kind, spec.args).state_dict().items()
        }
    found = inferred_network(wanted)
    assert found is not None and found.kind == spec.kind
    with torch.device("meta"):
        state = build_network(found.kind, found.args).state_dict()
    assert {name: tuple(weight.shape) for name, weight in state.items()} == wanted
    for name in {"strides", "norm"} & set(spec.args):
        assert found.args[name] == spec.args[name]


@pytest.mark.parametrize("prefix", ["module.", "model.", "network.", "_orig_mod.", "module._orig_mod.", "net."])
@pytest.mark.parametrize("place", [None, "state_dict", "model_state_dict", "network_weights", "model"])
def test_weights_are_found_under_any_usual_prefix_and_place(prefix, place, tmp_path):
    state = tiny_network(tiny_spec(3)).state_dict()
    named = {prefix + name: weight for name, weight in state.items()}
    path = saved(tmp_path, {place: named, "epoch": 3, "optimizer": {"lr": 0.1}} if place else named)
    (member,) = state_dict.read(path, described(tmp_path)).members
    assert set(member) < set(state)
    assert all(torch.equal(tensor.read(), state[name]) for name, tensor in member.items())


def test_weights_of_slices_become_one_voxel_deep(tmp_path):
    args = {**_U_NET, "out_channels": 3, "kernels": [[1, 3, 3]] * 3, "strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2]]}
    state = build_network("PlainConvUNet", args).state_dict()
    flat = {name: weight.squeeze(2) if weight.ndim == 5 else weight for name, weight in state.items()}
    foreign = state_dict.read(saved(tmp_path, flat), described(tmp_path))
    assert foreign.manifest.network.args["strides"] == args["strides"]
    assert all(tensor.shape == state[name].shape for name, tensor in foreign.members[0].items())


def test_the_example_is_whole_and_describes_its_network(tmp_path):
    told = json.loads(EXAMPLE.read_text(encoding="utf-8"))["network"]
    path = saved(tmp_path, build_network(told["kind"], told["args"]).state_dict())
    foreign = state_dict.read(path, ImportOptions(network=EXAMPLE))
    assert foreign.manifest.network.args == told["args"] and foreign.notes == ()


def test_what_the_user_says_goes_before_what_the_file_says(tmp_path):
    path = saved(tmp_path, tiny_network(tiny_spec(3)).state_dict())
    options = replace(
        described(tmp_path),
        name="mine",
        orientation="RAS",
        spacing_mm=(2.0, 1.0, 1.0),
        modality="MR",
        labels={"kidney": 2},
    )
    manifest = state_dict.read(path, options).manifest
    assert (manifest.name, manifest.preprocessing.orientation, manifest.trained_on.modality) == ("mine", "RAS", "MR")
    assert manifest.preprocessing.spacing_mm == (2.0, 1.0, 1.0) and manifest.organs[1].name == "kidney"


def test_without_a_description_the_user_is_told_what_is_seen_and_what_is_missing(tmp_path):
    path = saved(tmp_path, tiny_network(tiny_spec(3)).state_dict())
    message = refusal(path, ImportOptions())
    assert message.startswith(
        'model.pt: looks like {"kind": "PlainConvUNet", "args": {"in_channels": 1, "out_channels": 3'
    )
    assert "what organs, spacing, patch and intensities" in message and "--network FILE" in message
    other = refusal(saved(tmp_path, {"weight": torch.zeros(3)}, "other.pt"), ImportOptions())
    assert other.startswith("other.pt: does not say what network") and EXAMPLE.name in other


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": {"liver": 1}}, "which need a network of 1 input and 2 outputs, but it has 1 and 3"),
        ({"labels": {"liver": 1, "spleen": 3}}, "its labels must be 1, 2, 3"),
        ({"labels": ["liver"]}, "labels"),
        ({"inference": {"patch": [8, 8, 8]}}, "inference.step"),
        ({"drop": ("network", "preprocessing")}, "preprocessing"),
        ({"more": 1}, "more"),
        ({"network": {"kind": "os.system", "args": {}}, "drop": ()}, "network kind 'os.system' is not one of"),
        ({"network": {"kind": "PlainConvUNet", "args": {"_target_": "x"}}, "drop": ()}, "'in_channels' is missing"),
        ({"network": {"kind": "PlainConvUNet"}, "drop": ()}, "network.args"),
    ],
    ids=str,
)  # fmt: skip
def test_a_description_that_is_wrong_is_refused_with_what_is_wrong(changes, reason, tmp_path):
    path = saved(tmp_path, tiny_network(tiny_spec(3)).state_dict())
    message = refusal(path, described(tmp_path, **changes))
    assert message.startswith("network.json: ") and reason in message and str(tmp_path) not in message


def test_a_description_that_is_no_json_is_refused(tmp_path):
    path = saved(tmp_path, tiny_network(tiny_spec(3)).state_dict())
    for text in ("", "{", "[" * 100_000, "[1]", '{"labels": NaN}'):
        (tmp_path / "network.json").write_text(text, encoding="utf-8")
        assert refusal(path, ImportOptions(network=tmp_path / "network.json")).startswith("network.json: ")
    refusal(path, ImportOptions(network=tmp_path / "missing.json"))


def test_weights_that_do_not_fit_the_network_are_refused_by_name(tmp_path):
    state = dict(tiny_network(tiny_spec(3)).state_dict())
    options = described(tmp_path)
    name = "decoder.seg_layers.0.bias"
    assert f"has no weight '{name}'" in refusal(saved(tmp_path, {k: v for k, v in state.items() if k != name}), options)
    assert f"weight '{name}' is [7]" in refusal(saved(tmp_path, {**state, name: torch.zeros(7)}), options)
    assert "weight 'more' has no place" in refusal(saved(tmp_path, {**state, "more": torch.zeros(7)}), options)


def test_weights_that_are_no_numbers_are_not_packaged(tmp_path):
    state = dict(tiny_network(tiny_spec(3)).state_dict())
    state["decoder.seg_layers.0.bias"] = torch.full((3,), float("nan"))
    foreign = state_dict.read(saved(tmp_path, state), described(tmp_path))
    with pytest.raises(ModelError, match=r"weight 'decoder\.seg_layers\.0\.bias' holds values that are no numbers"):
        save_package(tmp_path / "package", foreign.manifest, foreign.members, MADE)
    assert not (tmp_path / "package").exists()


def test_a_whole_network_object_is_refused_and_not_made(tmp_path):
    path = saved(tmp_path, tiny_network(tiny_spec(3)))
    assert "save the network's state_dict" in refusal(path, described(tmp_path))


@pytest.mark.parametrize("attack", sorted(commands(Path("x"))))
def test_weights_that_run_commands_run_none_and_are_refused(attack, tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "model.pt"
    for wrapped in (b"\x80\x04}X\x06\x00\x00\x00weight%bs.", b"%b."):
        path.write_bytes(torch_zip(wrapped % commands(marker)[attack].removesuffix(b".")))
        assert refusal(path, described(tmp_path)).startswith("model.pt: ")
    assert not marker.exists()


def test_names_made_to_stall_the_search_for_a_network_do_not(tmp_path):
    names = [f"encoder.stages.{number}.0.convs.0.conv.weight" for number in range(3000)]
    path = saved(tmp_path, dict.fromkeys(names, torch.zeros(1)))
    assert refusal(path, described(tmp_path))
    huge = {"encoder.stages.0.0.convs.0.conv.weight": (10**9, 10**9, 3, 3, 3), "decoder.seg_layers.0.weight": (3,)}
    assert inferred_network(huge) is None


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors", "model.txt", "folder.pt", "missing.pt"])
def test_other_files_are_not_recognised(name, tmp_path):
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    elif not name.startswith("missing"):
        (tmp_path / name).write_bytes(
            b"no model at all" if name != "model.txt" else torch_zip(tensor_pickle(count=1, shape=(1,), strides=(1,)))
        )
    assert not state_dict.recognise(tmp_path / name)
