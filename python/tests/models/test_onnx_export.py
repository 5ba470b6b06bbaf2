"""A package as ONNX: onnxruntime gives torch's logits for any batch, and the file beside it says the rest."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tiny_models import SOFTMAX_KINDS, organs, tiny_manifest, tiny_network, tiny_spec

from organincrement.contract.model import (
    Decoder,
    DynamicHead,
    ModelManifest,
    MultiDecoderHead,
    MultiHead,
    OrganHead,
    TorchScriptHead,
)
from organincrement.models.errors import ModelError
from organincrement.models.formats import monai_out, nnunet2_out
from organincrement.models.formats.onnx_out import OPSET, write
from organincrement.models.package import LoadedModel, Provenance
from organincrement.networks.build import NETWORKS, build_network
from organincrement.networks.ensemble import Ensemble
from organincrement.networks.sizing import NetworkSpec

SPACE = organs("liver", "spleen")
REFUSED_KINDS = {"DoDNet", "TaskDecoders"}  # their output layer is made anew for each image and task
_BASIC = {"features": [4, 4, 8, 8, 8, 4]}
OF_MONAI: dict[str, tuple[str, dict[str, Any]]] = {
    "UNet": ("UNet", {"features": [4, 8, 8], "strides": [2, 2], "residual_units": 1}),
    "BasicUNet": ("BasicUNet", _BASIC),
    "BasicUNet, interpolating": ("BasicUNet", {**_BASIC, "upsample": "nontrainable"}),
    "BasicUNet, shuffling": ("BasicUNet", {**_BASIC, "upsample": "pixelshuffle"}),
}
TESTED_KINDS = {*SOFTMAX_KINDS, *(kind for kind, _ in OF_MONAI.values()), "SideBySide"}


def loaded(spec: NetworkSpec, **changes: object) -> LoadedModel:
    manifest = tiny_manifest(SPACE, spec)
    manifest = ModelManifest(**{**vars(manifest), **changes})
    made = Provenance(method="supervised", dataset_sha256="", made="2026-11-21")
    return LoadedModel(manifest=manifest, network=tiny_network(spec, scale=3), sha256="0" * 64, provenance=made)


def run(folder: Path, image_BCDHW: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(folder / "network.onnx"), providers=["CPUExecutionProvider"])
    (logits_BCDHW,) = session.run(["logits"], {"image": image_BCDHW.numpy()})
    return logits_BCDHW


def patches(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 8, 8, 8, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
def test_onnxruntime_gives_the_logits_of_torch_for_any_batch(kind, tmp_path):
    model = loaded(tiny_spec(3, kind))
    write(model, tmp_path)
    for count in (1, 2, 5):
        image_BCDHW = patches(count)
        with torch.inference_mode():
            expected = model.network(image_BCDHW).numpy()
        found = run(tmp_path, image_BCDHW)
        assert found.shape == (count, 3, 8, 8, 8) and np.abs(found - expected).max() < 1e-4
        assert np.ptp(expected) > 0.1  # or else equal logits would say little


def test_every_kind_of_network_is_exported_or_refused():
    assert set(NETWORKS) == TESTED_KINDS | REFUSED_KINDS


@pytest.mark.parametrize("variant", OF_MONAI)
def test_networks_of_monai_are_exported(variant, tmp_path):
    kind, args = OF_MONAI[variant]
    spec = NetworkSpec(kind=kind, args={"in_channels": 1, "out_channels": 3, **args})
    model = loaded(spec, inference=tiny_manifest(SPACE, spec, patch=(32, 32, 32)).inference)
    write(model, tmp_path)
    image_BCDHW = torch.randn(3, 1, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert np.abs(run(tmp_path, image_BCDHW) - model.network(image_BCDHW).numpy()).max() < 1e-4


def test_a_network_of_slices_is_exported(tmp_path):
    spec = tiny_spec(3)
    spec = NetworkSpec(
        kind=spec.kind, args={**spec.args, "kernels": [[1, 3, 3]] * 2, "strides": [[1, 1, 1], [1, 2, 2]]}
    )
    model = loaded(spec, inference=tiny_manifest(SPACE, spec, patch=(1, 8, 8)).inference)
    write(model, tmp_path)
    image_BCDHW = patches(3)[:, :, :1]
    with torch.inference_mode():
        assert np.abs(run(tmp_path, image_BCDHW) - model.network(image_BCDHW).numpy()).max() < 1e-4


def test_the_file_is_valid_pinned_and_names_no_place_on_this_computer(tmp_path):
    write(loaded(tiny_spec(3)), tmp_path)
    onnx.checker.check_model(str(tmp_path / "network.onnx"), full_check=True)
    described = onnx.load(tmp_path / "network.onnx")
    assert [entry.version for entry in described.opset_import] == [OPSET] == [17]
    data = (tmp_path / "network.onnx").read_bytes() + (tmp_path / "model.json").read_bytes()
    for place in (str(Path.cwd()), str(Path(__file__).parents[2]), str(Path.home()), str(tmp_path)):
        assert place == "/" or place.encode() not in data


def test_the_file_beside_it_says_preprocessing_labels_and_channels(tmp_path):
    heads = MultiHead(heads=(OrganHead(organs=("liver",), prefix="a"), OrganHead(organs=("spleen",), prefix="b")))
    notes = write(loaded(tiny_spec(4), head=heads), tmp_path)
    told = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))
    assert told["input"] == {"name": "image", "axes": "BCDHW", "shape": ["batch", 1, 8, 8, 8]}
    groups = [(group["background"], group["channels"], group["labels"]) for group in told["output"]["groups"]]
    assert groups == [(0, [1], [1]), (2, [3], [2])]
    assert told["model"]["preprocessing"]["normalisation"]["clip_hu"] == [-200, 300]
    assert [organ["id"] for organ in told["model"]["organs"]] == ["liver", "spleen"]
    assert "8 x 8 x 8" in notes[0]


def test_several_decoders_are_exported_and_the_temperature_is_said(tmp_path):
    decoders = tuple(
        Decoder(organs=(organ,), temperature=1.5, range_mm={organ: (0.0, 9.0)}, sparsity=0.0) for organ in SPACE.ids
    )
    spec = NetworkSpec(kind="MultiDecoder", args={**tiny_spec(4, "MultiDecoder").args, "decoders": [2, 2]})
    model = loaded(spec, head=MultiDecoderHead(decoders=decoders))
    write(model, tmp_path)
    image_BCDHW = patches(2)
    with torch.inference_mode():
        assert np.abs(run(tmp_path, image_BCDHW) - model.network(image_BCDHW).numpy()).max() < 1e-4
    told = json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))["output"]["groups"]
    assert [group["temperature"] for group in told] == [1.5, 1.5] and told[0]["ranges_mm"] == [[0.0, 9.0]]
    warm = loaded(tiny_spec(3), inference=tiny_manifest(SPACE, tiny_spec(3), temperature=2.5).inference)
    (tmp_path / "warm").mkdir()
    assert any("2.5" in note for note in write(warm, tmp_path / "warm"))


@pytest.mark.parametrize(
    ("of", "groups"), [("logits", None), ("probabilities", None), ("probabilities", [[0, 2], [1]])]
)
def test_an_ensemble_is_exported_as_one_network(of, groups, tmp_path):
    model = loaded(tiny_spec(3))
    members = [tiny_network(tiny_spec(3), seed, scale=3) for seed in (1, 2, 3)]
    write(replace(model, network=Ensemble(members, of, groups).eval()), tmp_path)
    image_BCDHW = patches(2)
    with torch.inference_mode():
        expected = Ensemble(members, of, groups).eval()(image_BCDHW).numpy()
        assert np.abs(members[0](image_BCDHW).numpy() - expected).max() > 0.1
    assert np.abs(run(tmp_path, image_BCDHW) - expected).max() < 1e-4


def test_networks_side_by_side_are_exported(tmp_path):
    parts = [tiny_spec(3), tiny_spec(2, "ResidualEncoderUNet")]
    args = {"in_channels": 1, "out_channels": 5, "parts": [{"kind": part.kind, "args": part.args} for part in parts]}
    network = build_network("SideBySide", args).eval()
    write(replace(loaded(tiny_spec(3)), network=network), tmp_path)
    image_BCDHW = patches(3)
    with torch.inference_mode():
        assert np.abs(run(tmp_path, image_BCDHW) - network(image_BCDHW).numpy()).max() < 1e-4


def test_a_network_without_an_onnx_form_is_refused_in_a_line(tmp_path, capsys):
    class Strange(torch.nn.Module):
        def forward(self, image_BCDHW: torch.Tensor) -> torch.Tensor:
            return torch.logaddexp(image_BCDHW, image_BCDHW)

    with pytest.raises(ModelError, match="has no ONNX form") as refused:
        write(replace(loaded(tiny_spec(3)), network=Strange()), tmp_path)
    assert "\n" not in str(refused.value) and capsys.readouterr().out == ""


@pytest.mark.parametrize("other", [nnunet2_out, monai_out])
def test_other_formats_send_no_head_to_onnx_that_it_refuses(other, tmp_path):
    parts = tuple(OrganHead(organs=(organ,), prefix=organ) for organ in SPACE.ids)
    dynamic = DynamicHead(tasks=tuple((organ,) for organ in SPACE.ids), width=8, depth=3)
    for head in (dynamic, TorchScriptHead(file="network.pt", confirmed=True), MultiHead(heads=parts)):
        with pytest.raises(ModelError, match=rf"{head.kind} head; ") as refused:
            other.write(loaded(tiny_spec(3), head=head), tmp_path)
        remains = "export it to ONNX, or teach" if isinstance(head, MultiHead) else "hand on the package itself"
        assert f"head; {remains}" in str(refused.value)


@pytest.mark.parametrize("kind", sorted(REFUSED_KINDS))
def test_a_head_made_anew_for_each_task_is_refused_in_a_line(kind, tmp_path):
    args = {"in_channels": 1, "out_channels": 4, "features": [4, 8], "blocks": [1, 1]}
    manifest = tiny_manifest(SPACE, NetworkSpec(kind=kind, args=args))
    dynamic = DynamicHead(tasks=(("liver",), ("spleen",)), width=8, depth=3)
    model = LoadedModel(
        manifest=ModelManifest(**{**vars(manifest), "head": dynamic}),
        network=build_network(kind, args),
        sha256="0" * 64,
        provenance=Provenance(method="dodnet", dataset_sha256="", made="2026-11-21"),
    )
    with pytest.raises(ModelError, match="anew for each scan and task") as refused:
        write(model, tmp_path)
    assert "\n" not in str(refused.value) and not list(tmp_path.iterdir())
