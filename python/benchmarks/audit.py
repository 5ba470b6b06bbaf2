"""Does the audit find what is wrong with a scan, and leave good ones alone?

    python -m benchmarks.audit --teacher PKG --data ../shared/data/headneck [--minutes 2.5]
    python -m benchmarks.audit --phantom [--minutes 2.5]

Every good scan of sites that the teacher never saw is audited as it is, and some of them after each corruption, each
time in the company of the other good scans of its site, and alone. What is measured of a scan is kept in work/audit, so
that the study resumes; the page is written from what is there. Writes docs/benchmarks/audit.md.
"""

import argparse
import sys
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmarks.audit_corruptions import LABEL, SCAN, Pair, overlapping
from benchmarks.audit_page import Tried, write_page
from benchmarks.audit_phantom import make_phantoms
from organincrement.contract import codec
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.imaging.volume import Volume
from organincrement.models.package import LoadedModel, load_package
from organincrement.planning.audit import judge
from organincrement.planning.evidence import Measured, measure_scan, measured_with_label
from organincrement.planning.findings import CaseEvidence
from organincrement.planning.scan_facts import body_mask
from organincrement.planning.teacher_view import Asked, on_model_grid
from organincrement.workflows.looking import asked_model

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "work" / "audit"
IGNORE = 255
GOOD = "good"
# folder, organ, its value in the labels, the values of organs that the teacher knows
STUDIES = {
    "headneck": (("site_b", "mandible", 1, ()), ("devtest", "mandible", 7, (1, 3, 4)), ("site_c", "larynx", 1, ())),
    "phantom": (("site_b", "stomach", 1, (2, 3, 4, 5)), ("site_a", "stomach", 1, (2, 3, 4, 5))),
}
OVERLAPS = {"label on half of an old organ": 0.5, "label on a fifth of an old organ": 0.2}


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What is measured of one case."""

    schema: ClassVar[str] = "organincrement/auditbench/1"
    evidence: CaseEvidence


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scan of a site; `old` are the label's values of organs that the teacher knows."""

    data: str
    site: str
    id: str
    organ: str
    image: Path
    label: Path
    value: int
    old: tuple[int, ...]

    def read(self) -> tuple[Volume, Volume, Volume]:
        """Scan, label of the new organ (1), and label of all organs."""
        image = read_image(self.image)
        every = read_labels(self.label, allowed=None, like=image)
        return image, every.with_array((every.array_DHW == self.value).astype(np.uint8)), every


def main() -> None:
    """Measure what is not yet measured, as far as the time goes; then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--phantom", action="store_true", help="phantoms and their teacher are made where missing")
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--good", type=int, default=8, help="good scans of each site")
    parser.add_argument("--each", type=int, default=3, help="scans of each site for each corruption")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    name, teacher, data = "headneck", options.teacher, options.data
    if options.phantom:
        name, (teacher, data) = "phantom", make_phantoms(WORK / "phantoms")
    elif teacher is None or data is None:
        parser.error("give --teacher and --data, or --phantom")
    model = load_package(teacher)
    asked = asked_model(model, "cpu")
    sites = {site: list(_cases(name, data, site, *rest)) for site, *rest in STUDIES[name]}
    for case, what in _wanted(sites, options):
        if time.monotonic() > until:
            print("time is up; run again to go on", file=sys.stderr)
            break
        _measure(case, what, asked)
    write_page(name, list(_tried(sites, model)), WORK)


def _cases(name: str, data: Path, site: str, organ: str, value: int, old: Sequence[int]) -> Iterator[Case]:
    for image in sorted((data / site / "images").glob("*.nii.gz")):
        yield Case(
            data=name, site=site, id=image.name.removesuffix(".nii.gz"), organ=organ, image=image,
            label=data / site / "labels" / image.name, value=value, old=tuple(old),
        )  # fmt: skip


def _wanted(sites: Mapping[str, Sequence[Case]], options: argparse.Namespace) -> Iterator[tuple[Case, str]]:
    """Good scans first, for they are the company; then one scan of each site for every corruption, then the next."""
    for number in range(options.good):
        yield from ((cases[number], GOOD) for cases in sites.values() if number < len(cases))
    for number in range(options.each):
        for what in (*SCAN, *LABEL, *OVERLAPS):
            for cases in sites.values():
                if number < len(cases) and (what not in OVERLAPS or cases[number].old):
                    yield cases[number], what


def _kept_at(case: Case, what: str) -> Path:
    return WORK / case.data / f"{case.site}-{case.id}-{zlib.crc32(what.encode()):08x}.json"


def _measure(case: Case, what: str, asked: Asked) -> None:
    path = _kept_at(case, what)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    image, labels, every = case.read()
    generator = np.random.default_rng(zlib.crc32(f"{case.id} {what}".encode()))
    changed_image, changed_labels = _corrupted(case, what, image, labels, every, generator)
    started = time.monotonic()
    if what in SCAN or what == GOOD:
        measured = measure_scan(case.id, changed_image, asked)
        if measured.teacher_DHW is not None and what == GOOD:
            np.savez_compressed(path.with_suffix(".npz"), teacher=measured.teacher_DHW)
    else:  # the scan is the good one, of which the teacher has been asked already
        measured = _good_again(case, image, asked)
    space = LabelSpace((organ_from_name(case.organ),))
    measured = measured_with_label(measured, changed_labels, space, asked, IGNORE)
    codec.write(Kept(evidence=measured.evidence), path)
    print(f"{case.site} {case.id}, {what}: {time.monotonic() - started:.1f} s", file=sys.stderr)


def _good_again(case: Case, image: Volume, asked: Asked) -> Measured:
    path = _kept_at(case, GOOD)
    on_grid = on_model_grid(image, asked.manifest.preprocessing)
    return Measured(
        evidence=codec.read(Kept, path).evidence, on_grid=on_grid, body_DHW=body_mask(on_grid.array_DHW, ct=True),
        teacher_DHW=np.load(path.with_suffix(".npz"))["teacher"],
    )  # fmt: skip


def _corrupted(
    case: Case, what: str, image: Volume, labels: Volume, every: Volume, generator: np.random.Generator
) -> Pair:
    if what == GOOD:
        return image, labels
    if what in OVERLAPS:
        old = generator.choice(case.old)
        return overlapping(every.array_DHW == old, OVERLAPS[what])(image, labels, generator)
    return {**SCAN, **LABEL}[what](image, labels, generator)


def _tried(sites: Mapping[str, Sequence[Case]], model: LoadedModel) -> Iterator[Tried]:
    """Every verdict that can be given from what is measured by now."""
    for site, cases in sites.items():
        good = {case.id: _evidence(case, GOOD) for case in cases}
        company = {name: evidence for name, evidence in good.items() if evidence is not None}
        for case in cases:
            space = LabelSpace((organ_from_name(case.organ),))
            for what in (GOOD, *SCAN, *LABEL, *OVERLAPS):
                evidence = _evidence(case, what)
                if evidence is None:
                    continue
                together = judge([evidence, *(e for n, e in company.items() if n != case.id)], model.manifest, space)
                alone = judge([evidence], model.manifest, space)
                yield Tried(site=site, what=what, together=together.cases[0], alone=alone.cases[0])


def _evidence(case: Case, what: str) -> CaseEvidence | None:
    path = _kept_at(case, what)
    return codec.read(Kept, path).evidence if path.exists() else None


if __name__ == "__main__":
    main()
