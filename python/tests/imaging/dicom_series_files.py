"""DICOM series to write, and what reading them must give."""

import random

import numpy as np

from fuzz.dicom_bytes import EXPLICIT
from fuzz.dicom_mutants import Series


def series(*, syntax=EXPLICIT, one_file=False, bits=(16, 16), signed=True, modality="CT", spacing=(1.25, 0.75, 3.0)):
    made = Series(random.Random(3))
    made.syntax, made.one_file, made.bits, made.signed, made.modality = syntax, one_file, bits, signed, modality
    made.shape = (5, 4, 6)
    made.row_mm, made.column_mm, made.step_mm = spacing
    made.pixels = np.random.default_rng(0).integers(-100 if signed else 0, 100, made.shape)
    made.rescales = [(1 + index / 2, -1000 - index) for index in range(5)]
    made.slices = [made._slice(index) for index in range(5)]
    made.names = ["c.dcm", "a.dcm", "e.dcm", "b.dcm", "d.dcm"]
    return made


def write(made, folder, **more):
    folder.mkdir()
    for name, data in {**made.files(), **more}.items():
        (folder / name).write_bytes(data)
    return folder


def expected(made):
    return np.stack([made.pixels[d] * slope + b for d, (slope, b) in enumerate(made.rescales)])


def set_all(made, tag, kind, value):
    for item in made.slices:
        item[tag] = (kind, value)
    return made
