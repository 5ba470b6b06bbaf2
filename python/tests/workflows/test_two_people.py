"""Two processes at work on one dataset: no step lost, one unbroken history, and only one of two imports wins."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.history import read_head
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.check_dataset import check
from organincrement.workflows.import_dataset import import_dataset

ENGINE = Path(__file__).resolve().parents[2]
CASES = 12
REVIEW = """
import sys
from organincrement.contract.dataset import DatasetFolder
folder = DatasetFolder.open(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for case_id in sys.argv[2:]:
    folder.move(case_id, "submitted", "Ana", "")
    folder.move(case_id, "approved", "Ben", "")
"""
IMPORT = """
import sys
from pathlib import Path
from organincrement.workflows.import_dataset import import_dataset
images, labels, out = map(Path, sys.argv[1:])
print("ready", flush=True)
sys.stdin.readline()
try:
    import_dataset(images, labels, {"mandible": 1}, out)
except ValueError as error:
    print(error)
    sys.exit(3)
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    for index in range(CASES):
        rng = np.random.default_rng(index)
        for name, array in (
            ("images", rng.integers(-1000, 1000, (3, 4, 5)).astype(np.int16)),
            ("labels", np.ones((3, 4, 5), np.uint8)),
        ):
            (root / name).mkdir(exist_ok=True)
            write_nifti(root / name / f"pt_{index}.nii.gz", Volume(array, (3.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)))
    return root / "images", root / "labels"


def at_once(script, *argument_lists):
    """Run the script in one process for each list, from one moment on. Returns: exit code and output of each."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)], cwd=ENGINE, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for arguments in argument_lists
    ]  # fmt: skip
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [(process.wait(120), process.communicate()[0]) for process in processes]


def test_two_reviewers_and_a_check_at_once(tmp_path, sources):
    dataset = import_dataset(*sources, {"mandible": 1}, tmp_path / "ward-7", status="draft")
    ids = [case.id for case in dataset.cases()]
    (one, said), (other, answered) = at_once(REVIEW, (dataset.path, *ids[::2]), (dataset.path, *ids[1::2]))
    assert (one, other) == (0, 0), said + answered
    assert {case.status for case in dataset.cases()} == {"approved"} and len(dataset.cases()) == CASES
    assert [entry.seq for entry in dataset.history()] == list(range(2 * CASES))
    head = read_head(dataset.history_path)
    assert head.lines == 2 * CASES and sorted(head.labels) == sorted(ids)
    assert check(dataset) == []


def test_a_check_while_somebody_reviews_reports_nothing(tmp_path, sources):
    dataset = import_dataset(*sources, {"mandible": 1}, tmp_path / "ward-7", status="draft")
    process = subprocess.Popen(
        [sys.executable, "-c", REVIEW, dataset.path, *(case.id for case in dataset.cases())],
        cwd=ENGINE, encoding="utf-8", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    looks = 0
    while process.poll() is None:
        found = check(dataset)
        assert [line for line in found if line.kind == "problem"] == []
        looks += 1
    assert process.returncode == 0 and looks > 0
    process.communicate()
    assert check(dataset) == []


def test_the_first_of_two_imports_to_one_place_wins(tmp_path, sources):
    out = tmp_path / "ward-7"
    results = at_once(IMPORT, (*sources, out), (*sources, out))
    assert sorted(code for code, _ in results) in ([0, 3], [0, 0]) and 3 in [code for code, _ in results], results
    (said,) = [text for code, text in results if code == 3]
    assert said.count("\n") == 1 and str(out) in said
    assert check(DatasetFolder.open(out)) == [] and [path.name for path in tmp_path.iterdir()] == ["ward-7"]


@pytest.mark.parametrize("lines", [1, 2, 3, 6, 9])
def test_a_reviewer_killed_at_any_moment_leaves_what_the_next_one_completes(tmp_path, sources, lines):
    dataset = import_dataset(*sources, {"mandible": 1}, tmp_path / "ward-7", status="draft")
    ids = [case.id for case in dataset.cases()]
    process = subprocess.Popen(
        [sys.executable, "-c", REVIEW, dataset.path, *ids],
        cwd=ENGINE, encoding="utf-8", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()
    while len(dataset.history_path.read_bytes().splitlines() if dataset.history_path.exists() else ()) < lines:
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert {line.code for line in check(dataset) if line.kind == "problem"} <= {"history"}
    for case_id in ids:
        for status in ("submitted", "approved"):
            if dataset.case(case_id).status != "approved" and dataset.case(case_id).status != status:
                dataset.move(case_id, status, "Ben", "")
    assert {line.code for line in check(dataset)} <= {"left-behind"}  # At most the temporary file it was writing.
    assert [entry.seq for entry in dataset.history()] == list(range(2 * CASES))
