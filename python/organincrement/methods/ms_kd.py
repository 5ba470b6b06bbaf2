"""MS-KD: many teachers of an organ each, one student of all of them (arXiv 2108.02559).

    L = sum_k L_logit^k + lambda1 L_logit^B + lambda2 sum_k L_feature^k                                 (eq. 8)

The student learns organ k where teacher k sees it, from the teacher's probabilities (LW, `logit_weight`) and from its
features at half resolution, sorted, since no two networks order their channels alike (FW, `feature_weight`). Where no
teacher sees an organ, it learns the background from all of them. The formulas stand in `losses/mskd.py`.

Ambiguous in the paper, and chosen here:

- q_hat has K + 1 channels; the printed softmax lacks an exp. A teacher's ties are background. There is no temperature.
- Where the regions of two teachers overlap, both terms apply. M^k is read at every 2^l-th voxel. In 3-D the same.
- Features are what the decoder's stage at level l puts out, after its last non-linearity (`networks/stages.py`).
- A teacher may have several organs, and share some with others (ours): q_hat has its own channels, M^k any of them.
- Organs that only labels know are background to the teachers and learn from the scans searched for them (ours).
- The student's start is not given: fresh to the letter, the first teacher's weights in the practical preset. FW slows
  a fresh one at first: on small balls 60 % Dice with it after 250 steps, 82 without; on the teacher's weights and with
  the soft Dice 91 and 88 % after 100.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor, nn

from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import ModelManifest
from organincrement.losses import mskd
from organincrement.losses.alignment import fold_new_into_background
from organincrement.losses.overlap import soft_dice_of
from organincrement.methods.many_teachers import Opinion, check_teachers, check_terms, mean_organs, opinion_of
from organincrement.methods.partly_labelled import new_organ_terms
from organincrement.methods.protocol import Batch, Citation, ContinualMethod, LossTerms, Needs, Preset, setting
from organincrement.methods.recipes import FROM_PART_OF_TEACHER, PAPER_MSKD, PAPER_MSKD_NOTE
from organincrement.methods.student import fresh_student, new_organ_prior, student_from_first_of_many
from organincrement.networks.sizing import NetworkSpec
from organincrement.networks.stages import StageFeatures


@dataclass(frozen=True, kw_only=True)
class MsKdConfig:
    """Defaults are the practical preset."""

    logit_weight: float = setting(1.0, "weight of the teachers' probabilities (LW); 0: without", low=0)
    background_weight: float = setting(1.0, "weight of the background among them (lambda 1)", low=0)
    feature_weight: float = setting(10.0, "weight of the teachers' features (FW, lambda 2); 0: without", low=0)
    feature_level: int = setting(1, "decoder level of these features, at 1/2^l of the resolution (l)", low=0)
    organ_dice_weight: float = setting(1.0, "weight of a soft Dice with the teachers' organs (ours)", low=0)
    new_dice_weight: float = setting(1.0, "weight of a soft Dice with organs no teacher knows (ours)", low=0)
    ground_truth: bool = setting(False, "whether labels replace the teacher where its organs are labelled (ours)")
    start: str = setting("first-teacher", "what the student starts from", choices=("first-teacher", "fresh"))
    new_organ_prior: float = new_organ_prior()


class MsKd(ContinualMethod):
    """Each teacher's word counts in its own region; the background is where all agree."""

    name: ClassVar[str] = "ms-kd"
    title: ClassVar[str] = "MS-KD: many teachers, one student"
    summary: ClassVar[str] = "Makes one model of several that know different organs, from scans that need no labels."
    paper: ClassVar[Citation] = Citation(
        authors="S. Feng et al.",
        title="MS-KD: multi-organ segmentation with multiple binary-labeled datasets",
        venue="arXiv 2108.02559", year=2021, url="https://arxiv.org/abs/2108.02559",
    )  # fmt: skip
    needs: ClassVar[Needs] = Needs(teachers="many", labels="student", partial=True, unlabelled=True)
    Config: ClassVar[type] = MsKdConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_PART_OF_TEACHER),
        "paper": Preset(recipe=PAPER_MSKD, settings={"organ_dice_weight": 0.0, "start": "fresh"}, note=PAPER_MSKD_NOTE),
    }

    @classmethod
    def plan_network(
        cls, config: Any, transition: LabelTransition, teachers: Sequence[ModelManifest], channels: int
    ) -> NetworkSpec:
        """As the first teacher's. Raises: MethodError where they do not fit together, or nothing is left to learn."""
        check_terms(config, transition.new_count)
        network = super().plan_network(config, transition, teachers, channels)
        check_teachers(teachers, config.feature_level if config.feature_weight else None)
        return network

    def build_student(self) -> nn.Module:
        """The first teacher's trunk, or a fresh network of its kind."""
        if self.inputs.config.start == "first-teacher":
            return student_from_first_of_many(self.inputs, self.inputs.config.new_organ_prior)
        return fresh_student(self.inputs)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Eq. 8, a soft Dice with the teachers, and the labels of organs that no teacher knows."""
        c, old_count = self.inputs.config, self.inputs.transition.old_count
        level = c.feature_level if c.feature_weight else None
        with nullcontext() if level is None else StageFeatures(student, level) as stage:
            log_p = student(batch.image_BCDHW).float().log_softmax(1)
        opinions = [opinion_of(teacher, batch.image_BCDHW, level) for teacher in self.inputs.teachers]
        log_q = [self._log_q(opinion, batch) for opinion in opinions]
        opinions = [replace(one, log_q_BKDHW=q) for one, q in zip(opinions, log_q, strict=True)]
        regions = [mskd.organ_region(one) for one in log_q]
        log_p_old = fold_new_into_background(log_p, old_count)
        terms: dict[str, Tensor] = {}
        if c.logit_weight:
            organs = sum(mskd.logit_term(q, log_p_old, m) for q, m in zip(log_q, regions, strict=True))
            rest = mskd.logit_term(mskd.mean_teacher(log_q), log_p_old, mskd.background_region(regions))
            terms |= {"organs": c.logit_weight * organs, "background": c.logit_weight * c.background_weight * rest}
        if stage is not None:
            own, pairs = stage.features.float(), zip(opinions, regions, strict=True)
            terms["features"] = c.feature_weight * sum(mskd.feature_term(o.features, own, m) for o, m in pairs)
        if c.organ_dice_weight:
            terms["organ_dice"] = c.organ_dice_weight * soft_dice_of(mean_organs(opinions), log_p_old.exp()[:, 1:])
        if self.inputs.transition.new_count:
            terms |= new_organ_terms(batch.labels_BDHW, log_p, batch.annotated_BL, old_count, c.new_dice_weight)
        return LossTerms(terms=terms)

    def _log_q(self, opinion: Opinion, batch: Batch) -> Tensor:
        if not self.inputs.config.ground_truth:
            return opinion.log_q_BKDHW
        return mskd.labelled_teacher(opinion.log_q_BKDHW, batch.labels_BDHW, opinion.organs, batch.annotated_BL)
