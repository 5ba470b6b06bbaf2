"""Write a dataset of phantom patients, for demonstrations and tests."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.phantom.scan import Site, check_organs, make_phantom
from organincrement.imaging.writing import write_nifti

REVIEWER = "phantom"


def write_phantom_dataset(
    out: Path,
    site: Site,
    organs: Sequence[str],
    seeds: Sequence[int],
    *,
    shape_DHW: tuple[int, int, int] | None = None,
    name: str | None = None,
    approved: bool = True,
    made: Callable[[int], None] = lambda count: None,
) -> DatasetFolder:
    """Write one case per seed into a new dataset folder, labelled with just these organs, in this order.

    The other organs are in the pictures and are neither labelled nor in `annotated`. A case's group is its patient,
    which is the same at every site: datasets with disjoint seeds share no patient.

    Args: organs: from phantom.ORGANS. seeds: the patients. approved: else the cases stay drafts. made: told after each
    case how many there are.
    Raises: ImageError for an organ the phantom lacks, ContractError when there is a dataset at `out` already.
    """
    check_organs(organs)
    space = tuple(organ_from_name(organ) for organ in organs)
    folder = DatasetFolder.create(out, Dataset(name=name or f"phantom-site-{site.name}", modality="CT", organs=space))
    for count, seed in enumerate(seeds, start=1):
        _write_case(folder, site, tuple(organs), seed, shape_DHW)
        if approved:
            case_id = _case_id(site, seed)
            folder.move(case_id, "submitted", REVIEWER, "made by the phantom")
            folder.move(case_id, "approved", REVIEWER, "exact by construction")
        made(count)
    return folder


def _write_case(
    folder: DatasetFolder, site: Site, organs: tuple[str, ...], seed: int, shape_DHW: tuple[int, int, int] | None
) -> None:
    phantom = make_phantom(seed, site, shape_DHW)
    case_id = _case_id(site, seed)
    image, label = f"images/{case_id}.nii.gz", f"labels/{case_id}.nii.gz"
    write_nifti(folder.path / image, phantom.image.with_array(phantom.image.array_DHW.astype(np.int16)))
    write_nifti(folder.path / label, phantom.labels_of(organs))
    folder.save_case(
        Case(
            id=case_id,
            group=f"phantom_{seed:04d}",
            image=image,
            label=label,
            annotated=folder.label_space.ids,
            image_sha256=sha256_file(folder.path / image),
            label_sha256=sha256_file(folder.path / label),
        )
    )


def _case_id(site: Site, seed: int) -> str:
    return f"phantom_{site.name}_{seed:04d}"
