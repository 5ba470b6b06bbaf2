"""Suggesting scans of a folder: ranked, the same every time, broken files named and left out."""

from pathlib import Path

import numpy as np
import pytest
from command_line import assert_refused, run
from tiny_world import SHAPE

from organincrement.contract import codec
from organincrement.contract.results import Suggestions
from organincrement.imaging.phantom.scan import SITES, make_phantom
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.suggest import SuggestRequest, suggest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """Five phantoms, one of them twice, a file cut off, a note, and nothing but air."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for seed in range(31, 36):
        image = make_phantom(seed, SITES["b"], SHAPE).image
        write_nifti(folder / f"scan_{seed}.nii.gz", image)
    whole = (folder / "scan_31.nii.gz").read_bytes()
    (folder / "scan_31_again.nii.gz").write_bytes(whole)
    (folder / "scan_cut.nii.gz").write_bytes(whole[:3000])
    (folder / "notes.txt").write_text("to do", encoding="utf-8")
    write_nifti(folder / "air.nii.gz", image.with_array(np.full(SHAPE, -1000, np.int16)))
    return folder


def test_scans_are_ranked_and_what_cannot_be_read_is_named(tiny_world, images, tmp_path):
    result = suggest(
        SuggestRequest(model=tiny_world.teacher, images=images, count=4, out=tmp_path / "out", device="cpu")
    )
    rows = result.suggestions.images
    assert [row.rank for row in rows] == [1, 2, 3, 4] and result.read == 6
    assert len(result.left_out) == 2 and {reason.split(":")[0] for reason in result.left_out} == {
        "air.nii.gz", "scan_cut.nii.gz"
    }  # fmt: skip
    assert len({row.path for row in rows}) == 4 and all((images / row.path).is_file() for row in rows)
    assert {"scan_31.nii.gz", "scan_31_again.nii.gz"} - {row.path for row in rows}  # never both of one scan
    gains = [row.coverage_gain for row in rows]
    assert all(0 <= gain <= 1 for gain in gains) and sum(gains) <= 1 + 1e-6 and all(row.uncertainty > 0 for row in rows)
    assert codec.read(Suggestions, tmp_path / "out" / "suggestions.json") == result.suggestions
    page = (tmp_path / "out" / "suggestions.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 4 and "scan_cut.nii.gz" in page and str(images) not in page


def test_the_same_folder_gives_the_same_answer_and_the_command_prints_it(tiny_world, images, capsys):
    options = ("--model", tiny_world.teacher, "--images", images, "--count", 3, "--device", "cpu")
    first, second = (run(capsys, "suggest", *options, "--json") for _ in range(2))
    assert first.code == 0 and first.out == second.out and first.err.count("left out:") == 2
    assert len(codec.loads(Suggestions, first.out, where="stdout").images) == 3
    table = run(capsys, "suggest", *options)
    assert table.out.count("scan_") == 3 and "rank" in table.out


def test_more_than_there_are_ranks_all_and_none_is_refused(tiny_world, images, tmp_path, capsys):
    everything = suggest(SuggestRequest(model=tiny_world.teacher, images=images, count=50, device="cpu"))
    assert len(everything.suggestions.images) == 6
    assert sum(row.coverage_gain for row in everything.suggestions.images) == pytest.approx(1, abs=1e-4)
    (tmp_path / "text.txt").write_text("no image", encoding="utf-8")
    assert_refused(
        run(capsys, "suggest", "--model", tiny_world.teacher, "--images", tmp_path, "--count", 1), "holds no images"
    )
    (tmp_path / "broken.nii.gz").write_bytes(b"nothing")
    assert_refused(
        run(capsys, "suggest", "--model", tiny_world.teacher, "--images", tmp_path, "--count", 1), "broken.nii.gz"
    )
