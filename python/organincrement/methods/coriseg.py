"""CoRiSeg: LwfSeg with exemplars, chosen by the content of the images.

Loss and batches are those of LwfSeg with exemplars:

    L = alpha L_c + (1 - alpha) L_d   on new images;   L = L_d   on exemplars          (eq. 1)

The exemplars are chosen once, by `organincrement exemplars select --by coriseg`: of the 50 surest slices of each organ,
greedily, the 30 that are nearest to the whole old set by the content distance

    d(I, J) = sum over layers l, filters f of mean over positions of (R_lf(I) - R_lf(J))^2          (eq. 3)

R: activations of all convolutions of a VGG16 trained on ImageNet. Its weights are given by the user (`--vgg`), for they
may not be handed on with the program; without them the segmentation network's own convolutions serve (before their
norms), which the paper found 1.6, 0.7 and 0.07 points of Dice worse in its three cases. The vault says which it was.

F. Ozdemir, P. Fuernstahl, O. Goksel: Learn the new, keep the old. MICCAI 2018. https://arxiv.org/abs/1806.00265

Ambiguous in the paper, and chosen here:

- Eq. 3 is a sum, the text says mean: positions are averaged within a layer, or the shallow layers would decide alone.
- Whether only the surest slices may be chosen is not repeated for CoRiSeg: yes, as in AeiSeg.
- The picture that the network sees: the middle slice of a slab, scaled from its minimum to its maximum, 192 x 192.
- Coverage by a distance: facility location with -d for the similarity.

Exemplars are images of patients: they stay in a vault on this computer, and no package holds any of them.
"""

from typing import ClassVar

from organincrement.methods.exemplar_heads import ExemplarHeads


class CoRiSeg(ExemplarHeads):
    """Distillation on the new images and on exemplars of the old."""

    name: ClassVar[str] = "coriseg"
    title: ClassVar[str] = "CoRiSeg: LwfSeg with exemplars by content"
    summary: ClassVar[str] = "LwfSeg that also replays old images, chosen by how much they look like all others."
