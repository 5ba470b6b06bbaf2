"""Cond-Input: DoDNet's network with a fixed head, told of the task beside the image.

The input is [X; T], T the task, one-hot, each entry a map of one value; p = sigmoid(h(f([X; T]))), trained with
DoDNet's loss on the labelled tasks of each sample:

    L = mean of Dice loss + binary cross entropy over the pairs of a sample and a map that are labelled there

Every task takes a pass of its own through the whole network.

Reference: Q. Chen, J. Xu, V. Koltun, "Fast image processing with fully-convolutional networks", ICCV 2017, as compared
in section 4.3 of DoDNet (arXiv 2011.10217).

Ambiguous in the paper, and chosen here:

- The fixed head has the shape of the dynamic one: three 1x1x1 convolutions with 8, 8 and 2 channels.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from organincrement.methods.protocol import Citation
from organincrement.methods.task_method import TaskMethod


class CondInput(TaskMethod):
    """The task as constant maps beside the image."""

    name: ClassVar[str] = "cond-input"
    title: ClassVar[str] = "Cond-Input: task beside the image"
    summary: ClassVar[str] = "DoDNet's network with a fixed head, told of the task by further input channels."
    paper: ClassVar[Citation] = Citation(
        authors="Q. Chen, J. Xu, V. Koltun",
        title="Fast image processing with fully-convolutional networks",
        venue="ICCV",
        year=2017,
        url="https://arxiv.org/abs/1709.00643",
    )
    baseline: ClassVar[bool] = True
    network_args: ClassVar[Mapping[str, Any]] = {"conditioning": "input"}
