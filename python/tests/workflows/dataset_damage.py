"""Ways in which a dataset folder is damaged: the deed, and the finding that must come of it."""

import json
import os
import shutil

import numpy as np

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti

GRID = ((3.0, 0.75, 1.25), (-11.5, 22.25, 7.0), np.eye(3))
HISTORY, HEAD = "history.jsonl", "history.head"


def label(value=1):
    array = np.zeros((4, 5, 6), np.uint8)
    array[1, 2, 3:5] = value
    return Volume(array, *GRID)


def edit(folder, case_id, **changes):
    """Change a case's file by hand, behind the history's back."""
    path = folder / f"cases/{case_id}.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def history(folder, change):
    lines = (folder / HISTORY).read_bytes().splitlines(keepends=True)
    (folder / HISTORY).write_bytes(b"".join(change(lines)))


def replaced(lines, index, old, new):
    assert old in lines[index]
    return [*lines[:index], lines[index].replace(old, new), *lines[index + 1 :]]


def copy(folder, source, target):
    (folder / target).parent.mkdir(exist_ok=True)
    shutil.copy(folder / source, folder / target)


def relabel(folder, case_id, volume):
    write_nifti(folder / f"labels/{case_id}.nii.gz", volume)
    edit(folder, case_id, label_sha256=sha256_file(folder / f"labels/{case_id}.nii.gz"))


def redraw(folder, case_id, volume):
    """Another label, submitted and approved as people do."""
    write_nifti(folder / f"labels/{case_id}.nii.gz", volume)
    for status in ("submitted", "approved"):
        DatasetFolder.open(folder).move(case_id, status, "Ana", "")


def link(folder, name, target):
    (folder / name).unlink()
    (folder / name).symlink_to(target)


def become_link(folder, name, target):
    (folder / name).rename(target)
    (folder / name).symlink_to(target)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-9])


# (what happened, what was done, kind, file, words of the line)
TWO_PEOPLE = [
    ("a sync tool's copy of a case", lambda f: copy(f, "cases/pt_1.json", "cases/pt_1 (conflicted copy 2026).json"),
     "problem", "cases/pt_1 (conflicted copy 2026).json", "second file of case pt_1"),
    ("a browser's copy of a case", lambda f: copy(f, "cases/pt_1.json", "cases/pt_1 (1).json"),
     "problem", "cases/pt_1 (1).json", "compare it with cases/pt_1.json"),
    ("a case under two names", lambda f: copy(f, "cases/pt_1.json", "cases/pt_1-1.json"),
     "problem", "cases/pt_1-1.json", "second file of case pt_1"),
    ("syncthing's copy of a case", lambda f: copy(f, "cases/pt_1.json", "cases/pt_1.sync-conflict-20261121-A.json"),
     "problem", "cases/pt_1.sync-conflict-20261121-A.json", "second file"),
    ("an editor's backup of a label", lambda f: copy(f, "labels/pt_1.nii.gz", "labels/pt_1.nii.gz~"),
     "problem", "labels/pt_1.nii.gz~", "second label of case pt_1"),
    ("a file manager's copy of a label", lambda f: copy(f, "labels/pt_1.nii.gz", "labels/pt_1 - Copy.nii.gz"),
     "problem", "labels/pt_1 - Copy.nii.gz", "second label of case pt_1"),
    ("a case that was renamed", lambda f: (f / "cases/pt_1.json").rename(f / "cases/smith.json"),
     "problem", "cases/smith.json", "rename it to pt_1.json"),
    ("an editor's backup", lambda f: copy(f, "cases/pt_1.json", "cases/pt_1.json~"),
     "note", "cases/pt_1.json~", "copy of cases/pt_1.json"),
    ("a person's backup", lambda f: copy(f, "cases/pt_1.json", "cases/pt_1.json.bak"),
     "note", "cases/pt_1.json.bak", "copy of cases/pt_1.json"),
    ("an editor's swap file", lambda f: (f / "cases/.pt_1.json.swp").write_bytes(b"b0VIM"),
     "note", "cases/.pt_1.json.swp", "delete it when nobody is writing"),
    ("an office program's lock", lambda f: (f / "cases/.~lock.pt_1.json#").write_text("Ana", encoding="utf-8"),
     "note", "cases/.~lock.pt_1.json#", "left behind"),
    ("a copy of the history", lambda f: copy(f, HISTORY, "history (conflicted copy).jsonl"),
     "problem", "history (conflicted copy).jsonl", "second copy of history.jsonl"),
    ("syncthing's copy of the history", lambda f: copy(f, HISTORY, "history.sync-conflict-20261121.jsonl"),
     "problem", "history.sync-conflict-20261121.jsonl", "second copy of history.jsonl"),
    ("a copy of the manifest", lambda f: copy(f, "dataset.json", "dataset (1).json"),
     "problem", "dataset (1).json", "second copy of dataset.json"),
    ("a second label", lambda f: copy(f, "labels/pt_1.nii.gz", "labels/pt_1 (1).nii.gz"),
     "problem", "labels/pt_1 (1).nii.gz", "second label of case pt_1"),
    ("a second label in another format", lambda f: copy(f, "labels/pt_1.nii.gz", "labels/pt_1.nrrd"),
     "problem", "labels/pt_1.nrrd", "second label of case pt_1"),
    ("a copied label", lambda f: copy(f, "labels/pt_1.nii.gz", "labels/Copy of pt_1.nii.gz"),
     "problem", "labels/Copy of pt_1.nii.gz", "second label of case pt_1"),
    ("one label of two cases", lambda f: edit(f, "pt_1", label="labels/pt_0.nii.gz"),
     "problem", "labels/pt_0.nii.gz", "label of cases pt_0, pt_1"),
    ("one image of two cases", lambda f: edit(f, "pt_1", image="images/pt_0.nii.gz"),
     "problem", "cases/pt_0.json", "pt_0, pt_1 are one scan in different groups"),
    ("a lost update", lambda f: edit(f, "pt_1", status="submitted"),
     "problem", HISTORY, "case pt_1 is submitted but its history ends with approved"),
    ("a label redrawn after its approval", lambda f: write_nifti(f / "labels/pt_1.nii.gz", label(0)),
     "problem", "labels/pt_1.nii.gz", "look at it and submit it again"),
    ("an approval stretched to another label", lambda f: relabel(f, "pt_1", label(0)),
     "problem", "cases/pt_1.json", "names another label than was approved"),
    ("names alike but for letter case", lambda f: copy(f, "cases/pt_1.json", "cases/PT_1.json"),
     "problem", "cases/PT_1.json", "one file on Windows and macOS"),
    ("groups alike but for letter case", lambda f: (edit(f, "pt_1", group="PT_0 "),),
     "note", "cases/pt_0.json", "differ only in letter case or spaces"),
]  # fmt: skip

HALF_COPIED = [
    ("no image", lambda f: (f / "images/pt_1.nii.gz").unlink(), "problem", "images/pt_1.nii.gz", "missing"),
    ("no label", lambda f: (f / "labels/pt_1.nii.gz").unlink(), "problem", "labels/pt_1.nii.gz", "missing"),
    ("no images", lambda f: shutil.rmtree(f / "images"), "problem", "images", "the folder is missing, and 3 files"),
    ("no cases", lambda f: shutil.rmtree(f / "cases"), "problem", "cases", "the folder is missing"),
    ("a case gone", lambda f: (f / "cases/pt_1.json").unlink(), "problem", HISTORY, "restore cases/pt_1.json"),
    ("no history", lambda f: (f / HISTORY).unlink(), "problem", HISTORY, "3 cases have been submitted"),
    ("no history and no head", lambda f: ((f / HISTORY).unlink(), (f / HEAD).unlink()), "problem", HISTORY, "missing"),
    ("no head", lambda f: (f / HEAD).unlink(), "note", HEAD, "is missing"),
    ("no manifest", lambda f: (f / "dataset.json").unlink(), "problem", "dataset.json", "cannot be read"),
    ("half a manifest", lambda f: truncate(f / "dataset.json"), "problem", "dataset.json", "not valid JSON"),
    ("half a case", lambda f: truncate(f / "cases/pt_1.json"), "problem", "cases/pt_1.json", "not valid JSON"),
    ("half a head", lambda f: truncate(f / HEAD), "problem", HEAD, "not valid JSON"),
    ("half an image", lambda f: truncate(f / "images/pt_1.nii.gz"), "problem", "images/pt_1.nii.gz", "changed"),
    ("half a label", lambda f: truncate(f / "labels/pt_1.nii.gz"), "problem", "labels/pt_1.nii.gz", "cut off"),
    ("an empty case", lambda f: (f / "cases/pt_1.json").write_bytes(b""), "problem", "cases/pt_1.json", "0 bytes"),
    ("an empty image", lambda f: (f / "images/pt_1.nii.gz").write_bytes(b""), "problem", "images/pt_1.nii.gz", "0 by"),
    ("an empty label", lambda f: (f / "labels/pt_1.nii.gz").write_bytes(b""), "problem", "labels/pt_1.nii.gz", "0 by"),
    ("an empty history", lambda f: (f / HISTORY).write_bytes(b""), "problem", HISTORY, "the last 6 are gone"),
    ("an empty manifest", lambda f: (f / "dataset.json").write_bytes(b""), "problem", "dataset.json", "not valid JSON"),
    ("our own temporary file", lambda f: (f / "cases/.pt_1.json.0a1b2c3d.partial").write_bytes(b"{"),
     "note", "cases/.pt_1.json.0a1b2c3d.partial", "left behind"),
    ("a download's temporary file", lambda f: (f / "images/.pt_9.nii.gz.tmp").write_bytes(b"{"),
     "note", "images/.pt_9.nii.gz.tmp", "left behind"),
    ("rsync's temporary file", lambda f: (f / "images/.pt_1.nii.gz.Xy12Za").write_bytes(b"{"),
     "note", "images/.pt_1.nii.gz.Xy12Za", "left behind"),
    ("an image of no case", lambda f: copy(f, "images/pt_1.nii.gz", "images/visitor.nii.gz"),
     "note", "images/visitor.nii.gz", "belongs to no case"),
]  # fmt: skip

OTHER_THINGS = [
    ("a link to the image", lambda f: become_link(f, "images/pt_1.nii.gz", f / "images/elsewhere.nii.gz"),
     "note", "images/pt_1.nii.gz", "is a link"),
    ("a link out of the folder", lambda f: become_link(f, "images/pt_1.nii.gz", f.parent / "pt_1.nii.gz"),
     "problem", "images/pt_1.nii.gz", "leads out of the folder"),
    ("a link to nowhere", lambda f: link(f, "labels/pt_1.nii.gz", "gone"),
     "problem", "labels/pt_1.nii.gz", "missing"),
    ("a link in a circle", lambda f: link(f, "labels/pt_1.nii.gz", "pt_1.nii.gz"),
     "problem", "labels/pt_1.nii.gz", "in a circle"),
    ("a case that is a link", lambda f: become_link(f, "cases/pt_1.json", f.parent / "pt_1.json"),
     "problem", "cases/pt_1.json", "is a link"),
    ("a pipe for an image", lambda f: ((f / "images/pt_1.nii.gz").unlink(), os.mkfifo(f / "images/pt_1.nii.gz")),
     "problem", "images/pt_1.nii.gz", "a pipe"),
    ("a pipe of no case", lambda f: os.mkfifo(f / "images/odd.nii.gz"), "problem", "images/odd.nii.gz", "a pipe"),
    ("a pipe for a case", lambda f: os.mkfifo(f / "cases/odd.json"), "problem", "cases/odd.json", "no regular file"),
    ("a pipe for the history", lambda f: ((f / HISTORY).unlink(), os.mkfifo(f / HISTORY)),
     "problem", HISTORY, "pipe"),
    ("a pipe for the lock", lambda f: ((f / "history.lock").unlink(), os.mkfifo(f / "history.lock")),
     "problem", "history.lock", "pipe"),
    ("a folder for a label", lambda f: ((f / "labels/pt_1.nii.gz").unlink(), (f / "labels/pt_1.nii.gz").mkdir()),
     "problem", "labels/pt_1.nii.gz", "a folder"),
    ("a label of another grid", lambda f: relabel(f, "pt_1", Volume(label().array_DHW, (3.0, 0.75, 1.5), *GRID[1:])),
     "problem", "labels/pt_1.nii.gz", "not on the grid of its image"),
    ("an undeclared value", lambda f: relabel(f, "pt_1", label(7)), "problem", "labels/pt_1.nii.gz", "label values 7"),
    ("a negative label", lambda f: relabel(f, "pt_1", label().with_array(np.full((4, 5, 6), -1, np.int16))),
     "problem", "labels/pt_1.nii.gz", "negative"),
    ("a probability", lambda f: relabel(f, "pt_1", label().with_array(np.full((4, 5, 6), 0.5, np.float32))),
     "problem", "labels/pt_1.nii.gz", "no whole numbers"),
    ("nothing looked at", lambda f: redraw(f, "pt_1", label().with_array(np.full((4, 5, 6), 255, np.uint8))),
     "note", "labels/pt_1.nii.gz", "not looked at"),
    ("an organ that is not declared", lambda f: edit(f, "pt_1", annotated=["mandible", "liver"]),
     "problem", "cases/pt_1.json", "'liver', which dataset.json does not declare"),
]  # fmt: skip

TAMPERED = [
    ("first line edited", lambda n: replaced(n, 0, b"imported", b"seen"), 2, "does not follow from the line before"),
    ("last line edited", lambda n: replaced(n, 5, b"imported", b"seen"), 6, "is not the line that history.head knows"),
    ("last line removed", lambda n: n[:-1], None, "has 5 lines, but history.head counts 6: the last 1 are gone"),
    ("all but the first removed", lambda n: n[:1], None, "the last 5 are gone"),
    ("a middle line removed", lambda n: n[:2] + n[3:], 3, "seq 2 is missing above it"),
    ("two lines swapped", lambda n: [n[0], n[2], n[1], *n[3:]], 2, "does not follow"),
    ("a line doubled", lambda n: [*n[:3], n[2], *n[3:]], 4, "repeats seq 2"),
    ("two people's lines interleaved", lambda n: [*n[:4], *n[2:4], *n[4:]], 5, "repeats seq 2"),
    ("a step that cannot be", lambda n: replaced(n, 0, b'"to": "submitted"', b'"to": "approved"'), 1, "cannot go"),
    ("a line of nonsense", lambda n: [*n[:3], b"{}\n", *n[3:]], 4, "missing"),
    ("a line that is no text", lambda n: [*n[:3], b"\xff\xfe\0\n", *n[3:]], 4, "not valid JSON"),
    ("a time that is none", lambda n: replaced(n, 5, b'"time": "2', b'"time": "x'), 6, "no UTC time"),
]
