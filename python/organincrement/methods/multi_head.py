"""Multi-head: one encoder, and for each task a decoder of its own with half the channels.

A sample trains the encoder and the decoders of the tasks that are labelled in it, with DoDNet's loss:

    L = mean of Dice loss + binary cross entropy over the pairs of a sample and a map that are labelled there

The other decoders do not run. At inference the encoder runs once, then all decoders.

Reference: S. Chen, K. Ma, Y. Zheng, "Med3D: transfer learning for 3D medical image analysis", arXiv 1904.00625, as
compared in section 4.3 of DoDNet (arXiv 2011.10217).

Ambiguous in the paper, and chosen here:

- A skip reaches the halved decoder through a 1x1x1 convolution; the seven tasks of the paper then take 18.9 million
  parameters, as it says.
- Each decoder ends in a head of the shape of DoDNet's, its weights fixed.
"""

from dataclasses import dataclass
from typing import ClassVar

from organincrement.methods.protocol import Citation, setting
from organincrement.methods.task_method import PartialConfig, TaskMethod


@dataclass(frozen=True, kw_only=True)
class MultiHeadConfig(PartialConfig):
    """Defaults are the practical preset."""

    network: str = setting("TaskDecoders", "network class", choices=("TaskDecoders",))


class MultiHeadNetwork(TaskMethod):
    """A decoder for each task."""

    name: ClassVar[str] = "multi-head"
    title: ClassVar[str] = "Multi-head: a decoder for each task"
    summary: ClassVar[str] = "One encoder for several partly labelled data sets, and a decoder for each of their tasks."
    paper: ClassVar[Citation] = Citation(
        authors="S. Chen, K. Ma, Y. Zheng",
        title="Med3D: transfer learning for 3D medical image analysis",
        venue="arXiv",
        year=2019,
        url="https://arxiv.org/abs/1904.00625",
    )
    baseline: ClassVar[bool] = True
    Config: ClassVar[type] = MultiHeadConfig
