"""Cond-NO: DoDNet's network with one fixed head and no word of the task, the lower bound of its comparison.

The two maps are the same for all tasks: p = sigmoid(h(M)), trained with DoDNet's loss on whatever is labelled:

    L = mean of Dice loss + binary cross entropy over the pairs of a sample and a map that are labelled there

So the network cannot know which organ is asked for, and shows all of them for each.

Reference: section 4.3 of DoDNet (arXiv 2011.10217), which only names it.

Ambiguous in the paper, and chosen here:

- The fixed head has the shape of the dynamic one: three 1x1x1 convolutions with 8, 8 and 2 channels.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from organincrement.methods.task_method import TaskMethod


class CondNo(TaskMethod):
    """One fixed head for all tasks."""

    name: ClassVar[str] = "cond-no"
    title: ClassVar[str] = "Cond-NO: no task information"
    summary: ClassVar[str] = "DoDNet's network with one fixed head, which is not told what it is to segment."
    baseline: ClassVar[bool] = True
    network_args: ClassVar[Mapping[str, Any]] = {"conditioning": "none"}
