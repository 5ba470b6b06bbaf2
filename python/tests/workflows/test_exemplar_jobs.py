"""Exemplars from the command line: chosen, locked up, replayed by a job that pauses, and found nowhere else."""

import html
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from compare_world import compared
from job_stories import assert_events_are_whole, assert_same_student, at_step
from planted_names import PLANTED, SURNAME, found_in
from tiny_world import FIRST_MODEL, QUICK, Order, write_plan

from organincrement.cli.main import main
from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.contract.package import read_manifest
from organincrement.contract.plan import moved_plan
from organincrement.contract.vault import Vault
from organincrement.imaging.preprocessing import preprocess_pair
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.inference import content
from organincrement.networks.vgg import Vgg16
from organincrement.replay.vault import open_vault
from organincrement.workflows import jobs
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.old_slabs import OldSet
from organincrement.workflows.train import create_job, run_job

FEW = ("--keep", 3, "--most-certain", 5, "--passes", 3, "--device", "cpu")


def command(*arguments):
    return main([str(argument) for argument in arguments])


def select(model, dataset, out, by="aeiseg"):
    assert command("exemplars", "select", "--model", model, "--dataset", dataset, "--by", by, "--out", out, *FEW) == 0
    return out


def plan_arguments(world, out, method, vault=None, teacher=None, dataset=None):
    settings = [f"{key}={value}" for key, value in QUICK.items()]
    given = ("--exemplars", vault) if vault else ()
    return (
        "plan", "--teacher", teacher or world.teacher, "--dataset", dataset or world.site_b.path, "--method", method,
        *given, "--device", "cpu", "--set", *settings, "--out", out,
    )  # fmt: skip


@pytest.fixture(scope="module")
def vaults(tiny_world, tmp_path_factory):
    root = tmp_path_factory.mktemp("vaults")
    return {by: select(tiny_world.teacher, tiny_world.site_a.path, root / by, by) for by in ("aeiseg", "coriseg")}


@pytest.fixture(scope="module")
def finished(tiny_world, vaults, tmp_path_factory):
    root = tmp_path_factory.mktemp("finished")
    assert command(*plan_arguments(tiny_world, root / "plan.json", "aeiseg", vaults["aeiseg"])) == 0
    assert command("train", root / "plan.json", "--job", root / "job") == 0
    return root / "plan.json", JobFolder.open(root / "job")


@pytest.mark.parametrize("by", ["aeiseg", "coriseg"])
def test_the_chosen_slabs_are_those_of_the_old_scans_in_the_order_of_their_ranks(tiny_world, vaults, by):
    opened = open_vault(vaults[by])
    vault = opened.vault
    assert (vault.by, vault.slab, vault.organs) == (by, 16, ("liver", "spleen"))
    ranks = {organ: [] for organ in vault.organs}
    for exemplar in vault.exemplars:
        for chosen in exemplar.chosen_for:
            ranks[chosen.organ].append(chosen.rank)
    assert all(found == [1, 2, 3] for found in ranks.values())
    site = tiny_world.site_a
    grids = []
    for case in site.cases():
        image = read_image(site.image_path(case))
        labels = read_labels(site.label_path(case), allowed=site.label_values, like=image)
        grids.append(preprocess_pair(image, labels, vault.preprocessing))
    for case, exemplar in zip(opened.cases(), vault.exemplars, strict=True):
        slab = case.image_DHW()
        owner, start = next(
            (number, start)
            for number, (image, _) in enumerate(grids)
            for start in range(len(image) - 15)
            if image[start : start + 16].shape == slab.shape and np.abs(image[start : start + 16] - slab).max() < 0.01
        )
        for chosen in exemplar.chosen_for:
            label = grids[owner][1][start : start + 16][chosen.point]
            assert label == site.label_space.index(chosen.organ)


def test_the_same_choice_is_made_again(tiny_world, vaults, tmp_path):
    again = open_vault(select(tiny_world.teacher, tiny_world.site_a.path, tmp_path / "again")).vault
    assert again.exemplars == open_vault(vaults["aeiseg"]).vault.exemplars


def test_the_commands_say_what_the_vault_holds_and_the_page_shows_nobody(tiny_world, vaults, tmp_path, capsys):
    select(tiny_world.teacher, tiny_world.site_a.path, tmp_path / "vault", "coriseg")
    assert command("exemplars", "check", tmp_path / "vault") == 0
    said = capsys.readouterr().out
    assert said.count("these are images of patients") == 2 and "the segmentation network itself" in said
    page = (tmp_path / "vault" / "selection.html").read_text(encoding="utf-8")
    assert "content distance" in page and "<img" not in page
    assert not any(case.id in page for case in tiny_world.site_a.cases())
    assert command("exemplars", "trim", tmp_path / "vault", "--keep", 1) == 0
    assert command("exemplars", "check", tmp_path / "vault") == 0
    assert "1 exemplars" in capsys.readouterr().out


def test_content_is_seen_by_a_vgg_where_its_weights_are_given(tiny_world, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(content, "PICTURE_EDGE", 32)
    torch.manual_seed(0)
    safetensors.torch.save_file(Vgg16().state_dict(), tmp_path / "vgg16.safetensors")
    arguments = ("--model", tiny_world.teacher, "--dataset", tiny_world.site_a.path, "--by", "coriseg", *FEW)
    weights = ("--vgg", tmp_path / "vgg16.safetensors")
    assert command("exemplars", "select", *arguments, *weights, "--out", tmp_path / "vault") == 0
    features = open_vault(tmp_path / "vault").vault.features
    assert features.startswith("content distance by all convolutions of a VGG16 (the user's weights, SHA-256 ")
    assert features in capsys.readouterr().out
    assert features in html.unescape((tmp_path / "vault" / "selection.html").read_text(encoding="utf-8"))


def test_a_job_notes_its_exemplars_by_number_and_keeps_nothing_of_them(tiny_world, vaults, finished):
    _, job = finished
    vault = open_vault(vaults["aeiseg"]).vault
    read = [line.split() for line in job.reads_log.read_text(encoding="utf-8").splitlines()]
    noted = [(name, digest) for name, digest in read if name.startswith("exemplar:")]
    assert noted == [(f"exemplar:{e.file.split('.')[0]}", e.sha256) for e in vault.exemplars]
    left = {path.name for path in job.path.rglob("*") if path.is_file()}
    assert not any(name.endswith((".b2nd", ".html")) for name in left)
    manifest = read_manifest(job.student_path)
    assert manifest.trained_on.cases == len(tiny_world.site_b.cases()) and manifest.head.kind == "multi-head"
    assert "exemplar" not in (job.student_path / "model.json").read_text(encoding="utf-8")
    assert "exemplar" not in job.events_path.read_text(encoding="utf-8")


def test_a_paused_job_holds_no_exemplar_and_ends_with_the_same_student(finished, tmp_path, monkeypatch, capsys):
    plan, reference = finished
    job_path = tmp_path / "job"
    seen = {}

    def pause():
        job = JobFolder.open(job_path)
        seen.update({path.name: path for path in job.path.rglob("*.b2nd")})
        job.request_pause()

    at_step(monkeypatch, 3, pause)
    assert command("train", plan, "--job", job_path) == 0
    job = JobFolder.open(job_path)
    assert job.status().state == "paused"
    assert seen and not any(name.startswith(("exemplar", "000")) for name in seen)
    jobs.resume(job)
    assert command("job", "run", job_path) == 0
    assert_same_student(job, reference)
    assert_events_are_whole(job)


def refused(capsys, says, *arguments):
    capsys.readouterr()
    assert command(*arguments) == 3
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1, error


def test_plans_that_a_vault_does_not_fit_are_refused_in_one_line(tiny_world, vaults, finished, tmp_path, capsys):
    def plan(method, vault=None, teacher=None):
        return plan_arguments(tiny_world, tmp_path / "plan.json", method, vault, teacher)

    refused(capsys, "leave --exemplars out", *plan("lwfseg", vaults["aeiseg"]))
    refused(capsys, "give --exemplars", *plan("aeiseg"))
    refused(capsys, "--by coriseg", *plan("coriseg", vaults["aeiseg"]))
    of_student = select(finished[1].student_path, tiny_world.site_a.path, tmp_path / "of-student")
    refused(capsys, "chosen by another model", *plan("aeiseg", of_student))
    changed = tmp_path / "changed"
    shutil.copytree(vaults["aeiseg"], changed)
    document = json.loads((changed / "vault.json").read_text(encoding="utf-8"))
    document["preprocessing"]["spacing_mm"] = [1.0, 1.0, 1.0]
    (changed / "vault.json").write_text(json.dumps(document), encoding="utf-8")
    refused(capsys, "prepared otherwise", *plan("aeiseg", changed))
    assert not (tmp_path / "plan.json").exists()


def test_a_vault_that_changed_since_the_plan_is_refused_by_the_job(tiny_world, vaults, tmp_path, capsys):
    vault = tmp_path / "vault"
    shutil.copytree(vaults["aeiseg"], vault)
    assert command(*plan_arguments(tiny_world, tmp_path / "plan.json", "aeiseg", vault)) == 0
    stored = (vault / "0001.b2nd").read_bytes()
    (vault / "0001.b2nd").write_bytes(b"\0" + stored[1:])
    refused(capsys, "is not the image that was stored", "train", tmp_path / "plan.json", "--job", tmp_path / "one")
    (vault / "0001.b2nd").write_bytes(stored)
    assert command("exemplars", "trim", vault, "--keep", 1) == 0
    refused(capsys, "has changed since the plan", "train", tmp_path / "plan.json", "--job", tmp_path / "two")


def test_selections_that_cannot_be_are_refused_and_leave_nothing(tiny_world, tmp_path, capsys):
    def asked(dataset, *more, out="vault"):
        return ("exemplars", "select", "--model", tiny_world.teacher, "--dataset", dataset, "--out", tmp_path / out,
                *FEW, *more)  # fmt: skip

    old = tiny_world.site_a.path
    refused(capsys, "no organ of the model", *asked(tiny_world.site_b.path))
    refused(capsys, "must be at least 2", *asked(old, "--passes", 1))
    refused(capsys, "only coriseg looks", *asked(old, "--vgg", tmp_path / "vgg.pth"))
    refused(capsys, "vgg.pth", *asked(old, "--by", "coriseg", "--vgg", tmp_path / "vgg.pth"))
    refused(capsys, "lies inside", *asked(old, out=tiny_world.teacher / "vault"))
    assert list(tmp_path.iterdir()) == []


def test_names_in_the_old_dataset_get_no_further_than_the_dataset(tiny_world, tmp_path, capsys):
    dataset = DatasetFolder.open(shutil.copytree(tiny_world.site_a.path, tmp_path / "old"))
    for number, case in enumerate(dataset.cases()):
        document = json.loads((dataset.path / "cases" / f"{case.id}.json").read_text(encoding="utf-8"))
        (dataset.path / "cases" / f"{case.id}.json").unlink()
        name = f"{SURNAME}_{number}"
        for kind in ("image", "label"):
            path = f"{kind}s/{name}.nii.gz"
            (dataset.path / document[kind]).rename(dataset.path / path)
            document[kind] = path
        document.update(id=name, group=name)
        (dataset.path / "cases" / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    work = tmp_path / "work"
    work.mkdir()
    select(tiny_world.teacher, dataset.path, work / "vault")
    assert command(*plan_arguments(tiny_world, work / "plan.json", "aeiseg", work / "vault")) == 0
    assert command("train", work / "plan.json", "--job", work / "job") == 0
    assert found_in(work, PLANTED) == {}
    assert SURNAME in (dataset.path / "cases").glob("*.json").__next__().name  # they were there to be found


def test_vault_json_meets_its_schema(vaults):
    schema = pytest.importorskip("jsonschema")
    from organincrement.contract.schemas import json_schema

    document = json.loads((vaults["aeiseg"] / "vault.json").read_text(encoding="utf-8"))
    schema.validate(document, json_schema(Vault))
    assert codec.from_json(Vault, document, where="test") == open_vault(vaults["aeiseg"]).vault


def test_a_head_that_the_method_refuses_is_named_before_a_vault_of_another_model(tiny_world, vaults, tmp_path, capsys):
    order = Order(dataset=tiny_world.site_a.path, out=tmp_path / "plan.json", method="cond-no", overrides=FIRST_MODEL)
    job = create_job(write_plan(order), tmp_path / "job")
    assert run_job(job) == "finished"
    arguments = plan_arguments(tiny_world, tmp_path / "x.json", "aeiseg", vaults["aeiseg"], teacher=job.student_path)
    assert command(*arguments) == 3
    said = capsys.readouterr().err
    assert "head of kind 'dynamic'" in said and "select them" not in said


def test_a_dataset_in_the_place_of_a_vault_is_named_as_none(tiny_world, tmp_path, capsys):
    assert command(*plan_arguments(tiny_world, tmp_path / "x.json", "aeiseg", tiny_world.site_a.path)) == 3
    assert "site-a: is no vault, which `exemplars select` makes" in capsys.readouterr().err


def test_a_comparison_that_would_train_the_vaults_teacher_again_is_refused_before_it_trains(
    tiny_world, finished, tmp_path
):
    plan, _ = finished
    made = tiny_world.teacher_job
    codec.write(moved_plan(made.plan(), made.plan_path, tmp_path / "first.json"), tmp_path / "first.json")
    with pytest.raises(WorkflowError, match=r"plan plan: .*leave plan first out") as caught:
        compared([tmp_path / "first.json", plan], tiny_world.test.path, tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_an_anomaly_is_offered_as_an_exemplar_whatever_the_old_set_calls_its_host(tiny_world):
    liver, tumour = organ_from_name("liver"), organ_from_name("liver_tumour")
    site, manifest = tiny_world.site_a, read_manifest(tiny_world.teacher)
    organs = (replace(liver, id="Leber"), replace(tumour, id="Tumor", host="Leber"))
    old = OldSet(
        dataset=DatasetFolder(site.path, replace(site.manifest, organs=organs)), cases=tuple(site.cases()),
        organs=LabelSpace((liver, tumour)), preprocessing=manifest.preprocessing, slab=16,
    )  # fmt: skip
    assert {int(label) for _, _, labels_DHW in old.slabs(0) for label in np.unique(labels_DHW)} >= {1, 2}
