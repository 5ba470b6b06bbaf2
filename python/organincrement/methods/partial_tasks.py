"""Labels of partly labelled data as tasks: an organ with the anomaly in it, two maps, labelled in some samples only."""

from dataclasses import dataclass

import torch
from torch import Tensor

from organincrement.contract.channels import MAPS_PER_TASK, channel_groups
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import DynamicHead
from organincrement.losses.divergence import UNLABELLED
from organincrement.losses.partial_labels import with_background


@dataclass(frozen=True, kw_only=True)
class TaskMap:
    """One of a task's maps. label: of its organ, 0 for a map that nothing is to be seen in. inside: anomalies in it."""

    label: int
    inside: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PartialTasks:
    """Which map stands for which label: two for each task, first the organ, then the anomaly."""

    maps: tuple[TaskMap, ...]

    @classmethod
    def of(cls, head: DynamicHead, organs: LabelSpace) -> "PartialTasks":
        """Args: organs: numbered from 1, as in the labels."""
        groups = channel_groups(head, organs)
        label_of = {group.channels[0]: group.labels[0] for group in groups}
        hosts = [(group.labels[0], group.hosts[0]) for group in groups]
        return cls(
            maps=tuple(
                TaskMap(
                    label=label_of.get(channel, 0),
                    inside=tuple(anomaly for anomaly, host in hosts if host and host == label_of.get(channel)),
                )
                for channel in range(MAPS_PER_TASK * len(head.tasks))
            )
        )

    def labelled_pairs(self, annotated_BL: Tensor) -> tuple[Tensor, Tensor]:
        """Sample and task of each pair of which at least one map was looked for; the first of all where none was.

        Args: annotated_BL: bool. Returns: (P,) and (P,), P >= 1.
        """
        sample_P, task_P = self._annotated_maps(annotated_BL).any(2).nonzero(as_tuple=True)
        if not len(sample_P):  # a loss of 0 needs a network's output, too
            sample_P = task_P = torch.zeros(1, dtype=torch.long, device=annotated_BL.device)
        return sample_P, task_P

    def targets(self, labels_BDHW: Tensor, annotated_BL: Tensor, sample_P: Tensor, task_P: Tensor) -> Tensor:
        """(P, 2, D, H, W), int8: 1 inside, 0 outside, -1 where the voxel or the map is not labelled.

        An organ's map holds its anomaly as well. A map whose organ was not looked for is -1 throughout, even where
        the anomaly in it was labelled.
        """
        annotated_PM = self._annotated_maps(annotated_BL)[sample_P, task_P]
        inside_TML = self._inside(annotated_BL)[task_P]
        labels_PDHW = labels_BDHW[sample_P]
        target = torch.stack(
            [row[labels.clamp_min(0)] for rows, labels in zip(inside_TML, labels_PDHW, strict=True) for row in rows]
        ).unflatten(0, (len(sample_P), MAPS_PER_TASK))
        unknown = (labels_PDHW < 0).unsqueeze(1) | ~annotated_PM[:, :, None, None, None]
        return target.masked_fill(unknown, UNLABELLED)

    def _annotated_maps(self, annotated_BL: Tensor) -> Tensor:
        """(B, tasks, 2), bool."""
        labels = torch.tensor([part.label for part in self.maps], device=annotated_BL.device)
        return with_background(annotated_BL, looked_for=False)[:, labels].unflatten(1, (-1, MAPS_PER_TASK))

    def _inside(self, annotated_BL: Tensor) -> Tensor:
        """(tasks, 2, 1 + L), int8: 1 for the labels that lie inside a map."""
        inside = torch.zeros(len(self.maps), 1 + annotated_BL.shape[1], dtype=torch.int8)
        for row, part in zip(inside, self.maps, strict=True):
            row[[part.label, *part.inside]] = 1
            row[0] = 0
        return inside.unflatten(0, (-1, MAPS_PER_TASK)).to(annotated_BL.device)
