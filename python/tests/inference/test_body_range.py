"""The veto: an organ outside its range along the body counts as background, in whatever axes the scan comes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import organs, preprocessing, tiny_manifest, tiny_spec
from torch import Tensor

from organincrement.contract.channels import ChannelGroup
from organincrement.contract.model import Decoder, MultiDecoderHead
from organincrement.imaging.body_axis import organ_slices_mm, places_along_body_mm
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.volume import Volume
from organincrement.inference.body_range import body_range
from organincrement.inference.predict import PredictionSettings, UncertaintyKind, predict_volume
from organincrement.inference.readout import Readout
from organincrement.networks.build import build_network
from organincrement.networks.sizing import NetworkSpec

CPU = torch.device("cpu")
ORGANS = organs("liver", "stomach")
SPEC = NetworkSpec(kind="MultiDecoder", args={**tiny_spec(4).args, "decoders": [2, 2]})
SPACING_MM, BOTTOM_MM = 2.0, 100.0


def scan(orientation: str = "LPS") -> Volume:
    """12 slices from S = 100 mm on, 2 mm apart."""
    hu = np.random.default_rng(0).normal(20, 120, (12, 8, 10)).astype(np.float32)
    return to_orientation(Volume(hu, (2.0, 2.0, 2.0), (-10.0, -8.0, BOTTOM_MM), np.eye(3)), orientation)


def segmented(
    ranges: dict[str, tuple[float, float]] | None, image: Volume, kind: UncertaintyKind = "none", **settings: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """By two decoders, of which the second claims nearly everything as stomach; axes as in LPS."""
    torch.manual_seed(0)
    network = build_network(SPEC.kind, SPEC.args).eval()
    with torch.no_grad():
        network.decoders[0].output.bias.copy_(torch.tensor([9.0, 0.0]))
        network.decoders[1].output.bias.copy_(torch.tensor([0.0, 3.0]))
    parts = (
        Decoder(organs=("liver",), temperature=1.0, range_mm=None, sparsity=0.0),
        Decoder(organs=("stomach",), temperature=1.3, range_mm=ranges, sparsity=0.0),
    )
    manifest = replace(tiny_manifest(ORGANS, SPEC), head=MultiDecoderHead(decoders=parts))
    with torch.inference_mode():
        found = predict_volume(network, manifest, image, CPU, PredictionSettings(uncertainty=kind, **settings))
    turned = [
        None if array is None else to_orientation(image.with_array(array), "LPS").array_DHW
        for array in (found.labels_DHW, found.uncertainty_DHW)
    ]
    return turned[0], turned[1]


@pytest.mark.parametrize("orientation", ["LPS", "RAI", "SAL", "PIR"])
def test_an_organ_is_not_found_outside_its_range_whatever_the_axes_of_the_scan(orientation):
    """The range takes in slices 3 to 7, at S = 106 to 114 mm."""
    free, _ = segmented(None, scan(orientation))
    vetoed, _ = segmented({"stomach": (105.0, 115.0)}, scan(orientation))
    assert (free == 2).mean(axis=(1, 2)).min() > 0.5
    assert (vetoed[:3] == 2).sum() == (vetoed[8:] == 2).sum() == 0
    assert np.array_equal(vetoed[3:8], free[3:8])


def test_the_veto_holds_in_tiles_and_with_perturbation():
    whole, _ = segmented({"stomach": (105.0, 115.0)}, scan())
    tiled, _ = segmented({"stomach": (105.0, 115.0)}, scan(), budget_bytes=4096)
    labels, percent = segmented({"stomach": (105.0, 115.0)}, scan(), "perturbation")
    assert np.array_equal(tiled, whole) and np.array_equal(labels, whole)
    assert percent is not None and percent[:3].max() < percent[3:8].max()


@pytest.mark.parametrize("shift", [0.0, -2e4, 3e4])
def test_probability_moves_to_the_background_and_none_is_lost(shift):
    """Whatever all logits have in common."""
    torch.manual_seed(0)
    group = ChannelGroup(
        background=0, channels=(1, 2), labels=(1, 2), hosts=(0, 0), ranges_mm=((0.0, 1.5), None), temperature=2.0
    )
    logits = torch.randn(3, 4, 5, 5, dtype=torch.float64) + shift
    places = torch.arange(4.0, dtype=torch.float64)[:, None, None]
    found = Readout(groups=(group,), channels=3, classes=3).reduce(lambda c: logits[c], None, 1.0, places)
    p = (logits / 2).softmax(0)
    p[0, 2:] += p[1, 2:]
    p[1, 2:] = 0
    assert torch.equal(found.labels.long(), p.argmax(0))
    expected: Tensor = torch.where(p.argmax(0) > 0, p.max(0).values, 0.0)
    torch.testing.assert_close(found.confidence, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.doubt * np.log(3), torch.special.entr(p).sum(0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("orientation", ["LPS", "RAI", "SAL", "PIR"])
@pytest.mark.parametrize("axis_order", [(0, 1, 2), (2, 0, 1)])
def test_slices_have_their_place_in_the_networks_axes(orientation, axis_order):
    model = preprocessing(orientation=orientation, axis_order=axis_order)
    places = places_along_body_mm(scan(), model)
    canonical = to_orientation(scan(), orientation)
    shape = tuple(canonical.shape_DHW[axis] for axis in axis_order)
    np.broadcast_to(places, shape)
    assert sorted(places.ravel().tolist()) == [BOTTOM_MM + SPACING_MM * i for i in range(12)]
    assert (np.diff(places.ravel()) > 0).all() == ("S" in orientation)


def test_the_slices_of_an_organ_are_those_that_hold_its_label():
    labels = np.zeros((12, 8, 10), np.uint8)
    labels[4:7, 2:4, 3] = 5
    for orientation in ("LPS", "RAI", "SAL"):
        stored = to_orientation(scan().with_array(labels), orientation)
        places, thickness = organ_slices_mm(stored, 5)
        assert sorted(places.tolist()) == [108.0, 110.0, 112.0] and thickness == SPACING_MM
        assert len(organ_slices_mm(stored, 6)[0]) == 0


def test_the_range_has_a_quarter_of_the_organs_length_on_both_sides_and_none_without_it():
    places = np.arange(0.0, 102.0, 2.0)
    low, high = body_range([places, np.array([])], [2.0, 5.0])
    assert (low, high) == pytest.approx((0.5 - 25.5, 99.5 + 25.5))
    assert body_range([np.array([])], [2.0]) is None
