"""Continual Segment: a frozen encoder, and a decoder of its own for every group of organs.

The encoder and the decoders that are there are never trained again: what they say of the old organs cannot change, and
forgetting can come from merging alone. The new decoder has a softmax of its own, over background and the new organs:

    L = CE + Dice, and once it is pruned + w KL(p_unpruned || p)

For each target s in turn, the round(s n) smallest of the decoder's n convolution weights go (no norm, bias or output),
those gone before first; the others return to their first values (`rewind`) and are trained again. Accepted while
mean(Dice of the last `window` validations before) - Dice after <= drop; at the first that is not, the last accepted
decoder stays. It is stored sparse. Merging: `inference/merging.py`; veto: `inference/body_range.py`.

Reference: X. Ji et al., arXiv 2302.00162, of which the abstract is at hand; the rest is ours or a later version's.

Ambiguous in the paper, and chosen here:
- The search: pruning (none without held-back cases). 2 % is absolute, of the new Dice; `window` is most of a phase.
- The start: fresh (paper), or as the first decoder, which is never pruned (practical, which does not rewind either).
- The encoder's moving average (0.99 for a tenth of the steps, then 0.999) is the first model's, with the paper's patch
  and intensities: `supervised`, preset `encoder`. Later it would change what the old decoders say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from torch import nn

from organincrement.evaluation.acceptance import is_worth_pruning, reference_score
from organincrement.losses.divergence import kl_divergence, mean_over
from organincrement.methods.decoder_student import DecoderStudent
from organincrement.methods.decoders import AddsDecoder
from organincrement.methods.labelled import labelled_terms
from organincrement.methods.protocol import (
    Batch,
    Citation,
    LossTerms,
    MethodError,
    MethodInputs,
    Needs,
    Phase,
    Preset,
    setting,
)  # fmt: skip
from organincrement.methods.recipes import FROM_PART_OF_TEACHER, PAPER_DECODER, PAPER_PRUNING


@dataclass(frozen=True, kw_only=True)
class ContinualSegmentConfig:
    """Defaults are the practical preset."""

    dice_weight: float = setting(1.0, "weight of the soft Dice beside the cross entropy", low=0)
    targets: tuple[float, ...] = setting((0.8, 0.9), "shares of the decoder's weights to prune, rising; may be none")
    distillation_weight: float = setting(1.0, "weight of the unpruned decoder's answers once pruned", low=0)
    drop: float = setting(0.02, "fall of the Dice up to which a pruning is accepted; 1: any", low=0, high=1)
    window: int = setting(1, "validations before a pruning against whose mean it is held", low=1)
    rewind: bool = setting(False, "whether what stays after a pruning goes back to its first values")
    retraining: float = setting(0.5, "steps after each pruning, as a share of the first training's", low=0.01)
    recovery: float = setting(0.05, "steps after those, likewise; the paper has 50 epochs", low=0)
    start: str = setting("first", "start of the new decoder: as the first one, or fresh", choices=("first", "fresh"))
    supporting: bool = setting(False, "whether the new decoder reads the features of the earlier ones")
    body_range: bool = setting(False, "veto new organs outside their range along the body (if scans share an origin)")


class ContinualSegment(AddsDecoder):
    """Old organs by frozen decoders; the new ones by a decoder of their own, pruned while it stays good."""

    name: ClassVar[str] = "continual-segment"
    title: ClassVar[str] = "Continual Segment"
    summary: ClassVar[str] = "Adds a decoder for the new organs to a frozen encoder and prunes it; the old ones stay."
    paper: ClassVar[Citation] = Citation(
        authors="X. Ji et al.", venue="arXiv 2302.00162", year=2023, url="https://arxiv.org/abs/2302.00162",
        title="Continual Segment: Towards a single, unified and accessible continual segmentation model of 143 "
        "whole-body organs in CT scans",
    )  # fmt: skip
    needs: ClassVar[Needs] = Needs(teachers="one")
    Config: ClassVar[type] = ContinualSegmentConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_PART_OF_TEACHER),
        "paper": Preset(recipe=PAPER_DECODER, settings=PAPER_PRUNING, note="all targets; the length is ours"),
    }  # fmt: skip

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: ContinualSegmentConfig = inputs.config
        if any(a >= b for a, b in pairwise((0, *self.config.targets, 1))):
            raise MethodError(f"setting 'targets' is {list(self.config.targets)}, but must rise between 0 and 1")

    def phases(self) -> Sequence[Phase]:
        """The first training, then one phase for each target."""
        c = self.config
        later = [(f"pruned-{100 * target:g}", c.retraining + c.recovery) for target in c.targets]
        return [Phase(name=name, share=share, validations=c.window) for name, share in (("decoder", 1.0), *later)]

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Of the new decoder alone: to it, all but its own organs are background."""
        assert isinstance(student, DecoderStudent)
        logits, unpruned = student.new_logits(batch.image_BCDHW)
        log_p = logits.log_softmax(1)
        terms = labelled_terms(batch.labels_BDHW, log_p, self.config.dice_weight)
        if unpruned is not None:
            divergence = mean_over(kl_divergence(unpruned.log_softmax(1), log_p))
            terms["distillation"] = self.config.distillation_weight * divergence
        return LossTerms(terms=terms)

    def enter(self, student: nn.Module, phase: int, scores: Sequence[float]) -> bool:
        """Accept the decoder, or end; then prune and rewind it. While it has found too little, it trains on."""
        assert isinstance(student, DecoderStudent)
        c = self.config
        if not student.accept(scores, c.drop):
            return False
        reference = reference_score(scores, c.window)
        if is_worth_pruning(reference, c.drop):
            student.prune(c.targets[phase - 1], reference, c.rewind)
        return True

    def settle(self, network: nn.Module, scores: Sequence[float]) -> None:
        """Accept the last target's decoder, or keep the one before."""
        assert isinstance(network, DecoderStudent)
        network.accept(scores, self.config.drop)
