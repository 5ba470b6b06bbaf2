"""TotalSegmentator's tasks: which networks each has, at which spacing, and what their classes are called, in order.

Source: the task and class tables of TotalSegmentator v2 (J. Wasserthal et al., Radiology: AI 5, 2023), names alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass


def _sides(*names: str, first: str = "left") -> tuple[str, ...]:
    second = "right" if first == "left" else "left"
    return tuple(f"{name}_{side}" for name in names for side in (first, second))


def _vertebrae(*levels: str) -> tuple[str, ...]:
    return tuple(f"vertebrae_{level}" for level in levels)


_GLUTEUS = _sides("gluteus_maximus", "gluteus_medius", "gluteus_minimus")
_MUSCLES = (*_GLUTEUS, *_sides("autochthon", "iliopsoas"))
_LIMBS = _sides("humerus", "scapula", "clavicula", "femur", "hip")
_ILIAC = _sides("iliac_artery", "iliac_vena")
_ABDOMEN = ("spleen", *_sides("kidney", first="right"), "gallbladder", "liver", "stomach", "pancreas")
_ADRENALS = _sides("adrenal_gland", first="right")

ORGANS = (
    *_ABDOMEN, *_ADRENALS, "lung_upper_lobe_left", "lung_lower_lobe_left", "lung_upper_lobe_right",
    "lung_middle_lobe_right", "lung_lower_lobe_right", "esophagus", "trachea", "thyroid_gland", "small_bowel",
    "duodenum", "colon", "urinary_bladder", "prostate", *_sides("kidney_cyst"),
)  # fmt: skip
VERTEBRAE = (
    "sacrum",
    *_vertebrae("S1", *(f"L{n}" for n in range(5, 0, -1)), *(f"T{n}" for n in range(12, 0, -1))),
    *_vertebrae(*(f"C{n}" for n in range(7, 0, -1))),
)
CARDIAC = (
    "heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk", *_sides("subclavian_artery", first="right"),
    *_sides("common_carotid_artery", first="right"), *_sides("brachiocephalic_vein"), "atrial_appendage_left",
    "superior_vena_cava", "inferior_vena_cava", "portal_vein_and_splenic_vein", *_ILIAC,
)  # fmt: skip
MUSCLES = (*_LIMBS, "spinal_cord", *_MUSCLES, "brain", "skull")
RIBS = (*(f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)), "sternum", "costal_cartilages")
TOTAL = (*ORGANS, *VERTEBRAE, *CARDIAC, *MUSCLES, *RIBS)

_MR_ORGANS = (
    *_ABDOMEN, *_ADRENALS, "lung_left", "lung_right", "esophagus", "small_bowel", "duodenum", "colon",
    "urinary_bladder", "prostate", "sacrum", "vertebrae", "intervertebral_discs", "spinal_cord", "heart", "aorta",
    "inferior_vena_cava", "portal_vein_and_splenic_vein", *_ILIAC,
)  # fmt: skip
_MR_MUSCLES = (*_LIMBS, *_MUSCLES, "brain")
_BODY = ("body_trunc", "body_extremities")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task. parts: of each network, in the order in which they paint, the number of its dataset and its classes."""

    name: str
    spacing_mm: float
    parts: Mapping[int, tuple[str, ...]]

    @property
    def step(self) -> float:
        """Distance of the windows as a share of the patch."""
        return 0.8 if self.name == "total" and self.spacing_mm < 3 else 0.5


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="total", spacing_mm=1.5,
            parts={291: ORGANS, 292: VERTEBRAE, 293: CARDIAC, 294: MUSCLES, 295: RIBS},
        ),
        Task(name="total_fast", spacing_mm=3.0, parts={297: TOTAL}),
        Task(name="total_fastest", spacing_mm=6.0, parts={298: TOTAL}),
        Task(name="total_mr", spacing_mm=1.5, parts={850: _MR_ORGANS, 851: _MR_MUSCLES}),
        Task(name="total_mr_fast", spacing_mm=3.0, parts={852: (*_MR_ORGANS, *_MR_MUSCLES)}),
        Task(name="total_mr_fastest", spacing_mm=6.0, parts={853: (*_MR_ORGANS, *_MR_MUSCLES)}),
        Task(name="body", spacing_mm=1.5, parts={299: _BODY}),
        Task(name="body_fast", spacing_mm=6.0, parts={300: _BODY}),
    )
}  # fmt: skip

# SNOMED CT codes of structures that are not in the terminology of contract/organs, by the name without a side
CODES: Mapping[str, tuple[str, str]] = {
    "atrial_appendage": ("68786006", "Auricular appendage"),
    "autochthon": ("244849004", "Deep muscle of back"),
    "brachiocephalic_trunk": ("12691009", "Brachiocephalic artery"),
    "brachiocephalic_vein": ("8887007", "Brachiocephalic vein"),
    "common_carotid_artery": ("32062004", "Common carotid artery"),
    "gluteus_maximus": ("181674001", "Gluteus maximus muscle"),
    "gluteus_medius": ("78333006", "Gluteus medius muscle"),
    "gluteus_minimus": ("75297007", "Gluteus minimus muscle"),
    "iliac_artery": ("73634005", "Common iliac artery"),
    "iliac_vena": ("46027005", "Common iliac vein"),
    "iliopsoas": ("68455001", "Iliopsoas muscle"),
    "pulmonary_vein": ("122972007", "Pulmonary vein"),
    "subclavian_artery": ("29700009", "Subclavian artery"),
    "vertebrae_S1": ("65985001", "S1 vertebra"),
    **{
        f"rib_{number}": (code, f"{ordinal} rib")
        for number, (code, ordinal) in enumerate(
            (
                ("48535007", "First"), ("78247007", "Second"), ("25888004", "Third"), ("25523003", "Fourth"),
                ("15339008", "Fifth"), ("59558009", "Sixth"), ("24915002", "Seventh"), ("5953002", "Eighth"),
                ("22565002", "Ninth"), ("77644006", "Tenth"), ("58830002", "Eleventh"), ("43993008", "Twelfth"),
            ),
            start=1,
        )
    },
}  # fmt: skip
