"""segment, evaluate, audit, dataset check and compare, shared out: what they write is what one process writes."""

import json
import os
import shutil
import signal
from dataclasses import replace

import pytest
import torch
from compare_world import compared, plan_file
from tiny_world import copied

from organincrement.imaging.errors import ImageError
from organincrement.workflows import evaluate as evaluating
from organincrement.workflows import segment as segmenting
from organincrement.workflows.audit import AuditRequest, audit
from organincrement.workflows.check_dataset import check
from organincrement.workflows.evaluate import evaluate
from organincrement.workflows.fan_out import Crew, Waiting
from organincrement.workflows.segment import SegmentRequest, segment

TWO = Crew(processes=2)


@pytest.fixture(autouse=True)
def as_many_threads_for_each_of_two_processes_as_here(monkeypatch):
    """On another number of threads a convolution's last digits are others."""
    monkeypatch.setenv("OMP_NUM_THREADS", str(2 * torch.get_num_threads()))


@pytest.fixture(scope="module")
def scans(tiny_world):
    return [tiny_world.site_a.image_path(case) for case in tiny_world.site_a.cases()]


@pytest.fixture(scope="module")
def segmented(tiny_world, scans, tmp_path_factory):
    """By this process."""
    out = tmp_path_factory.mktemp("segmented")
    list(segment(request_of(tiny_world, scans, out)))
    return written(out)


@pytest.fixture(scope="module")
def evaluated(tiny_world, tmp_path_factory):
    """By this process."""
    out = tmp_path_factory.mktemp("evaluated")
    evaluate(tiny_world.teacher, tiny_world.site_a.path, out, "cpu")
    return written(out)


def request_of(world, scans, out, **settings):
    return SegmentRequest(
        model=world.teacher, out=out, images=scans, device="cpu", uncertainty="entropy", **settings
    )  # fmt: skip


def written(folder):
    """The bytes of all files; of a report without its seconds and its number of threads."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for name in [name for name in found if name.endswith("report.json")]:
        report = json.loads(found[name])
        del report["seconds"], report["device"]
        found[name] = json.dumps(report).encode()
    return found


def test_scans_segmented_by_two_processes_are_those_of_one(tiny_world, scans, segmented, tmp_path):
    steps = []
    request = request_of(tiny_world, scans, tmp_path, crew=TWO, progress=lambda *step: steps.append(step))
    folders = list(segment(request))
    assert len(folders) == 4 and [step[0] for step in steps] == [1, 2, 3, 4]
    assert written(tmp_path) == segmented


def test_an_evaluation_by_two_processes_is_that_of_one(tiny_world, evaluated, tmp_path):
    evaluate(tiny_world.teacher, tiny_world.site_a.path, tmp_path, "cpu", crew=TWO)
    assert written(tmp_path) == evaluated


def test_an_audit_by_two_processes_is_that_of_one_with_its_pictures(tiny_world, tmp_path):
    dataset = copied(tiny_world.site_b, tmp_path / "data")
    dataset.image_path(dataset.cases()[1]).write_bytes(b"no scan")
    request = AuditRequest(teacher=tiny_world.teacher, dataset=dataset.path, out=tmp_path / "one", device="cpu")
    audit(request)
    audit(replace(request, out=tmp_path / "two", crew=TWO))
    assert written(tmp_path / "two") == written(tmp_path / "one")
    assert (tmp_path / "two" / "audit.html").read_text(encoding="utf-8").count("data:image/png") == 3


def test_a_check_by_two_processes_finds_what_one_finds(tiny_world, tmp_path):
    dataset = copied(tiny_world.site_a, tmp_path / "data")
    first, second, third, _ = dataset.cases()
    dataset.image_path(first).write_bytes(b"no scan")
    shutil.copy(dataset.label_path(second), dataset.label_path(third))
    found, steps = check(dataset), []
    assert {finding.code for finding in found} >= {"changed", "image"}
    assert check(dataset, TWO, Waiting(progress=lambda *step: steps.append(step))) == found
    assert len(steps) == 4


def test_an_evaluation_that_stopped_at_a_case_goes_on_with_that_case(tiny_world, evaluated, tmp_path, monkeypatch):
    dataset = copied(tiny_world.site_a, tmp_path / "data")
    label = dataset.label_path(dataset.cases()[2])
    whole = label.read_bytes()
    label.write_bytes(whole[:100])
    out = tmp_path / "out"
    with pytest.raises(ImageError, match=label.name):
        evaluate(tiny_world.teacher, dataset.path, out, "cpu", crew=TWO)
    assert [path.name for path in out.iterdir()] == [".unfinished"]
    label.write_bytes(whole)
    done = counted(monkeypatch, evaluating, "_evaluated", lambda call: call[2].id)
    evaluate(tiny_world.teacher, dataset.path, out, "cpu")
    assert done == [dataset.cases()[2].id] and written(out) == evaluated


def test_what_was_done_of_other_labels_or_settings_is_done_again(tiny_world, tmp_path, monkeypatch):
    dataset, out = copied(tiny_world.site_a, tmp_path / "data"), tmp_path / "out"
    labels = [dataset.label_path(case) for case in dataset.cases()]
    whole = labels[0].read_bytes()
    labels[0].write_bytes(b"")
    with pytest.raises(ImageError):
        evaluate(tiny_world.teacher, dataset.path, out, "cpu", crew=TWO)
    labels[0].write_bytes(whole)
    shutil.copy(labels[2], labels[1])
    kept = tmp_path / "kept"
    shutil.copytree(out, kept)
    done = counted(monkeypatch, evaluating, "_evaluated", lambda call: call[2].id)
    evaluate(tiny_world.teacher, dataset.path, out, "cpu")
    assert done == [case.id for case in dataset.cases()[:2]]
    done.clear()
    evaluate(tiny_world.teacher, dataset.path, kept, "cpu", largest_component=True)
    assert len(done) == 4


def test_scans_that_are_whole_are_not_segmented_again(tiny_world, scans, segmented, tmp_path, monkeypatch):
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(scans[0].parent, data)
    mine = [data / scan.name for scan in scans]
    mine[3].write_bytes(b"no scan")
    with pytest.raises(ImageError, match=mine[3].name):
        list(segment(request_of(tiny_world, mine, out, crew=TWO)))
    shutil.copy(scans[3], mine[3])
    (out / mine[1].name.removesuffix(".nii.gz") / "report.json").unlink()
    done = counted(monkeypatch, segmenting, "segment_case", lambda call: call[1].name)
    assert len(list(segment(request_of(tiny_world, mine, out)))) == 4
    assert done == [mine[1].name, mine[3].name] and written(out) == segmented


def counted(monkeypatch, module, name, what):
    """A list that grows by `what(arguments)` with each call of the module's function."""
    calls, function = [], getattr(module, name)

    def counting(*arguments):
        calls.append(what(arguments))
        return function(*arguments)

    monkeypatch.setattr(module, name, counting)
    return calls


def test_the_workers_of_a_cluster_segment_alike_though_one_is_killed(
    tiny_world, scans, segmented, tmp_path, monkeypatch
):
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    monkeypatch.chdir(scans[0].parent)  # relative paths, which mean nothing to the workers
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=torch.get_num_threads(), host="127.0.0.1", silence_logs=50,
        dashboard_address="127.0.0.1:0",
    ) as cluster:  # fmt: skip
        pids = [worker.pid for worker in cluster.workers.values()]
        names = [scan.relative_to(scans[0].parent) for scan in scans]
        crew = Crew(scheduler=cluster.scheduler_address)
        done = segment(request_of(tiny_world, names, tmp_path, crew=crew))
        next(done)
        os.kill(pids[0], signal.SIGKILL)
        assert len(list(done)) == 3
    assert written(tmp_path) == segmented


@pytest.mark.slow
def test_trainings_at_the_same_time_give_the_students_of_one_after_another(tiny_world, tmp_path):
    plan = plan_file(tiny_world, tmp_path / "plain.json")
    one = compared([plan], tiny_world.site_b.path, tmp_path / "one", seeds=[3, 7])
    two = compared([plan], tiny_world.site_b.path, tmp_path / "two", seeds=[3, 7], crew=TWO)
    free = {"seconds": None, "ram_bytes": None, "gpu_bytes": None}
    first, second = ([replace(row, **free) for row in said.comparison.rows] for said in (one, two))
    assert first == second and two.verdict == one.verdict
    assert "several trainings ran at the same time" in (tmp_path / "two" / "comparison.html").read_text(
        encoding="utf-8"
    )
