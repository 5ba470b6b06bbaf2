"""LwfSeg: a head of its own for what is new, distillation on the heads there were.

The network of the teacher keeps its heads, each a softmax over its organs and a background of its own, and gets one
more for the new organs; the trunk is shared and goes on learning. On every batch

    L = alpha L_c + (1 - alpha) L_d          (eq. 1, alpha = 0.5)
    L_d = - sum over old heads, mean over voxels of sum_c p_c log y_c          (eq. 2)

with p the posteriors of the frozen teacher, y those of the student, and L_c the cross entropy of the new head.

F. Ozdemir, P. Fuernstahl, O. Goksel: Learn the new, keep the old. MICCAI 2018. https://arxiv.org/abs/1806.00265

Ambiguous in the paper, and chosen here:

- Eq. 2 is printed without its minus and says nothing of voxels: minus, sum over heads and classes, mean over voxels.
- L_c is not named: cross entropy over labelled voxels. The practical preset adds a soft Dice of the new organs and, so
  that it does not outweigh the distillation, one of the old organs with the teacher's posteriors.
- What a head is ("additional layers"): a 1 x 1 convolution, that is further rows of the one output layer. The new rows
  start at random; in the practical preset a bias gives the new organ 2 % of each voxel instead of a half.
- Organs of different heads may overlap, and the paper reports each head alone: where several heads claim a voxel, the
  largest probability wins, the earlier head on a tie.
- Optimiser and rate are not given: Adam, 1e-4. Batch 8 and 1000 epochs are the paper's; an epoch is taken as 6 volumes
  of 64 slices.
"""

from typing import ClassVar

from organincrement.methods.incremental_heads import HEADS_PRESETS, OZDEMIR, IncrementalHeads
from organincrement.methods.protocol import Citation, Needs, Preset


class LwfSeg(IncrementalHeads):
    """Distillation on the new images alone."""

    name: ClassVar[str] = "lwfseg"
    title: ClassVar[str] = "LwfSeg: a head for each step"
    summary: ClassVar[str] = "Gives the new organs a head of their own and distils the old heads on the new images."
    paper: ClassVar[Citation] = OZDEMIR
    needs: ClassVar[Needs] = Needs(teachers="one")
    presets: ClassVar[dict[str, Preset]] = HEADS_PRESETS
