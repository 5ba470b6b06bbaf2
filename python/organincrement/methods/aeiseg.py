"""AeiSeg: LwfSeg with exemplars, chosen by the network's own abstraction of them.

A batch is either new, with the loss of LwfSeg, or from the exemplar set, with its distillation alone:

    L = alpha L_c + (1 - alpha) L_d   on new images;   L = L_d   on exemplars          (eq. 1)

The exemplars are chosen once, by `organincrement exemplars select --by aeiseg`. For each old organ: of all slices that
show it, the 50 of which the network is surest over 29 passes with dropout; of these, greedily, the 30 that cover the
whole old set best, that is maximise

    F(S) = sum over all slices a of max over s in S of cos(v_s, v_a),

v: activations of the coarsest level, averaged over positions. The order is kept: less room, fewer from the end.

F. Ozdemir, P. Fuernstahl, O. Goksel: Learn the new, keep the old. MICCAI 2018. https://arxiv.org/abs/1806.00265

Ambiguous in the paper, and chosen here:

- How sure the network is: mean over voxels of the variance of the organ's probability over the passes.
- Rate and place of the dropout: 0.5 at the coarsest level, also in networks that have no dropout.
- How batches mix: each is all new or all exemplars, evenly interleaved in proportion to the sets' sizes in slabs; in
  the practical preset exemplars have 0.32 of the steps at most, as 30 beside the 64 slices of one volume have.
- Exemplars teach by the teacher's posteriors alone; of their labels only a point in the organ is kept, to aim patches.
- In 3-D a slice is a slab of the network's grid, as thick as a patch.

Exemplars are images of patients: they stay in a vault on this computer, and no package holds any of them.
"""

from typing import ClassVar

from organincrement.methods.exemplar_heads import ExemplarHeads


class AeiSeg(ExemplarHeads):
    """Distillation on the new images and on exemplars of the old."""

    name: ClassVar[str] = "aeiseg"
    title: ClassVar[str] = "AeiSeg: LwfSeg with exemplars by abstraction"
    summary: ClassVar[str] = "LwfSeg that also replays old images, chosen by what the network's deepest level sees."
