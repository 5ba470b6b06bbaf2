"""One slice that shows at a glance how a scan lies and what is on it."""

from collections.abc import Sequence

import numpy as np

from organincrement.evaluation.story import SlicePicture
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.volume import Volume


def coronal_picture(
    image: Volume, body_DHW: np.ndarray, *, title: str, overlays: Sequence[tuple[str, np.ndarray]] = ()
) -> SlicePicture:
    """The coronal slice through the middle of the body, the head on top as the header says, and labels over it.

    Labels are projected from the whole depth, for no one slice meets all organs; where two lie behind each other the
    higher value is shown. Args: body_DHW, overlays: on the image's grid.
    """

    def turned(array_DHW: np.ndarray) -> np.ndarray:
        return to_orientation(image.with_array(array_DHW), "LPS").array_DHW[::-1]

    lying = to_orientation(image, "LPS")
    rows = np.flatnonzero(turned(body_DHW).any((0, 2)))
    row = int(rows[len(rows) // 2]) if len(rows) else lying.shape_DHW[1] // 2
    return SlicePicture(
        title=title,
        image_HW=np.ascontiguousarray(lying.array_DHW[::-1, row]),
        overlays=tuple((name, np.ascontiguousarray(turned(array).max(1))) for name, array in overlays),
        spacing_mm=(lying.spacing_mm[0], lying.spacing_mm[2]),
        sides=("R", "L"),
    )
