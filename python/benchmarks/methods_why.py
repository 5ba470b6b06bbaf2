"""Why our order is another than the paper's, with the measurement that says so; by the key of the study.

The runs named here beyond the tables are LONGER_RUNS of `methods_runs.py`, seed 0.
"""

from collections.abc import Mapping

WHY: Mapping[str, str] = {
    "bla-uag": "With 120 steps the new organ is still being learnt, the slower the more the old ones weigh: MiB keeps "
    "less of the old organs (by 0.010) and is further with the new. Guidance weighs the old organs' voxels "
    "(mean w over 8 scans, teachers of two seeds: liver 1.12 and 1.11, spleen 1.14 and 1.42, stomach 1.02 and"
    " 1.03, elsewhere 1.01), which delays the new organ; all old terms times 1.05, 1.1 or 1.2 does not "
    "(stomach 0.785, 0.786, 0.780, without 0.787). With 360 steps the three are level: liver, spleen, stomach"
    " of `bla-uag` 0.904, 0.785, 0.822, of `no-uncertainty` 0.902, 0.782, 0.823, of `mib` 0.898, 0.776, "
    "0.833. On real CT the new organ is learnt in the preset's 400 steps as by fine-tuning (head-and-neck "
    "study). The bound with full labels has 420 steps.",
    "ms-kd": "Individual networks have 200 steps for each organ, several data sets together 280 for all three. With "
    "840 steps, seed 0, co-training rises from 0.803 to 0.856 and DoDNet from 0.757 to 0.811 (individual "
    "0.858, MS-KD with 720 steps 0.862).",
    "ms-kd-outside": "As above: with 840 steps, seed 0, co-training rises from 0.782 to 0.838, and MS-KD with 720 "
    "instead of "
    "240 from 0.823 to 0.829 (individual 0.828); DoDNet with 840 steps from 0.742 to 0.809.",
    "case2": "The single volume is one slab beside three exemplars, which have 0.32 of all steps (`replay_at_most`, "
    "the paper's share in this case). In proportion to the sets' sizes it would be three quarters: the head saw 30 "
    "of 120 steps, and found the spleen or not by seed (AeiSeg 0.59, 0.21, 0.00). The three methods are level; the "
    "paper's 3 points between CoRiSeg and LwfSeg are less than what tells two seeds apart here.",
    "case3": "Three of thirteen steps replay exemplars. With 156 steps, so that 120 are of the new images, AeiSeg has "
    "0.811 and 0.807 (seed 0; with 120 steps 0.816 and 0.769, LwfSeg 0.813 and 0.801): level. There is "
    "nothing to win by replay, either: native scans are not as foreign as the paper's water-saturated ones, "
    "and LwfSeg alone forgets nothing of the spleen here.",
    "dodnet": "280 steps for three data sets, where the separate networks have 600, and a head that must be learnt "
    "before it is of use: with 840 steps, seed 0, TAL rises from 0.790 to 0.840 and DoDNet from 0.757 to "
    "0.811 (individual 0.858). In 280 steps one seed of three does not find the spleen (`multi-head` 0.00, "
    "`dodnet` 0.29), which is what the wide spreads are.",
    "dodnet-head": "Within a row the three seeds lie further apart (depth 4: 0.43 to 0.76) than the rows that the "
    "paper has "
    "closely together: an organ that 280 steps do not find decides. What the paper has far behind, narrow "
    "heads and the image alone, is far behind here.",
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
}
