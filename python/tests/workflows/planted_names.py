"""Scans that tell whose they are in every place that a format has for text, and a search that opens everything."""

import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk
from tiny_world import TinyWorld

from organincrement.imaging.safe_read import read_stored
from organincrement.imaging.volume import Volume

SURNAME, GIVEN, NUMBER, BORN, SCANNED = "Zyxwolski", "Jadwiga", "MRN7391546", "19470229", "20191231"
STUDY_UID, DOCTOR, USER, WARD = "1.2.826.0.1.3680043.99887766", "Quennby", "hquennby", "Station-Oberdorf"
PLANTED = (SURNAME, GIVEN, NUMBER, BORN, SCANNED, STUDY_UID, DOCTOR, USER, WARD)
TEXT = f"{SURNAME}^{GIVEN} {NUMBER} *{BORN} {SCANNED}"


def file_name(number: int) -> str:
    return f"{SURNAME}_{GIVEN}_{NUMBER}-{number}_{SCANNED}"


def plant_files(world: TinyWorld, folder: Path) -> tuple[Path, Path]:
    """Four scans with labels, each in another format, in folders named after a ward and its doctor."""
    images, labels = folder / WARD / "images", folder / f"Dr {DOCTOR}" / "labels"
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for number, case in enumerate(world.site_b.cases()):
        image, label = (read_stored(path) for path in (world.site_b.image_path(case), world.site_b.label_path(case)))
        write = (_nifti, _nrrd, _metaimage, _nifti)[number]
        write(images, file_name(number), image)
        (_nrrd, _nifti, _nifti, _metaimage)[number](labels, file_name(number), label)
    return images, labels


def plant_table(images: Path, labels: Path) -> Path:
    """A CSV file that names patients in its columns id and group."""
    table = images.parent / f"{WARD}.csv"
    rows = ["image,label,id,group"]
    for image in sorted(images.iterdir()):
        label = next(path for path in labels.iterdir() if path.name.split(".")[0] == image.name.split(".")[0])
        rows.append(f"images/{image.name},{label.name},{SURNAME} {len(rows)},{SURNAME}^{GIVEN}")
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return table


def plant_series(world: TinyWorld, folder: Path) -> tuple[Path, Path]:
    """A folder of DICOM series, one a patient's name, and their labels."""
    series, labels = folder / "dicom", folder / "dicom-labels"
    labels.mkdir(parents=True)
    for number, case in enumerate(world.site_b.cases()[:2]):
        _dicom(series / file_name(number), read_stored(world.site_b.image_path(case)))
        _nifti(labels, file_name(number), read_stored(world.site_b.label_path(case)))
    return series, labels


def _nifti(folder: Path, name: str, volume: Volume) -> None:
    path = folder / f"{name}.nii"
    sitk.WriteImage(volume.to_sitk(), str(path))
    data = bytearray(path.read_bytes())
    path.unlink()
    for start, room, text in ((4, 10, SURNAME), (14, 18, NUMBER), (148, 80, TEXT), (228, 24, GIVEN), (328, 16, DOCTOR)):
        data[start : start + room] = text.encode()[: room - 1].ljust(room, b"\0")
    with gzip.GzipFile(f"{name}.nii", "wb", fileobj=(folder / f"{name}.nii.gz").open("wb")) as packed:
        packed.write(data)


def _nrrd(folder: Path, name: str, volume: Volume) -> None:
    path = folder / f"{name}.nrrd"
    sitk.WriteImage(volume.to_sitk(), str(path), True)
    header, _, voxels = path.read_bytes().partition(b"\n\n")
    lines = (
        f"\n# {TEXT}\ncontent: {TEXT}\nPatientName:={SURNAME}^{GIVEN}\nStudyInstanceUID:={STUDY_UID}\nward:={WARD}\n"
    )
    path.write_bytes(header + lines.encode() + b"\n" + voxels)


def _metaimage(folder: Path, name: str, volume: Volume) -> None:
    path = folder / f"{name}.mha"
    sitk.WriteImage(volume.to_sitk(), str(path), True)
    before, key, after = path.read_bytes().partition(b"ElementDataFile")
    told = f"Comment = {TEXT}\nName = {SURNAME}\nAcquisitionDate = {SCANNED}\nModality = MET_MOD_CT\n"
    path.write_bytes(before + told.encode() + key + after)


def _dicom(folder: Path, volume: Volume) -> None:
    folder.mkdir(parents=True)
    image = sitk.Cast(volume.to_sitk(), sitk.sitkInt16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    tags = {
        "0008|0060": "CT", "0010|0010": f"{SURNAME}^{GIVEN}", "0010|0020": NUMBER, "0010|0030": BORN,
        "0008|0020": SCANNED, "0008|0021": SCANNED, "0008|0090": DOCTOR, "0008|1040": WARD, "0008|1070": USER,
        "0020|000d": STUDY_UID, "0020|000e": f"{STUDY_UID}.1", "0008|103e": TEXT, "0020|0037": "1\\0\\0\\0\\1\\0",
        "0028|1052": "0", "0028|1053": "1",
    }  # fmt: skip
    for index in range(image.GetDepth()):
        one = image[:, :, index]
        position = image.TransformIndexToPhysicalPoint((0, 0, index))
        for key, value in {**tags, "0020|0032": "\\".join(map(str, position)), "0020|0013": str(index)}.items():
            one.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{SURNAME}{index:03d}.dcm"))
        writer.Execute(one)


def found_in(folder: Path, planted: tuple[str, ...]) -> dict[str, set[str]]:
    """Which planted texts occur under a folder, in names or contents, packed or not: text to places."""
    places: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        contents = _opened(path.read_bytes()) if path.is_file() and not path.is_symlink() else ()
        for content in (name.encode(), *contents):
            low = content.lower()
            for text in planted:
                forms = [text.lower().encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")]
                if any(form in low for form in forms):
                    places.setdefault(text, set()).add(name)
    return places


def _opened(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes, and those of everything packed in them: gzip (also behind a header), zip, and what is in that."""
    yield data
    if depth > 3:
        return
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _opened(archive.read(name), depth + 1)
    for start in [match.start() for match in re.finditer(rb"\x1f\x8b\x08", data[:65536])]:
        try:
            yield from _opened(gzip.decompress(data[start:]), depth + 1)
        except (OSError, EOFError, ValueError):
            continue  # three bytes that look like gzip
