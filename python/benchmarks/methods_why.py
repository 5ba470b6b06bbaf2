"""Why our order is another than the paper's, with the measurement that says so; by the key of the study.

The runs named here beyond the tables are LONGER_RUNS of `methods_runs.py`.
"""

from collections.abc import Mapping

WHY: Mapping[str, str] = {
    "bla-uag": "With 120 steps the new organ is still being learnt, the slower the more the old ones weigh: MiB keeps "
    "less of the old organs (by 0.010) and is further with the new. Guidance weighs the old organs' voxels (mean w "
    "over 8 scans, teachers of two seeds: liver 1.12 and 1.11, spleen 1.14 and 1.42, stomach 1.02 and 1.03, elsewhere "
    "1.01), which delays the new organ; all old terms times 1.05, 1.1 or 1.2 hardly do (stomach 0.781, 0.780, 0.774, "
    "without 0.782, with guidance 0.766). Learnt, the three are level: the next table. On real CT the new organ is "
    "learnt in the preset's 400 steps as by fine-tuning (head-and-neck study). The bound with full labels has 420 "
    "steps.",
    "bla-uag-longer": "What told the methods apart was how far 120 steps took them: over all organs no interval leaves "
    "out 0. MiB still gives a little of the old organs for the new. The paper's lead of guidance over its own ablation "
    "(0.2 to 3 points) is not seen on this phantom, whose teacher is rarely unsure.",
    "ms-kd": "Individual networks have 200 steps for each organ, several data sets together 280 for all three, and a "
    "student of three teachers 240. With three times as many, the next table, none but DoDNet is behind; of DoDNet "
    "its own tables say why.",
    "ms-kd-longer": "The student of teachers sees no label and stays at its teachers' Dice, where the paper's is a "
    "point ahead; features add nothing to the logits here. DoDNet: see its own table with 840 steps.",
    "ms-kd-outside": "As above: 280 and 240 steps are too few, and with three times as many none but DoDNet is behind.",
    "ms-kd-outside-longer": "Co-training, which sees the labels, carries over to the other site best; MS-KD as well as "
    "its teachers. DoDNet: see its own table with 840 steps.",
    "case2": "The single volume is one slab beside three exemplars, which have 0.32 of all steps (`replay_at_most`, "
    "the paper's share in this case). In proportion to the sets' sizes it would be three quarters: the head saw 30 "
    "of 120 steps, and found the spleen or not by seed (AeiSeg 0.59, 0.21, 0.00). The three methods are level; the "
    "paper's 3 points between CoRiSeg and LwfSeg are less than what tells two seeds apart here.",
    "case3": "Three of thirteen steps replay exemplars: of 120 the new images have 92. With 156 steps, so that they "
    "have 120 as LwfSeg's, the three are level: the next table.",
    "case3-longer": "There is nothing to win by replay here: native scans are not as foreign as the paper's "
    "water-saturated ones, and LwfSeg alone forgets nothing of the spleen.",
    "dodnet": "280 steps for three data sets, where the separate networks have 600, and a head that must be learnt "
    "before it is of use: of three seeds one does not find every organ (`dodnet` 0.40, `multi-head` 0.54, both without "
    "the spleen), which is what the wide spreads are. The next table has 840.",
    "dodnet-longer": "Whatever answers for each organ by itself (`dodnet`, `multi-head`, `cond-dec`: 0.82) is 0.02 "
    "behind the one softmax of TAL, whose organs exclude each other: most in the liver (0.873, TAL 0.894) and the "
    "stomach (0.800, 0.829), which touch. The paper's tasks share no border but between an organ and its tumour, and "
    "its networks learn for 1000 epochs from seven data sets. The separate networks have PlainConvUNets and a higher "
    "rate.",
    "dodnet-head": "In 280 steps the third seed does not find the spleen, whatever the head but for width 16: that "
    "decides the rows, and what differs between those that the paper has closely together is how far the steps went. "
    "The next table has 840.",
    "dodnet-head-longer": "What the paper has far behind, narrow heads (one seed of three) and the image alone, is far "
    "behind here; the others lie within 0.016, in the paper within 0.4 points. That width 16 is behind depth 2 by the "
    "least of margins is one of 21 comparisons at 95 %.",
    "headneck": "Continual Segment and MS-KD have 1200 steps, LwfSeg and CoRiSeg 400, first models 1000 or 2000 (the "
    "practical presets). With 400 steps Continual Segment's mandible had 0.760, since half of them are the new "
    "decoder's before it is pruned (validation 0.69 at step 190, rising; now 0.83 at step 571), and MS-KD had not "
    "found all organs (0.796, 0.754, 0.490, 0.000; validation finds the parotids between steps 240 and 480). CoRiSeg: "
    "272 of its 400 steps are of the new scans. DoDNet's spinal cord: islands in the shoulders, 200 mm from the canal, "
    "and the cord below the lowest labelled slice (pt_13: 75 and 55 of 473 voxels, 19 slices); `segment "
    "--largest-component` drops the islands. DoDNet was stopped and went on: its CPU seconds are those of the last 850 "
    "steps.",
    "transfer": "Within the interval. The weights come from 280 steps on three organs, the paper's from 1000 epochs on "
    "eleven.",
    "transfer-longer": "With weights of 840 steps and three times the steps for both they are level still: four "
    "phantom patients, who are alike, teach as much from nothing, where the paper gains a point on real CT.",
}
