"""Auditing a dataset folder: every case gets a verdict, broken ones a reason, and the files are of the contract."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import assert_refused, run
from tiny_world import copied

from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.results import Audit
from organincrement.imaging.safe_read import read_image
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.audit import AuditRequest, audit

pytestmark = pytest.mark.slow


def spoil(dataset: DatasetFolder, number: int, change) -> str:
    """Rewrite the image of a case. Returns: its id."""
    case = dataset.cases()[number]
    path = dataset.image_path(case)
    image = read_image(path)
    write_nifti(path, change(image))
    return case.id


@pytest.fixture(scope="module")
def audited(tiny_world, tmp_path_factory) -> tuple[Path, Audit, dict[str, str]]:
    """Site B with three of its four scans broken in different ways, the folder written, and who is who."""
    root = tmp_path_factory.mktemp("audit")
    dataset = copied(tiny_world.site_b, root / "data")
    who = {
        "mr": spoil(dataset, 0, lambda image: image.with_array(np.abs(image.array_DHW) + 5)),
        "metres": spoil(dataset, 1, lambda image: replace(image, spacing_mm=tuple(9 * mm for mm in image.spacing_mm))),
        "good": dataset.cases()[3].id,
    }
    for name in ("mr", "metres"):  # the labels on the scans' own grid, or they would be refused for that
        case = dataset.case(who[name])
        image, label = read_image(dataset.image_path(case)), read_image(dataset.label_path(case))
        write_nifti(dataset.label_path(case), image.with_array(label.array_DHW.astype(np.uint8)))
    cut = dataset.cases()[2]
    who["cut"] = cut.id
    path = dataset.image_path(cut)
    path.write_bytes(path.read_bytes()[:2000])
    seen: list[tuple[int, int, str]] = []
    result = audit(
        AuditRequest(
            teacher=tiny_world.teacher, dataset=dataset.path, out=root / "out", device="cpu",
            progress=lambda *step: seen.append(step),
        )
    )  # fmt: skip
    assert [step[:2] for step in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return root / "out", result, who


def test_every_case_has_a_verdict_and_broken_ones_say_why(audited):
    _, result, who = audited
    assert [case.id for case in result.cases] == sorted(who.values())
    by_id = {case.id: case for case in result.cases}
    for name, says in (("mr", "no CT in HU"), ("metres", "more than any scanner's"), ("cut", "Cannot be read")):
        assert by_id[who[name]].verdict == "unusable" and says in by_id[who[name]].reason, by_id[who[name]]
    good = by_id[who["good"]]
    assert good.uncertainty > 0 and good.intensity_distance < 55 and good.spacing_distance < 0.2


def test_the_files_hold_the_result_and_no_folder_of_this_computer(audited):
    out, result, who = audited
    assert codec.read(Audit, out / "audit.json") == result
    page = (out / "audit.html").read_text(encoding="utf-8")
    for text in (page, (out / "audit.json").read_text(encoding="utf-8")):
        assert str(out.parent) not in text and all(case_id in text for case_id in who.values())
    assert "Research use only" in page and " of 4 need a look before" in page
    assert page.count("data:image/png") == 2  # neither the one cut off nor the one of metres can be shown


def test_the_command_prints_a_line_for_each_case(tiny_world, tmp_path, capsys):
    dataset = copied(tiny_world.site_b, tmp_path / "data")
    for case in dataset.cases()[1:]:
        (dataset.path / "cases" / f"{case.id}.json").unlink()
    options = ("--teacher", tiny_world.teacher, "--dataset", dataset.path, "--out", tmp_path / "out", "--device", "cpu")
    done = run(capsys, "audit", *options)
    assert done.code == 0 and done.out.count("\n") == 2 and dataset.cases()[0].id in done.out
    printed = run(capsys, "audit", *options, "--json")
    assert codec.loads(Audit, printed.out, where="stdout") == codec.read(Audit, tmp_path / "out" / "audit.json")


def test_a_dataset_without_cases_is_refused(tiny_world, tmp_path, capsys):
    empty = DatasetFolder.create(tmp_path / "empty", tiny_world.site_b.manifest)
    options = ("--teacher", tiny_world.teacher, "--dataset", empty.path, "--out", tmp_path / "out")
    assert_refused(run(capsys, "audit", *options), "has no case")
    assert not (tmp_path / "out").exists()
