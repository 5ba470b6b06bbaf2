"""The checks of Continual Segment's reference vectors: pruning, acceptance, averages, body ranges, merging."""

import numpy as np
import torch
from torch import nn

from organincrement.contract.channels import ChannelGroup
from organincrement.evaluation.acceptance import is_accepted, reference_score
from organincrement.inference.body_range import body_range
from organincrement.inference.readout import Readout
from organincrement.networks.pruning import apply_masks, magnitude_masks
from organincrement.training.optimizer import AveragedWeights

Case = dict[str, np.ndarray]
TOLERANCE = {torch.float64: {"rtol": 1e-9, "atol": 1e-12}, torch.float32: {"rtol": 1e-4, "atol": 1e-5}}


def check_cs_prune(case: Case, dtype: torch.dtype) -> None:
    names = sorted(name.removeprefix("w_") for name in case if name.startswith("w_"))
    weights = [torch.as_tensor(case[f"w_{name}"]) for name in names]  # selections are exact, so in float64
    previous = [torch.as_tensor(case[f"prev_{name}"]) for name in names] if "prev_0" in case else None
    masks = magnitude_masks(weights, float(case["sparsity"]), previous)
    for name, mask in zip(names, masks, strict=True):
        np.testing.assert_array_equal(mask.numpy(), case[f"mask_{name}"])
        if f"init_{name}" in case:
            rewound = torch.as_tensor(case[f"init_{name}"]).to(dtype).clone()
            apply_masks([rewound], [mask])
            np.testing.assert_allclose(rewound.numpy(), case[f"rewound_{name}"], **TOLERANCE[dtype])


def check_cs_misc(case: Case, dtype: torch.dtype) -> None:
    if "history" in case:
        reference = reference_score(case["history"].tolist(), int(case["window"]))
        found = [is_accepted(reference, dice, float(case["drop"])) for dice in np.atleast_1d(case["dsc"]).tolist()]
        assert found == np.atleast_1d(case["accepted"]).tolist()
    elif "theta0" in case:
        network = nn.Linear(4, 1, bias=False).to(dtype)
        assign(network, case["theta0"])
        average = AveragedWeights(network, 0.5)
        for theta, momentum, expected in zip(case["thetas"], case["momentum"].tolist(), case["ema"], strict=True):
            assign(network, theta)
            average.move(network, momentum)
            np.testing.assert_allclose(average.network.weight[0].numpy(), expected, **TOLERANCE[dtype])
    else:
        positions = [z[present] for z, present in zip(case["z_mm"], case["present"], strict=True)]
        found = body_range(positions, case["thickness"].tolist())
        np.testing.assert_allclose(found or (-np.inf, np.inf), case["range"], **TOLERANCE[torch.float64])


@torch.no_grad()
def assign(network: nn.Linear, values: np.ndarray) -> None:
    network.weight.copy_(torch.as_tensor(values)[None])


def check_cs_merge(case: Case, dtype: torch.dtype) -> None:
    """Labels in float64 alone: in float32 the nearly equal may change places."""
    count, groups, logits, first = len(case["temps"]), [], [], 0
    for number in range(count):
        ids = case[f"ids_{number}"].tolist()
        ranges = [tuple(case["ranges"][organ].tolist()) for organ in ids]
        groups.append(
            ChannelGroup(
                background=first, channels=tuple(range(first + 1, first + 1 + len(ids))), labels=tuple(ids),
                hosts=tuple(case[f"hosts_{number}"].tolist()), ranges_mm=tuple(ranges),
                temperature=float(case["temps"][number]),
            )
        )  # fmt: skip
        logits.append(torch.as_tensor(case[f"logits_{number}"]).to(dtype))
        first += 1 + len(ids)
    channels = torch.cat(logits)
    readout = Readout(groups=tuple(groups), channels=first, classes=len(case["ranges"]))
    along_body_mm = torch.as_tensor(case["z_mm"]).to(dtype)[:, None, None]
    found = readout.reduce(lambda channel: channels[channel], None, 1.0, along_body_mm)
    np.testing.assert_allclose(found.confidence.numpy(), case["confidence"], **TOLERANCE[dtype])
    if dtype == torch.float64:
        np.testing.assert_array_equal(found.labels.numpy(), case["labels"])
