"""The pictures of an audit until its page is written: in memory, or of many cases in files, for few are shown."""

from pathlib import Path

import numpy as np

from organincrement.evaluation.story import SlicePicture


class Pictures:
    """A picture of each case that has one. Args: folder: where they are kept beside a ledger; None: in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: dict[str, SlicePicture] = {}

    def keep(self, case: str, picture: SlicePicture | None) -> None:
        """Keep a case's picture, in place of any that there was."""
        if self._folder is None:
            if picture is not None:
                self._kept[case] = picture
            return
        self._file(case).unlink(missing_ok=True)
        if picture is None:
            return
        plain = {"title": np.array(picture.title), "spacing_mm": np.array(picture.spacing_mm)}
        if picture.sides is not None:
            plain["sides"] = np.array(picture.sides)
        arrays = {name: getattr(picture, name) for name in ("image_HW", "labels_HW", "uncertainty_HW")}
        for number, (words, overlay_HW) in enumerate(picture.overlays):
            plain[f"words{number}"], plain[f"overlay{number}"] = np.array(words), np.asarray(overlay_HW)
        partial = self._file(case).with_suffix(".partial.npz")
        np.savez_compressed(partial, **plain, **{name: array for name, array in arrays.items() if array is not None})
        partial.replace(self._file(case))

    def has(self, case: str) -> bool:
        """Whether there is one."""
        return case in self._kept or (self._folder is not None and self._file(case).is_file())

    def of(self, case: str) -> SlicePicture:
        """The picture of a case that has one."""
        if self._folder is None:
            return self._kept[case]
        with np.load(self._file(case), allow_pickle=False) as held:
            count = sum(name.startswith("overlay") for name in held.files)
            row_mm, column_mm = (float(mm) for mm in held["spacing_mm"])
            sides = tuple(str(side) for side in held["sides"]) if "sides" in held.files else None
            return SlicePicture(
                title=str(held["title"]), image_HW=held["image_HW"],
                labels_HW=held["labels_HW"] if "labels_HW" in held.files else None,
                overlays=[(str(held[f"words{number}"]), held[f"overlay{number}"]) for number in range(count)],
                uncertainty_HW=held["uncertainty_HW"] if "uncertainty_HW" in held.files else None,
                spacing_mm=(row_mm, column_mm), sides=sides,  # type: ignore[arg-type]
            )  # fmt: skip

    def _file(self, case: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{case}.npz"
