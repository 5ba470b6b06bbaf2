"""What a method with several teachers asks of each of them, and whether their features can be compared."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from organincrement.contract.model import ModelManifest
from organincrement.methods.protocol import MethodError
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import NetworkSpec, patch_multiple
from organincrement.networks.stages import StageFeatures, stage_shape


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """A teacher's of a batch, a constant.

    organs: its own, as labels of the student. log_q_BKDHW: over background and all old organs, -inf for those that it
    does not know. features_BFDHW: of a stage of its decoder, None where nobody asked.
    """

    organs: tuple[int, ...]
    log_q_BKDHW: Tensor
    features_BFDHW: Tensor | None

    @property
    def features(self) -> Tensor:
        """Those that were asked for."""
        assert self.features_BFDHW is not None
        return self.features_BFDHW


def opinion_of(teacher: FrozenTeacher, image_BCDHW: Tensor, level: int | None) -> Opinion:
    """What a teacher says of an image. Args: level: of its decoder's features; None: without."""
    with nullcontext() if level is None else StageFeatures(teacher.start, level) as stage:
        log_q = teacher(image_BCDHW).log_p_BKDHW
    # made in inference mode, as which autograd would not take them
    features = None if stage is None else stage.features.float().clone()
    return Opinion(organs=tuple(sorted({*teacher.channel_of} - {0})), log_q_BKDHW=log_q, features_BFDHW=features)


def mean_organs(opinions: Sequence[Opinion]) -> Tensor:
    """Probability of each old organ, (B, K, D, H, W): the mean over the teachers that know it."""
    total = torch.stack([opinion.log_q_BKDHW[:, 1:].exp() for opinion in opinions]).sum(0)
    known = [sum(organ in opinion.organs for opinion in opinions) for organ in range(1, total.shape[1] + 1)]
    return total / torch.tensor(known, device=total.device).clamp_min(1)[:, None, None, None]


def check_terms(config: Any, new_count: int) -> None:
    """Refuse settings that leave nothing to learn. Args: new_count: organs that labels teach. Raises: MethodError."""
    terms = ("logit_weight", "feature_weight", "organ_dice_weight")
    if not new_count and not any(getattr(config, name) for name in terms):
        raise MethodError(f"settings {', '.join(map(repr, terms))} are all 0: nothing is left to learn; raise one")


def check_teachers(teachers: Sequence[ModelManifest], level: int | None) -> None:
    """Refuse teachers that cannot see the first one's patch, or whose features cannot be compared with its own.

    Args: level: of the decoder's features, None where they are not asked for.
    Raises: MethodError naming the teacher that does not fit, or has no such level.
    """
    specs = [NetworkSpec.of(teacher.network) for teacher in teachers]
    patch = teachers[0].inference.patch
    for teacher, spec in zip(teachers, specs, strict=True):
        multiple = patch_multiple(spec)
        if any(edge % factor for edge, factor in zip(patch, multiple, strict=True)):
            raise MethodError(
                f"teacher '{teacher.name}' sees patches of multiples of {list(multiple)}, and '{teachers[0].name}' is "
                f"of {list(patch)}: name first the teacher with the larger multiples"
            )
    if level is not None:
        _check_features(teachers, specs, level)


def _check_features(teachers: Sequence[ModelManifest], specs: Sequence[NetworkSpec], level: int) -> None:
    multiples = zip(*map(patch_multiple, specs), strict=True)
    edges, shapes = [2 * math.lcm(*factors) for factors in multiples], []
    for teacher, spec in zip(teachers, specs, strict=True):
        try:
            shapes.append(stage_shape(spec, level, edges))
        except NetworkError as error:
            raise MethodError(
                f"setting 'feature_level' is {level}, but of teacher '{teacher.name}' {error}: set feature_weight to 0"
            ) from error
        (width, *grid), (first_width, *first_grid) = shapes[-1], shapes[0]
        if width != first_width:
            raise MethodError(
                f"teacher '{teacher.name}' has {width} feature maps at level {level}, '{teachers[0].name}' "
                f"{first_width}: set feature_weight to 0, or choose teachers of one size"
            )
        if grid != first_grid:
            raise MethodError(
                f"teacher '{teacher.name}' has its feature maps at level {level} on another grid than "
                f"'{teachers[0].name}': set feature_weight to 0, or choose teachers of the same strides"
            )
