"""CT numbers of the phantom's tissues in the three contrast phases.

Typical values of abdominal CT; each patient's lie around them. In the portal venous phase liver, spleen and kidneys
are close to one another, as are pancreas and bowel wall in every phase: a threshold does not separate them.
"""

from typing import Literal

import numpy as np

Phase = Literal["native", "arterial", "portal"]
PHASES: tuple[Phase, ...] = ("native", "arterial", "portal")

# native, arterial and portal venous HU, and the standard deviation between patients
_TISSUES: dict[str, tuple[float, float, float, float]] = {
    "liver": (56, 68, 108, 8),
    "spleen": (48, 108, 118, 7),
    "kidney_cortex": (32, 148, 148, 9),
    "kidney_medulla": (30, 66, 142, 7),
    "pancreas": (42, 96, 90, 7),
    "stomach_wall": (40, 74, 84, 6),
    "bowel_wall": (40, 82, 92, 6),
    "aorta": (42, 290, 150, 12),
    "vena_cava": (40, 84, 138, 10),
    "portal_vein": (41, 92, 158, 10),
    "heart": (40, 190, 125, 10),
    "muscle": (52, 58, 64, 4),
    "fluid": (12, 12, 12, 8),
    "bile": (8, 8, 8, 4),
    "stool": (25, 25, 25, 12),
    "fat": (-104, -103, -102, 4),
    "cartilage": (105, 108, 112, 10),
    "disc": (78, 80, 84, 6),
    "cord": (34, 36, 38, 3),
    "marrow": (175, 180, 185, 28),
    "cortical_bone": (520, 520, 520, 50),
    "lung": (-845, -840, -835, 25),
    "skin": (20, 25, 28, 5),
}
_FATTY_LIVER_SHARE = 0.2


def patient_hu(rng: np.random.Generator, phase: Phase) -> dict[str, float]:
    """HU of every tissue of one patient: contrast taken up more or less, some livers fatty.

    Returns: tissue name -> HU.
    """
    uptake = rng.uniform(0.85, 1.15)
    fatty_liver_hu = rng.uniform(10, 30) * (rng.random() < _FATTY_LIVER_SHARE)
    column = PHASES.index(phase)
    hu = {
        name: row[0] + uptake * (row[column] - row[0]) + row[3] * float(np.clip(rng.standard_normal(), -2, 2))
        for name, row in _TISSUES.items()
    }
    hu["liver"] -= fatty_liver_hu
    return hu
