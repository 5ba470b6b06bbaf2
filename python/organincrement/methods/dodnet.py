"""DoDNet: one network for many partly labelled data sets, whose head is made anew for each image and task.

Encoder and decoder give F and 8 maps M. A controller makes the 162 parameters of a head of three 1x1x1 convolutions
(8, 8, 2 channels) from the image and the task T, one-hot: omega = phi([GAP(F); T]), P = ((M * w1) * w2) * w3 (eq. 3 to
7). P has two maps for each task, organ and anomaly, each a sigmoid of its own. Over the pairs of a sample and a map
that are labelled there:

    L = mean of 1 - 2 sum(p y) / (sum p + sum y + eps) + binary cross entropy          (eq. 8)

At inference one pass through encoder and decoder serves the heads of all tasks.

Reference: J. Zhang, Y. Xie, Y. Xia, C. Shen: DoDNet: learning to segment multi-organ and tumors from multiple partially
labeled datasets. CVPR 2021, arXiv 2011.10217. Written from the paper; its code was not looked at.

Ambiguous in the paper, and chosen here:

- Channels: the text doubles them four times, which would give 512; its 17.3 million parameters allow 256 at most.
- Norm and activation stand before each convolution; a decoder level begins with the channels of its skip.
- The first convolution is not standardised: filters of sum 0 over one channel would see edges, but no intensity.
- The parameters' order: all weights, then all biases; ReLU after the first two layers.
- The controller starts so that the head is spread as ordinary convolutions are.
- eps is 1e-5, in the denominator only; the cross entropy is a mean over voxels, the loss a mean over labelled pairs.
- An organ's map holds the anomaly in it; where both are found, the anomaly is shown.
- A sample with labels of several tasks trains all of them; the paper's samples have one.
- Weight decay: none. Patches are drawn as in all methods here, half of them around a labelled organ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from torch import nn

from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import DynamicHead, ModelManifest
from organincrement.methods.protocol import Product, setting
from organincrement.methods.task_method import HEAD_DEPTH, HEAD_WIDTH, PartialConfig, TaskMethod
from organincrement.networks.dodnet import CONTROLLERS
from organincrement.networks.sizing import NetworkSpec


@dataclass(frozen=True, kw_only=True)
class DodnetConfig(PartialConfig):
    """Width, depth and controller are those of the paper's ablations."""

    head_width: int = setting(HEAD_WIDTH, "channels of the dynamic head's layers", unit="channels", low=1, high=32)
    head_depth: int = setting(HEAD_DEPTH, "layers of the dynamic head", low=1, high=8)
    controller: str = setting("both", "what makes the head: image and task, or one of them", choices=CONTROLLERS)


class Dodnet(TaskMethod):
    """Dynamic on-demand network: Dice and binary cross entropy of the labelled tasks."""

    name: ClassVar[str] = "dodnet"
    title: ClassVar[str] = "DoDNet: many partly labelled data sets"
    summary: ClassVar[str] = "Trains one network on several data sets, each labelled for its own organs; no teacher."
    Config: ClassVar[type] = DodnetConfig

    @classmethod
    def plan_network(
        cls, config: Any, transition: LabelTransition, teachers: Sequence[ModelManifest], channels: int
    ) -> NetworkSpec:
        """The network of the planned size, with the head and the controller that the settings say."""
        planned = super().plan_network(config, transition, teachers, channels)
        head = {"width": config.head_width, "depth": config.head_depth}
        args = {**planned.args, **head, "conditioning": "dynamic", "controller": config.controller}
        return NetworkSpec(kind=planned.kind, args=args)

    def product(self, network: nn.Module) -> Product:
        """The network, and the head as it was made."""
        config, head = self.inputs.config, cast(DynamicHead, self.inputs.head)
        made = replace(head, width=config.head_width, depth=config.head_depth)
        return Product(network=network, spec=self.inputs.network, head=made)
