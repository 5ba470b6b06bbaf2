"""143 organs in 143 decoders on one encoder: one pass of it for all, and the package is used like any other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import preprocessing, tiny_manifest, tiny_spec
from torch import nn

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.model import Decoder, MultiDecoderHead
from organincrement.imaging.preprocessing import to_network_grid
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.inference.readout import Readout
from organincrement.models.package import Provenance, load_package, save_package, shared_state
from organincrement.networks.build import build_network, count_parameters
from organincrement.networks.errors import NetworkError
from organincrement.networks.multi_decoder import as_decoders, with_decoder
from organincrement.networks.sizing import NetworkSpec

CPU = torch.device("cpu")
ORGANS = 143
MADE = Provenance(method="continual-segment", dataset_sha256="d" * 64, made="2026-11-21")


def network_of(decoders: int) -> tuple[nn.Module, NetworkSpec]:
    """Random decoders of one organ each, sure enough that half of the voxels are claimed by some."""
    args = {**tiny_spec(2).args, "out_channels": 2 * decoders, "decoders": [2] * decoders}
    spec = NetworkSpec(kind="MultiDecoder", args=args)
    torch.manual_seed(0)
    network = build_network(spec.kind, spec.args).eval()
    for decoder in network.decoders:
        with torch.no_grad():
            decoder.output.weight.mul_(4)
            decoder.output.bias.copy_(torch.tensor([4.0, 0.0]))
    return network, spec


def label_space(count: int) -> LabelSpace:
    return LabelSpace(tuple(Organ(id=f"part-{i}", name=f"part {i}", color=(9, 9, i)) for i in range(1, count + 1)))


def scan() -> Volume:
    hu = np.random.default_rng(0).normal(20, 120, (8, 8, 8)).astype(np.float32)
    return Volume(hu, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network, spec = network_of(ORGANS)
    space = label_space(ORGANS)
    decoders = tuple(
        Decoder(organs=(organ,), temperature=1.0 + number / 100, range_mm=None, sparsity=0.0)
        for number, organ in enumerate(space.ids)
    )
    folder = tmp_path_factory.mktemp("many") / "organs-143"
    manifest = replace(tiny_manifest(space, spec), head=MultiDecoderHead(decoders=decoders))
    save_package(folder, manifest, shared_state(network), MADE)
    return folder


def counted(network: nn.Module) -> list[int]:
    """Grows with every pass of the encoder."""
    passes: list[int] = []
    network.encoder.register_forward_hook(lambda *of_pass: passes.append(1))
    return passes


def test_a_package_of_143_decoders_loads_segments_and_merges_in_one_pass(package):
    model = load_package(package)
    passes = counted(model.network)
    with torch.inference_mode():
        found = predict_volume(model.network, model.manifest, scan(), CPU, PredictionSettings())
        assert len(passes) == 1, "one window, one pass of the encoder for all decoders"
        grid = to_network_grid(scan(), preprocessing(), minimum_shape=(8, 8, 8))
        logits = model.network(torch.from_numpy(grid.image_DHW)[None, None])[0].view(ORGANS, 2, 8, 8, 8)
    temperatures = torch.tensor([part.temperature for part in model.manifest.head.decoders])[:, None, None, None]
    p = (logits / temperatures[:, None]).softmax(1)[:, 1]
    claimed = torch.where(logits[:, 1] > logits[:, 0], p, 0.0)
    expected = torch.where(claimed.max(0).values > 0, claimed.argmax(0) + 1, 0).numpy()
    assert (found.labels_DHW == expected).mean() > 0.999
    assert len(np.unique(expected)) > 20 and (expected == 0).any()


def test_every_decoder_costs_the_same_and_the_encoder_once():
    counts = [count_parameters(network_of(decoders)[0]) for decoders in (1, 2, 4)]
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0]) > 0
    passes = counted(network := network_of(4)[0])
    network(torch.zeros(1, 1, 8, 8, 8))
    assert len(passes) == 1


@pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_a_u_net_becomes_decoder_0_with_the_same_logits(kind):
    torch.manual_seed(0)
    spec = tiny_spec(3, kind)
    unet, grown = build_network(kind, spec.args).eval(), with_decoder(spec, 2, supporting=False)
    several = build_network(grown.kind, grown.args).eval()
    several.load_state_dict({**several.state_dict(), **as_decoders(unet.state_dict())})
    image = torch.randn(1, 1, 8, 8, 8)
    with torch.no_grad():
        assert torch.equal(several(image)[:, :3], unet(image))
    assert grown.args["decoders"] == [3, 2] and grown.args["out_channels"] == 5
    third = with_decoder(grown, 4, supporting=True)
    assert third.args["decoders"] == [3, 2, 4] and third.args["supporting"] == [False, False, True]


def test_a_supporting_decoder_starts_as_one_that_reads_nothing_and_then_reads_the_others():
    grown = with_decoder(with_decoder(tiny_spec(3), 2, supporting=False), 2, supporting=True)
    torch.manual_seed(0)
    network, image = build_network(grown.kind, grown.args).eval(), torch.randn(1, 1, 8, 8, 8)
    alone = with_decoder(with_decoder(tiny_spec(3), 2, supporting=False), 2, supporting=False)
    plain = build_network(alone.kind, alone.args).eval()
    plain.load_state_dict({n: w for n, w in network.state_dict().items() if ".supports." not in n})
    with torch.no_grad():
        assert torch.equal(network(image), plain(image))
        network.decoders[2].supports[0].weight.add_(0.1)
        changed = network(image)
    assert torch.equal(changed[:, :5], plain(image)[:, :5]) and not torch.equal(changed[:, 5:], plain(image)[:, 5:])


@pytest.mark.parametrize(
    "wrong",
    [
        {"decoders": [2, 2]}, {"decoders": [3, 0]}, {"decoders": [2.0, 1]}, {"decoders": [True, 2]}, {"decoders": []},
        {"decoders": "3"}, {"trunk": "DynUNet"}, {"trunk": "os.system"}, {"supporting": [True]}, {"supporting": [1]},
        {"supporting": [False, False]}, {"decoders": [2] * 600, "out_channels": 1200},
        {"decoders": [2] * 400, "out_channels": 800, "decoder_blocks": [32]}, {"supporters": 1},
    ],
)  # fmt: skip
def test_decoders_that_do_not_fit_are_refused_before_they_are_made(wrong):
    with pytest.raises(NetworkError, match="MultiDecoder"):
        build_network("MultiDecoder", {**tiny_spec(3).args, **wrong})


def test_a_network_without_an_encoder_to_share_takes_no_decoder():
    with pytest.raises(ValueError, match="SegResNet"):
        with_decoder(tiny_spec(2, "SegResNet"), 2, supporting=False)


def test_channels_of_organs_that_were_merged_count_as_the_organ_they_were_merged_into():
    """The frozen decoder still tells a lesion from the liver; the student's organs do not."""
    space = label_space(2)
    parts = (("part-1", "part-1"), ("part-2",))
    decoders = tuple(Decoder(organs=organs, temperature=1.0, range_mm=None, sparsity=0.0) for organs in parts)
    readout = Readout.of(MultiDecoderHead(decoders=decoders), space)
    logits = torch.full((1, 5, 1, 1, 2), -9.0)
    logits[0, 0], logits[0, 3] = 0.0, 3.0
    logits[0, 1, 0, 0, 0] = logits[0, 2, 0, 0, 1] = 5.0
    assert readout.channels == 5 and readout.labels(logits[0]).tolist() == [[[1, 1]]]
    logits[0, 1:3] = 1.0
    p = readout.joint_log_p(logits).exp()[0, :, 0, 0, 0]
    odds = torch.tensor([1.0, 2 * torch.e, torch.exp(torch.tensor(-12.0))])
    torch.testing.assert_close(p, odds / odds.sum())
