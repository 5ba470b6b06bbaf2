"""Importing from tables and folders that people made: odd content is refused in one line, and leaves nothing behind."""

import os
import shutil

import numpy as np
import pytest

from organincrement.cli.main import main
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.import_dataset import import_dataset

HEADER = "image,label,id,group\n"
ROW = "images/pt_1.nii.gz,labels/pt_1.nii.gz,one,anna\n"
OTHER = "images/pt_2.nii.gz,labels/pt_2.nii.gz,two,ben\n"


@pytest.fixture
def root(tmp_path):
    """Two images and labels, and beside them whatever a test adds."""
    for index in (1, 2):
        rng = np.random.default_rng(index)
        for name, array in (("images", rng.integers(0, 99, (3, 4, 5))), ("labels", np.ones((3, 4, 5)))):
            (tmp_path / name).mkdir(exist_ok=True)
            volume = Volume(array.astype(np.int16), (3.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
            write_nifti(tmp_path / name / f"pt_{index}.nii.gz", volume)
    return tmp_path


def refused(capsys, root, images, labels, source, words):
    before = sorted(root.rglob("*"))
    code = main(
        ["dataset", "import", "--images", str(root / images), "--labels", str(root / labels), "--organs", "mandible=1",
         "--from", source, "--out", str(root / "dataset")]
    )  # fmt: skip
    said = capsys.readouterr()
    assert code == 3 and said.err.count("\n") == 1 and "Traceback" not in said.err, said
    assert words in said.err, said.err
    assert sorted(root.rglob("*")) == before


TABLES = {
    "nothing": ("", "holds no images"),
    "only a header": (HEADER, "holds no images"),
    "semicolons": ((HEADER + ROW).replace(",", ";"), "needs an image and a label"),
    "another encoding": ((HEADER + ROW.replace("anna", "änna")).encode("utf-16"), "not a UTF-8 CSV"),
    "zero bytes": (HEADER + ROW.replace("pt_1", "pt_1\0", 1), "is not there"),
    "a path that is too long": (HEADER + ROW.replace("pt_1", "x" * 5000, 1), "is not there"),
    "a path to nowhere": (HEADER + ROW.replace("labels/", "../nowhere/"), "is not there"),
    "a cell too many": (HEADER + ROW.replace("anna", "anna,x"), "line 2: has more cells"),
    "a column twice": ("image,label,label\na,b,c\n", "column 'label' twice"),
    "no id left": (HEADER + ROW.replace("one", "???"), "no letter or digit"),
    "one id twice": (HEADER + ROW + OTHER.replace("two", "ONE"), "gives the case id ONE"),
    "one label twice": (HEADER + ROW + OTHER.replace("labels/pt_2", "labels/../labels/pt_1"), "is the label of one"),
    "one image of two patients": (HEADER + ROW + OTHER.replace("images/pt_2", "images/pt_1"), "in two groups"),
    "a group of two lines": (HEADER + ROW.replace("anna", '"an\nna"'), "is no name"),
    "a group without end": (HEADER + ROW.replace("anna", "a" * 5000), "is no name"),
    "an open quote": (HEADER + ROW.replace("anna", '"anna'), ""),
    "a cell without end": (HEADER + ROW.replace("anna", "a" * 200_000), "not a UTF-8 CSV"),
    "an image as its own label": (HEADER + ROW.replace("labels/", "images/"), "as image and as label"),
    "a device": (HEADER + ROW.replace("images/pt_1.nii.gz", "/dev/zero"), "zero: is no regular file"),
}


@pytest.mark.parametrize(("text", "words"), TABLES.values(), ids=TABLES.keys())
def test_a_table_that_cannot_be_followed(capsys, root, text, words):
    (root / "cases.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    if words:
        refused(capsys, root, "cases.csv", "gone", "csv", words)
    else:
        import_dataset(root / "cases.csv", root / "gone", {"mandible": 1}, root / "dataset", source="csv")


def test_a_table_that_is_a_pipe_or_a_folder(capsys, root):
    os.mkfifo(root / "cases.csv")
    refused(capsys, root, "cases.csv", "labels", "csv", "is no CSV file")
    refused(capsys, root, "images", "labels", "csv", "is no CSV file")


def test_images_and_labels_in_one_folder(capsys, root):
    refused(capsys, root, "images", "images", "folders", "is given as image and as label")


@pytest.mark.parametrize("source", ["folders", "decathlon"])
def test_a_pipe_a_link_to_nowhere_and_an_empty_file_among_the_images(capsys, root, source):
    for make in (os.mkfifo, lambda path: path.symlink_to("gone"), lambda path: path.write_bytes(b""), os.mkdir):
        for folder in ("images", "labels"):
            make(root / folder / "pt_3.nii.gz")
        refused(capsys, root, "images", "labels", source, "pt_3")
        for folder in ("images", "labels"):
            path = root / folder / "pt_3.nii.gz"
            path.rmdir() if path.is_dir() else path.unlink()


def test_nnunet_folders_with_names_of_something_else(capsys, root):
    for folder, name in (("imagesTr", "images"), ("labelsTr", "labels")):
        shutil.copytree(root / name, root / "raw" / folder)
    refused(capsys, root, "raw", "raw", "nnunet", "not named like a one-channel nnU-Net image")
    (root / "raw/imagesTr/pt_1.nii.gz").rename(root / "raw/imagesTr/_0000.nii.gz")
    refused(capsys, root, "raw", "raw", "nnunet", "not named like")
