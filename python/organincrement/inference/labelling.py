"""Labels and doubt of a slab's output from its averages, be they logits, probabilities or features."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from organincrement.contract.model import Inference
from organincrement.inference.answers import Accumulated
from organincrement.inference.body_range import ChannelOf
from organincrement.inference.boxes import AxisMap, parts
from organincrement.inference.cells import UNSURE, agreed, at_points, largest_certain_odds, leaders, odds_against
from organincrement.inference.readout import Readout
from organincrement.inference.reduce import as_percent
from organincrement.inference.slabs import Slab
from organincrement.inference.windows import Box

_REDUCTION_BYTES = 4 * 12  # for each output voxel: the maps that label_and_entropy and the resampling hold at once
_CLAIM_BYTES = 12  # of each group with an anomaly, whose claim is kept until all are there
_POINT_COST = 12  # of one voxel alone, beside its channels, in channels of a voxel of a box: measured
_VALUES_AT_ONCE = 2**19  # of voxels that are interpolated one by one: as many as a processor keeps at hand


@dataclass(frozen=True, kw_only=True)
class Labeller:
    """Turns averages into labels.

    axes: how the output reads the network's grid. certain_K: what is accumulated of a voxel that is background.
    doubt: whether it is asked for. budget_bytes: for all that is needed at once.
    """

    readout: Readout
    asked: Inference
    accumulated: Accumulated
    axes: tuple[AxisMap, ...]
    certain_K: Tensor
    doubt: bool
    budget_bytes: int

    def labelled(self, slab: Slab, along_body_mm: Tensor | None) -> Iterator[tuple[Box, Tensor, Tensor | None]]:
        """Parts of the slab's output, their labels (int16) and their doubt in per cent (uint8), where asked for.

        Args: along_body_mm: where along the body the scan's voxels lie, broadcasting to them.
        """
        density = math.prod(s.stop - s.start for s in slab.read) / math.prod(s.stop - s.start for s in slab.output)
        by_cells = self._cells_tell(density)
        for part in parts(slab.output, max(1, int(self.budget_bytes / self._part_bytes(density, by_cells)))):
            found = self._by_cells(slab, part) if by_cells else None
            yield part, *(self._by_channels(slab, part, along_body_mm) if found is None else found)

    def _by_channels(self, slab: Slab, part: Box, along_body_mm: Tensor | None) -> tuple[Tensor, Tensor | None]:
        along = None if along_body_mm is None else part_of(along_body_mm, part).to(slab.mean_CDHW.device)
        logits_of, p_of = self._channels(slab, part)
        claim = self.readout.reduce(logits_of, p_of, self.asked.temperature, along)
        return claim.labels, as_percent(claim.doubt) if self.doubt else None

    def _cells_tell(self, density: float) -> bool:
        """Whether the network's grid is coarser, and its voxels tell what those between them are."""
        tempered = self.doubt and self.accumulated.as_p and self.asked.temperature != 1
        return self.readout.is_softmax and density <= 0.5 and not tempered

    def _part_bytes(self, density: float, by_cells: bool) -> float:
        """Of an output voxel."""
        made = self.readout.channels if self.accumulated.head is not None else 0
        if by_cells:
            return _REDUCTION_BYTES + 8 * density * (len(self.certain_K) + made)
        claims = _CLAIM_BYTES * sum(any(group.hosts) for group in self.readout.groups)
        return _REDUCTION_BYTES + claims + (4 * (self.accumulated.count + made) if made else 0)

    def _channels(self, slab: Slab, part: Box) -> tuple[ChannelOf, ChannelOf | None]:
        """Logits, and mean probabilities under perturbation, of a part of the output, asked for channel by channel."""
        count = self.accumulated.count

        def resampled(number: int) -> Tensor:
            read = tuple(axis.source_range(o) for axis, o in zip(self.axes, part, strict=True))
            values = self._around(slab, read, number)[0]  # type: ignore[arg-type]
            for axis, (axis_map, wanted, source) in enumerate(zip(self.axes, part, read, strict=True)):
                values = axis_map.interpolate(values, axis, wanted, source.start)
            return values.to(slab.mean_CDHW.dtype).float()  # nnU-Net keeps half precision to the end, and decides ties

        def logits(channel: int) -> Tensor:
            values = resampled(channel)
            return self.readout.as_logits(values, channel) if self.accumulated.as_p else values

        def p(channel: int) -> Tensor:
            return resampled(count + channel)

        p_of = p if len(self.certain_K) > count else None
        head = self.accumulated.head
        if head is None:
            return logits, p_of
        features_KN = torch.stack([resampled(number).flatten() for number in range(count)])
        logits_CN = head(features_KN.t()).t()
        shape = tuple(s.stop - s.start for s in part)
        return lambda channel: logits_CN[channel].reshape(shape), p_of

    def _around(self, slab: Slab, read: Box, number: int | None = None) -> Tensor:
        """What was accumulated, (K, *read) in single precision, certain background around the tissue; or one channel
        of it.
        """
        inner = tuple(slice(max(r.start, i.start), min(r.stop, i.stop)) for r, i in zip(read, slab.inside, strict=True))
        at = tuple(slice(n.start - i.start, n.stop - i.start) for n, i in zip(inner, slab.inside, strict=True))
        chosen = slice(None) if number is None else slice(number, number + 1)
        values = self._with_map(slab.mean_CDHW[(slice(None), *at)], chosen)
        if inner == read:
            return values
        whole = self.certain_K[chosen].to(values)[:, None, None, None].repeat(1, *(r.stop - r.start for r in read))
        place = tuple(slice(n.start - r.start, n.stop - r.start) for n, r in zip(inner, read, strict=True))
        whole[(slice(None), *place)] = values
        return whole

    def _with_map(self, mean_CDHW: Tensor, chosen: slice) -> Tensor:
        """Of all channels those chosen; where there is a head, behind the features the map that is 1 inside."""
        if self.accumulated.head is None:
            return mean_CDHW[chosen].float()
        map_at, ones = self.accumulated.count - 1, torch.ones_like(mean_CDHW[:1])
        if chosen.start is None:
            return torch.cat([mean_CDHW[:map_at], ones, mean_CDHW[map_at:]])
        before = int(chosen.start > map_at)
        return ones if chosen.start == map_at else mean_CDHW[chosen.start - before : chosen.stop - before]

    def _by_cells(self, slab: Slab, part: Box) -> tuple[Tensor, Tensor | None] | None:
        """None where so little is sure that whole boxes are faster than single voxels."""
        read: Box = tuple(axis.source_range(o) for axis, o in zip(self.axes, part, strict=True))  # type: ignore[assignment]
        values_SK = self._around(slab, read).flatten(1).t().contiguous()
        codes = self._codes(values_SK, slab.mean_CDHW.dtype).reshape([r.stop - r.start for r in read])
        labels = agreed(codes, self.axes, part, read)
        percent = torch.zeros_like(labels, dtype=torch.uint8) if self.doubt else None
        unsure = (labels == UNSURE).flatten().nonzero()[:, 0]
        shape, channels = labels.shape, self.readout.channels
        few = labels.numel() * channels / (channels + _POINT_COST)
        if len(unsure) > few and self.accumulated.head is None:
            return None
        for some in unsure.split(max(1, _VALUES_AT_ONCE // max(len(self.certain_K), channels))):
            points = torch.unravel_index(some, shape)
            values_NK = at_points(values_SK, points, self.axes, part, read)
            found, doubt = self._of_points(values_NK.to(slab.mean_CDHW.dtype).float())
            labels.view(-1)[some] = found
            if percent is not None and doubt is not None:
                percent.view(-1)[some] = doubt
        return labels, percent

    def _codes(self, values_SK: Tensor, kept_as: torch.dtype) -> Tensor:
        """(S,) the class that each voxel of the network's grid says for sure, and with no doubt to show, or UNSURE."""
        values_SC, p_SC = self._split(values_SK)
        codes = leaders(values_SC, kept_as)
        if not self.doubt:
            return codes
        if p_SC is None:
            p_SC = values_SC if self.accumulated.as_p else None
        most = largest_certain_odds(self.readout.classes)
        if p_SC is None:
            return codes.masked_fill_(odds_against(values_SC, self.asked.temperature) > most, UNSURE)
        top, which = p_SC.max(1)
        return codes.masked_fill_((top * (1 + most) < 1) | (which != codes), UNSURE)

    def _split(self, values_NK: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits, or the probabilities in their place, and mean probabilities under perturbation."""
        count, head = self.accumulated.count, self.accumulated.head
        first = values_NK[:, :count]
        return first if head is None else head(first), values_NK[:, count:] if values_NK.shape[1] > count else None

    def _of_points(self, values_NK: Tensor) -> tuple[Tensor, Tensor | None]:
        values_NC, p_NC = self._split(values_NK)
        if not self.doubt and not self.accumulated.as_p:
            return values_NC.argmax(1).to(torch.int16), None
        logits_CN = values_NC.t().contiguous()
        if self.accumulated.as_p:
            logits_CN = self.readout.all_as_logits(logits_CN)
        p_CN = None if p_NC is None else p_NC.t().contiguous()
        p_of = None if p_CN is None else p_CN.__getitem__
        claim = self.readout.reduce(logits_CN.__getitem__, p_of, self.asked.temperature)
        return claim.labels, as_percent(claim.doubt) if self.doubt else None


def part_of(places_mm: Tensor, output: Box) -> Tensor:
    """Of places that broadcast to the output, those of a part."""
    return places_mm[tuple(s if n > 1 else slice(None) for s, n in zip(output, places_mm.shape, strict=True))]
