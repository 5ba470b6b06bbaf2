"""Cond-Dec: DoDNet's network with a fixed head, told of the task at every level of the decoder.

The input of each level is [x; T], T the task, one-hot, each entry a map of one value; trained with DoDNet's loss on the
labelled tasks of each sample:

    L = mean of Dice loss + binary cross entropy over the pairs of a sample and a map that are labelled there

The encoder runs once, the decoder once for every task.

Reference: K. Dmitriev and A. E. Kaufman, "Learning multi-class segmentations from single-class datasets", CVPR 2019, as
compared in section 4.3 of DoDNet (arXiv 2011.10217).

Ambiguous in the paper, and chosen here:

- The maps join the input of a level's first convolution behind its norm, which would level constant maps out.
- The fixed head has the shape of the dynamic one: three 1x1x1 convolutions with 8, 8 and 2 channels.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from organincrement.methods.protocol import Citation
from organincrement.methods.task_method import TaskMethod


class CondDec(TaskMethod):
    """The task as constant maps in the decoder."""

    name: ClassVar[str] = "cond-dec"
    title: ClassVar[str] = "Cond-Dec: task in the decoder"
    summary: ClassVar[str] = "DoDNet's network with a fixed head, told of the task at every level of the decoder."
    paper: ClassVar[Citation] = Citation(
        authors="K. Dmitriev, A. E. Kaufman",
        title="Learning multi-class segmentations from single-class datasets",
        venue="CVPR",
        year=2019,
        url="",
    )
    baseline: ClassVar[bool] = True
    network_args: ClassVar[Mapping[str, Any]] = {"conditioning": "decoder"}
