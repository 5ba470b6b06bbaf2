"""Where a merge may write, what a failed one leaves there, and which folders and maps it takes."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from merge_inputs_made_up import SHAPE, box, drawn, labels, merged, segmented, space, volume

from organincrement.imaging.errors import ImageError
from organincrement.imaging.writing import write_volume
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.merge import MergeRequest, merge
from organincrement.workflows.merge_inputs import MergeInput

ORGAN = box((1, 5), (1, 7), (0, 6))
OTHER = box((1, 5), (1, 7), (4, 9))
FILES = ("segmentation.seg.nrrd", "uncertainty.nrrd", "regions.json", "conflicts.json", "report.json")


@pytest.fixture
def two(tmp_path):
    """Two segmentations that disagree, with maps."""
    return (
        segmented(tmp_path / "spleen", labels((1, ORGAN)), space("spleen"), 30),
        segmented(tmp_path / "stomach", labels((1, OTHER)), space("stomach"), 20),
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def refuse(monkeypatch, how: str, name: str) -> None:
    """A disk that is full when a file of this name is written (replace) or moved to its place (rename)."""
    real = getattr(Path, how)

    def full(source, target):
        if Path(target).name == name and source.parent.name == "made":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(source, target)

    monkeypatch.setattr(Path, how, full)


@pytest.mark.parametrize("how", ["replace", "rename"])
@pytest.mark.parametrize("name", FILES)
def test_a_merge_that_the_disk_refuses_leaves_the_earlier_one_as_it_was(tmp_path, two, monkeypatch, how, name):
    merged(tmp_path / "out", *two)
    (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    earlier = contents(tmp_path / "out")
    refuse(monkeypatch, how, name)
    for out in ("out", "new"):
        with pytest.raises(WorkflowError, match=rf"{out}: cannot be written \(No space left on device\); free disk"):
            merge(MergeRequest(out=tmp_path / out, inputs=two, order=[1, 0]))
    assert contents(tmp_path / "out") == earlier
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_written(tmp_path, two, name):
    merged(tmp_path / "out", *two)
    (tmp_path / "out" / name).unlink()
    (tmp_path / "out" / name).mkdir()
    earlier = contents(tmp_path / "out")
    with pytest.raises(WorkflowError, match=rf"{name}: is a folder where a file is to be; choose .*--out"):
        merge(MergeRequest(out=tmp_path / "out", inputs=two))
    assert contents(tmp_path / "out") == earlier


def test_a_merge_over_an_earlier_one_leaves_nothing_of_that_but_what_others_put_there(tmp_path, two):
    merged(tmp_path / "out", *two)
    (tmp_path / "out" / ".merging-killed").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    certain = [MergeInput(path=one.path, certain=True) for one in two]
    _, found = merged(tmp_path / "out", *certain)
    assert sorted(contents(tmp_path / "out")) == [
        "conflicts.json", "notes.txt", "report.json", "segmentation.seg.nrrd",
    ]  # fmt: skip
    assert (found[ORGAN] == 1).all()


def test_a_result_of_segment_is_never_written_over(tmp_path, two):
    segmented(tmp_path / "out", labels((1, ORGAN)), space("liver"), 5)
    earlier = contents(tmp_path / "out")
    with pytest.raises(WorkflowError, match=r"^out: holds a result of `segment`; choose another folder with --out$"):
        merge(MergeRequest(out=tmp_path / "out", inputs=two))
    assert contents(tmp_path / "out") == earlier


def test_the_folder_of_a_given_map_is_never_written_over(tmp_path, two):
    (tmp_path / "mine").mkdir()
    write_volume(tmp_path / "mine" / "uncertainty.nrrd", volume(np.full(SHAPE, 7, np.uint8)))
    own = MergeInput(path=two[0].path, uncertainty=tmp_path / "mine" / "uncertainty.nrrd")
    earlier = contents(tmp_path / "mine")
    with pytest.raises(WorkflowError, match=r"^mine: holds a map of uncertainty; write to another folder$"):
        merge(MergeRequest(out=tmp_path / "mine", inputs=[own, two[1]]))
    assert contents(tmp_path / "mine") == earlier


def test_a_folder_without_a_report_is_refused_as_half_written_and_its_file_by_name_is_not(tmp_path, two):
    (two[0].path / "report.json").unlink()
    with pytest.raises(WorkflowError, match=r"^spleen: has no report\.json: it is half-written; segment or merge"):
        merge(MergeRequest(out=tmp_path / "out", inputs=two))
    done, _ = merged(tmp_path / "out", MergeInput(path=two[0].path / "segmentation.seg.nrrd"), two[1])
    assert done.report.model == "merge of contours and stomach"


def test_the_folder_that_one_is_in_is_called_by_its_name(tmp_path, two, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(WorkflowError, match=r"^empty: holds no segmentation\.seg\.nrrd; "):
        merge(MergeRequest(out=tmp_path / "out", inputs=[MergeInput(path=Path()), two[1]]))
    monkeypatch.chdir(two[0].path)
    with pytest.raises(WorkflowError, match=r"^spleen: is itself to be merged"):
        merge(MergeRequest(out=Path(), inputs=[MergeInput(path=Path()), two[1]]))


def gradient(highest: float) -> np.ndarray:
    """A floating-point map that is 0.4 in the first slice and highest in the last one's corner."""
    map_DHW = np.full(SHAPE, 0.4, np.float32)
    map_DHW[-1, -1, -1] = highest
    return map_DHW


@pytest.mark.parametrize("origin_z_mm", [100.0, 106.0])
@pytest.mark.parametrize("slab", [1, 10**6])
def test_a_map_of_fractions_is_refused_by_the_whole_of_it(tmp_path, monkeypatch, slab, origin_z_mm):
    def grid(array_DHW):
        return volume(array_DHW, origin_mm=(-5.0, 20.0, origin_z_mm))

    monkeypatch.setattr("organincrement.workflows.merge_slabs._SLAB_VOXELS", slab)
    first = drawn(tmp_path / "a.nii.gz", labels((1, ORGAN)), spleen=1)
    path = segmented(tmp_path / "b", labels((1, OTHER)), space("stomach"), grid=grid).path
    second = MergeInput(path=path, uncertainty=tmp_path / "map.nrrd")
    for highest in (0.4, 1.0):
        write_volume(tmp_path / "map.nrrd", grid(gradient(highest)))
        with pytest.raises(ImageError, match=rf"map\.nrrd: looks like fractions, up to {highest:g}; .*multiply it by"):
            merged(tmp_path / "out", first, second, resample=True)
        assert not (tmp_path / "out").exists()
    for fine_DHW in (gradient(1.5), np.rint(gradient(1.0)), np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.uint8)):
        write_volume(tmp_path / "map.nrrd", grid(fine_DHW))
        merged(tmp_path / "out", first, second, resample=True)
