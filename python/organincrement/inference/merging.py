"""Merging what several decoders, heads or models claim: the best plain claim, then anomalies over their hosts.

Rules (ours, after the abstract of arXiv 2302.00162): among plain claims the highest probability wins, the earlier on a
tie. An anomaly whose host is that winner replaces it at any probability; any other anomaly competes by probability.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What one of them says of each voxel.

    labels: 0 where it claims nothing. hosts: the label of the host where an anomaly is claimed, else 0; None where none
    ever is. confidence: probability of the claim, 0 where there is none. doubt: 0 certain … 1 as good as any.
    """

    labels: Tensor
    hosts: Tensor | None
    confidence: Tensor
    doubt: Tensor


class Merger:
    """Takes claims one by one, in the order in which they were learned; only those with anomalies are kept.

    Args: rule: "confidence": as above; "last": a later claim always paints over an earlier one, whatever it is of.
    """

    def __init__(self, rule: Literal["confidence", "last"] = "confidence") -> None:
        self._rule = rule
        self._anomalies: list[tuple[int, Claim]] = []
        self._number = 0

    def add(self, claim: Claim) -> None:
        """Add the next claim."""
        if self._number == 0:
            self._labels = torch.zeros_like(claim.labels)
            self._confidence = torch.zeros_like(claim.confidence)
            self._doubt = torch.zeros_like(claim.doubt)
            self._most_doubt = claim.doubt.clone()
            self._source = torch.full_like(claim.labels, torch.iinfo(claim.labels.dtype).max)
        # strictly: the earlier keeps a tie
        plain = claim.labels > 0 if self._rule == "last" else claim.confidence > self._confidence
        if claim.hosts is not None and self._rule == "confidence":
            plain &= claim.hosts == 0
            self._anomalies.append((self._number, claim))
        self._take(plain, self._number, claim)
        torch.maximum(self._most_doubt, claim.doubt, out=self._most_doubt)
        self._number += 1

    def merged(self) -> Claim:
        """The winner of each voxel, with its own doubt; where nobody claims anything, the greatest doubt of all."""
        winners, on_host = self._labels.clone(), torch.zeros_like(self._labels, dtype=torch.bool)
        for number, claim in self._anomalies:
            anomaly = claim.hosts > 0  # type: ignore[operator]
            hosted = anomaly & (claim.hosts == winners)
            higher = claim.confidence > self._confidence
            earlier = (claim.confidence == self._confidence) & (number < self._source)
            self._take(
                (hosted & (~on_host | higher)) | (anomaly & ~hosted & ~on_host & (higher | earlier)), number, claim
            )
            on_host |= hosted
        doubt = torch.where(self._labels > 0, self._doubt, self._most_doubt)
        return Claim(labels=self._labels, hosts=None, confidence=self._confidence, doubt=doubt)

    def _take(self, where: Tensor, number: int, claim: Claim) -> None:
        self._labels[where] = claim.labels[where]
        self._confidence[where] = claim.confidence[where]
        self._doubt[where] = claim.doubt[where]
        self._source[where] = number
