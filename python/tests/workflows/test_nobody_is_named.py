"""The whole story on scans that name a patient everywhere: nothing written names anybody, and no socket opens."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from planted_names import PLANTED, SURNAME, USER, file_name, found_in, plant_files, plant_series, plant_table

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder

pytestmark = pytest.mark.slow
ENGINE = Path(__file__).resolve().parents[2]
SHORT = ["training.steps=4", "validation.every_steps=2", "training.workers=1", "training.precision=fp32"]
WRITTEN = (
    "job/events.jsonl", "job/reads.log", "job/student/model.json", "missing-job/process.log", "student.oimodel",
    "audit/audit.json", "segmented/series_1/segmentation.seg.nrrd", "evaluated-ward/evaluation.html",
)  # fmt: skip
WATCH = """
import os, sys

def note(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        with open(os.environ["SOCKETS_SEEN"], "a") as seen:
            print(os.getpid(), event, arguments[1:], file=seen)

sys.addaudithook(note)
"""
RUN = """
import json, sys
from organincrement.cli.main import main
for command in json.loads(sys.argv[1]):
    code = main(command)
    print("ended", code, command[:2], flush=True)
"""


@dataclass(frozen=True)
class Story:
    """sources: what named people. work: all that was written. sockets: where they were noted. said: by the commands."""

    sources: Path
    work: Path
    sockets: Path
    said: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def story(tiny_world, tmp_path_factory):
    """Import, check, audit, plan, train, segment, evaluate, package; and detached jobs that fail on bad input."""
    root = tmp_path_factory.mktemp("root") / USER / f"{SURNAME} project"
    sources, work = root / "sources", root / "work"
    work.mkdir(parents=True)
    (root / "watch").mkdir()
    (root / "watch" / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    environment = {
        **os.environ, "USER": USER, "LOGNAME": USER, "USERNAME": USER, "HOME": str(root), "TMPDIR": str(root),
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib")),
        "SOCKETS_SEEN": str(root / "sockets"), "PYTHONPATH": os.pathsep.join([str(root / "watch"), str(ENGINE)]),
    }  # fmt: skip
    shutil.copytree(tiny_world.teacher, work / "teacher")
    shutil.copytree(tiny_world.test.path, work / "test")
    said = told(environment, commands(tiny_world, sources, work))
    for name in ("missing", "damaged"):
        spoil(work, name)
    said += told(environment, [["train", work / f"{name}.json", "--job", work / f"{name}-job", "--detach"]
                               for name in ("missing", "damaged")])  # fmt: skip
    for pid in [int(line.split("process ")[1].split(";")[0]) for line in said.splitlines() if "as process" in line]:
        if psutil.pid_exists(pid):
            psutil.wait_procs([psutil.Process(pid)], timeout=90)
    with zipfile.ZipFile(work / "student.oimodel", "w") as archive:
        for path in (work / "job" / "student").iterdir():
            archive.write(path, path.name)
    return Story(sources, work, root / "sockets", said, environment)


def commands(world, sources, work):
    images, labels = plant_files(world, sources)
    table = plant_table(images, labels)
    series, series_labels = plant_series(world, sources)
    shutil.copytree(series / file_name(0), work.parent / "series_1")

    def imported(kind, images, labels, out):
        return ["dataset", "import", "--from", kind, "--images", images, "--labels", labels, "--organs", "stomach=1",
                "--out", work / out]  # fmt: skip

    def planned(dataset):
        return ["plan", "--teacher", work / "teacher", "--dataset", work / dataset, "--method", "fine-tune", "--device",
                "cpu", "--set", *SHORT, "--out", work / f"{dataset}.json"]  # fmt: skip

    student, on_cpu = work / "job" / "student", ("--device", "cpu")
    return [
        imported("folders", images, labels, "ward"), imported("csv", table, labels, "missing"),
        imported("csv", table, labels, "damaged"), imported("dicom", series, series_labels, "series"),
        ["dataset", "check", work / "ward"], ["inspect", work / "ward"],
        ["audit", "--teacher", work / "teacher", "--dataset", work / "ward", "--out", work / "audit", *on_cpu],
        planned("ward"), planned("missing"), planned("damaged"),
        ["train", work / "ward.json", "--job", work / "job"], ["job", "status", "--json", work / "job"],
        ["segment", "--model", student, "--out", work / "segmented", "--uncertainty", "entropy", "--device", "cpu",
         work / "ward" / "images" / "case_0001.nii.gz", work.parent / "series_1"],
        ["evaluate", "--model", student, "--dataset", work / "test", "--out", work / "evaluated", *on_cpu],
        ["evaluate", "--model", student, "--dataset", work / "ward", "--out", work / "evaluated-ward", *on_cpu],
    ]  # fmt: skip


def told(environment, typed) -> str:
    """What the commands say, each of which must end well; all in one process, because imports take seconds."""
    command = [sys.executable, "-c", RUN, json.dumps([[str(word) for word in line] for line in typed])]
    done = subprocess.run(
        command, env=environment, cwd=environment["HOME"], capture_output=True, encoding="utf-8", check=False
    )
    ended = [line for line in done.stdout.splitlines() if line.startswith("ended ")]
    assert [line.split()[1] for line in ended] == ["0"] * len(typed), done.stdout + done.stderr
    return done.stdout


def spoil(work: Path, name: str) -> None:
    dataset = DatasetFolder.open(work / name)
    image = dataset.image_path(dataset.cases()[0])
    if name == "missing":
        image.unlink()
    else:
        (dataset.path / "dataset.json").write_text("{", encoding="utf-8")


def test_the_sources_name_people_everywhere_and_the_search_finds_it(story):
    found = found_in(story.sources, PLANTED)
    assert found.keys() == set(PLANTED)
    for ending in (".nii.gz", ".nrrd", ".mha", ".csv", ".dcm"):
        assert any(place.endswith(ending) for place in found[SURNAME]), ending
    contents = found_in(story.sources, ("Jadwiga MRN7391546 *19470229",))
    assert {Path(place).suffix for place in contents["Jadwiga MRN7391546 *19470229"]} >= {
        ".gz",
        ".nrrd",
        ".mha",
        ".dcm",
    }


def test_nothing_that_was_written_names_anybody_or_any_place(story):
    written = {str(path.relative_to(story.work)) for path in story.work.rglob("*") if path.is_file()}
    assert set(WRITTEN) <= written
    places = (str(story.work.parent), str(story.work.parent.resolve()), str(ENGINE), str(Path(sys.executable).parent))
    found = found_in(story.work, (*PLANTED, *places))
    private = {name for name in written if name.endswith("names.private.csv")}
    assert {text: places - private for text, places in found.items() if places - private} == {}


def test_only_the_private_list_says_who_is_who_and_each_import_has_one(story):
    for name in ("ward", "missing", "damaged", "series"):
        rows = list(csv.DictReader((story.work / name / "names.private.csv").open(encoding="utf-8")))
        assert [row["case"] for row in rows] == [f"case_{n:04d}" for n in range(1, len(rows) + 1)]
        assert all(SURNAME in row["image"] for row in rows)
    assert {case.id for case in DatasetFolder.open(story.work / "ward").cases()} == {
        f"case_{n:04d}" for n in range(1, 5)
    }


@pytest.mark.parametrize(("name", "says"), [("missing", "case_0001.nii.gz"), ("damaged", "dataset.json")])
def test_a_detached_job_that_fails_logs_why_and_not_where(story, name, says):
    job = JobFolder.open(story.work / f"{name}-job")
    assert job.status().state == "failed" and job.status().failure.code == "bad_input"
    log = job.log_path.read_text(encoding="utf-8")
    assert log.startswith("organincrement: ") and log.count("\n") == 1 and says in log and "Traceback" not in log
    assert " /" not in log and not log.startswith("organincrement: /")


def test_a_segmentation_of_a_dicom_series_has_no_tag_of_its_patient(story):
    header = (story.work / "segmented" / "series_1" / "segmentation.seg.nrrd").read_bytes().partition(b"\n\n")[0]
    assert b"Segment0_Name" in header and b"0010" not in header and b"Patient" not in header


def test_no_command_and_no_job_opened_a_socket(story, tmp_path):
    assert not story.sockets.exists(), story.sockets.read_text(encoding="utf-8")
    seen = tmp_path / "seen"
    code = "import multiprocessing, socket; socket.socket().close(); multiprocessing.Pipe()"
    subprocess.run([sys.executable, "-c", code], env={**story.environment, "SOCKETS_SEEN": str(seen)}, check=True)
    noted = seen.read_text(encoding="utf-8")
    assert (noted.count("socket.__new__") >= 1 and "AF_INET" in noted) or "2, 1" in noted  # it would have been noticed
