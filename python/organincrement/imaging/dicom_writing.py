"""Results as DICOM: organs as one binary segmentation, the uncertainty as one parametric map, both of a source series.

What they carry of patient and study is what the source says, and nothing else of it; who made them is a program.
Sources: DICOM PS3.3 (2024), A.51, C.8.20 (Segmentation), A.75, C.8.32 (Parametric Map), C.7.6.16.2.11.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from organincrement import __version__
from organincrement.contract.labels import Code, Organ
from organincrement.contract.organs import ALTERED_STRUCTURE, ANATOMICAL_STRUCTURE, organ_from_name
from organincrement.imaging.dicom_source import SourceSeries, on_source_planes, silent_libraries
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import label_counts
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import replacing

if TYPE_CHECKING:
    import highdicom as hd
    from pydicom.dataset import Dataset

MAKER = "OrganIncrement"
PRIVATE_SCHEME = "99ORGANINCREMENT"
SEGMENTATION_SERIES, UNCERTAINTY_SERIES = 6201, 6202  # numbers of series that no scanner counts up to
RESEARCH_ONLY = "research use only"
SHORT_TEXT, LONG_TEXT = 16, 64  # characters that DICOM's SH and LO take


@dataclass(frozen=True, kw_only=True)
class MadeBy:
    """The model behind a result: its name, and the SHA-256 of its package, which stands for its version."""

    model: str
    sha256: str


def write_dicom_segmentation(
    path: Path, labels: Volume, organs: Mapping[int, Organ], source: SourceSeries, made_by: MadeBy
) -> tuple[str, ...]:
    """Write labels as a DICOM segmentation of the source series: a segment for each organ that has voxels.

    labels: uint8 or uint16. organs: by label value. Returns: the names of organs without a voxel, left out of the file.
    Raises ImageError for another grid than the source's, for no voxel at all, and when the disk does not take the file.
    """
    counts = label_counts(labels.array_DHW)
    held = [value for value in organs if counts.get(value)]
    if not held:
        raise ImageError(f"{path}: there is no voxel of any organ, so there is nothing to write")
    planes_DHW = on_source_planes(source.header.path, labels, source)
    numbers = np.zeros(max(*organs, *counts) + 1, np.uint8 if len(held) < 256 else np.uint16)
    numbers[held] = np.arange(1, len(held) + 1)
    with _writing(path):
        import highdicom as hd

        algorithm = hd.AlgorithmIdentificationSequence(
            name=fitting(made_by.model), version=_version(made_by), family=_ai(), source=MAKER
        )
        segments = [_segment(number, organs[value], organs, algorithm) for number, value in enumerate(held, 1)]
        made = hd.seg.Segmentation(
            source_images=source.images, pixel_array=numbers[planes_DHW],
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY, segment_descriptions=segments,
            series_number=SEGMENTATION_SERIES, content_label="SEGMENTATION", coding_schemes=[_private_scheme()],
            series_description=f"Segmentation, {RESEARCH_ONLY}", **_made(made_by),
        )  # fmt: skip
        _save(made, source, path)
    return tuple(organ.name for value, organ in organs.items() if value not in held)


def write_dicom_uncertainty(path: Path, uncertainty: Volume, source: SourceSeries, made_by: MadeBy) -> None:
    """Write an uncertainty (per cent of the largest entropy, 0 to 100) as a DICOM parametric map of the source series.

    Raises ImageError for another grid than the source's, for values beyond, and when the disk does not take the file.
    """
    if not (uncertainty.array_DHW.min() >= 0 and uncertainty.array_DHW.max() <= 100):
        raise ImageError(f"{path}: the uncertainty has values outside 0 to 100; segment the scan anew")
    planes_DHW = on_source_planes(source.header.path, uncertainty, source)
    with _writing(path):
        import highdicom as hd
        from pydicom.sr.codedict import codes

        percent = hd.pm.RealWorldValueMapping(
            lut_label="Uncertainty", lut_explanation="Entropy in per cent of its maximum: 0 certain, 100 uniform",
            unit=codes.UCUM.Percent, value_range=(0.0, 100.0), slope=1, intercept=0,
            quantity_definition=_concept(Code(PRIVATE_SCHEME, "entropy_percent", "Entropy in per cent of its maximum")),
        )  # fmt: skip
        made = hd.pm.ParametricMap(
            source_images=source.images,
            # Floating point is what every reader of parametric maps takes, dcmqi's among them.
            pixel_array=planes_DHW.astype(np.float32),
            contains_recognizable_visual_features=True,  # it may outline a face; nobody has looked
            real_world_value_mappings=[percent],
            voi_lut_transformations=[hd.VOILUTTransformation(window_center=50, window_width=100)],
            series_number=UNCERTAINTY_SERIES, content_label="UNCERTAINTY", coding_schemes=[_private_scheme()],
            series_description=f"Uncertainty of the segmentation, {RESEARCH_ONLY}", **_made(made_by),
        )  # fmt: skip
        made.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_anywhere()]
        _in_order_of_place(made)
        _save(made, source, path)


def fitting(text: str, length: int = LONG_TEXT) -> str:
    """A text that DICOM takes as one value: without line breaks and backslashes, which part values, and cut off."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f\\]", " ", text).split())[:length].strip() or "unnamed"


def _segment(
    number: int, organ: Organ, organs: Mapping[int, Organ], algorithm: "hd.AlgorithmIdentificationSequence"
) -> "hd.seg.SegmentDescription":
    import highdicom as hd

    anomaly = organ.kind == "anomaly"
    made = hd.seg.SegmentDescription(
        segment_number=number, segment_label=fitting(organ.name),
        segmented_property_category=_concept(
            organ.category or (ALTERED_STRUCTURE if anomaly else ANATOMICAL_STRUCTURE)
        ),
        segmented_property_type=_concept(organ.type or _private(organ)),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC, algorithm_identification=algorithm,
        tracking_id=organ.id, tracking_uid=hd.UID(),
        anatomic_regions=[_concept(region)] if anomaly and (region := _host(organ, organs)) else None,
        display_color=hd.color.CIELabColor.from_rgb(*organ.color),
    )  # fmt: skip
    if organ.modifier is not None:
        kind = made.SegmentedPropertyTypeCodeSequence[0]
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(organ.modifier)]
    return made


def _host(organ: Organ, organs: Mapping[int, Organ]) -> Code | None:
    """The code of the organ that an anomaly lies in, where it is known."""
    assert organ.host is not None
    host = next((other for other in organs.values() if other.id == organ.host), None) or organ_from_name(organ.host)
    return host.type


def _private(organ: Organ) -> Code:
    return Code(PRIVATE_SCHEME, organ.id, organ.name)


def _concept(code: Code) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(fitting(code.value), fitting(code.scheme, SHORT_TEXT), fitting(code.meaning))


def _ai() -> Any:
    from pydicom.sr.codedict import codes

    return codes.cid7162.ArtificialIntelligence


def _private_scheme() -> Any:
    from highdicom.base import CodingSchemeIdentificationItem

    return CodingSchemeIdentificationItem(designator=PRIVATE_SCHEME, name="Organs and quantities of OrganIncrement")


def _in_order_of_place(made: "Dataset") -> None:
    """Frames along rows × columns: dcmqi, by which Slicer reads maps, takes them as the slices whatever they say."""
    axes = made.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    normal = np.cross(*np.array(axes, float).reshape(2, 3))
    frames = list(made.PerFrameFunctionalGroupsSequence)
    places_mm = np.array([frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames], float)
    order = np.argsort(places_mm @ normal)
    pixels = memoryview(made.FloatPixelData)
    size = len(pixels) // len(frames)
    made.FloatPixelData = b"".join(pixels[frame * size : (frame + 1) * size] for frame in order)
    for number, frame in enumerate(order, 1):
        frames[frame].FrameContentSequence[0].DimensionIndexValues = [number]
    made.PerFrameFunctionalGroupsSequence = [frames[frame] for frame in order]


def _anywhere() -> "Dataset":
    """Of which part of the body the frames are, which readers expect: of any."""
    from pydicom.dataset import Dataset

    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [_concept(Code("SCT", "38266002", "Entire body"))]
    return anatomy


def _version(made_by: MadeBy) -> str:
    return f"package {made_by.sha256[:16]}"


def _made(made_by: MadeBy) -> dict[str, Any]:
    """What both kinds of file say of who made them: a program and a model, no person and no place."""
    import highdicom as hd

    return {
        "series_instance_uid": hd.UID(), "sop_instance_uid": hd.UID(), "instance_number": 1,
        "manufacturer": MAKER, "manufacturer_model_name": MAKER, "software_versions": __version__,
        "device_serial_number": made_by.sha256[:16], "content_creator_name": MAKER,
        "content_description": fitting(f"By {made_by.model}; {RESEARCH_ONLY}"),
    }  # fmt: skip


def _save(made: "Dataset", source: SourceSeries, path: Path) -> None:
    for element in source.patient:
        made[element.tag] = element
    with replacing(path) as partial:
        made.save_as(partial)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Errors of the library without its words, which may quote what the source says of the patient."""
    with silent_libraries():
        try:
            yield
        except (ImageError, MemoryError, OSError):
            raise
        except Exception as error:
            raise ImageError(
                f"{path}: cannot be made of this series ({type(error).__name__}); export the series again and retry"
            ) from None
