"""A teacher of several networks side by side: planned, taught from, and its student's answers."""

from dataclasses import replace

import pytest
import torch
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec
from tiny_world import NEW, QUICK, SHAPE, Order, write_plan

from organincrement.cli.main import main
from organincrement.contract import codec
from organincrement.contract.model import MultiHead, OrganHead
from organincrement.contract.plan import Plan
from organincrement.imaging.phantom.scan import SITES
from organincrement.imaging.safe_read import read_stored
from organincrement.methods.protocol import MethodError
from organincrement.models.package import Provenance, load_package, save_package
from organincrement.networks.errors import NetworkError
from organincrement.networks.side_by_side import Window, beside
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import create_job, run_job

SPACE = organs("liver", "spleen", "aorta", "pancreas", "urinary bladder")
MADE = Provenance(method="imported", dataset_sha256="", made="2026-01-01")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("site-b")
    return write_phantom_dataset(root / "site-b", SITES["b"], NEW, (11, 12, 13), shape_DHW=SHAPE, name="site-b")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    window = Window(scale=1.1, shift=0.2, low=-1.5, high=2.0)
    spec = beside([tiny_spec(3), tiny_spec(4)], [None, window])
    manifest = tiny_manifest(
        SPACE, spec, patch=(16, 16, 16), orientation="RAS", convention="totalsegmentator", spacing_mm=(9.0, 9.4, 9.9),
        image_resampling="cubic", output_resampling="nearest",
    )  # fmt: skip
    heads = (OrganHead(organs=SPACE.ids[:2], prefix="parts.0"), OrganHead(organs=SPACE.ids[2:], prefix="parts.1"))
    manifest = replace(manifest, head=MultiHead(heads=heads, rule="last"))
    path = tmp_path_factory.mktemp("teacher") / "teacher"
    save_package(path, manifest, tiny_network(spec, scale=3.0).state_dict(), MADE)
    return path


def test_a_student_starts_from_the_first_network_and_learns(teacher, dataset, tmp_path, capsys):
    plan = write_plan(Order(dataset=dataset.path, out=tmp_path / "plan.json", teacher=teacher, method="bla-uag"))
    job = create_job(plan, tmp_path / "job")
    assert run_job(job) == "finished"
    student, first = load_package(job.student_path), load_package(teacher).network.parts[0]
    assert [organ.id for organ in student.organs.organs] == [*SPACE.ids, "stomach"]
    assert student.manifest.network.kind == "PlainConvUNet"
    assert student.manifest.network.args["out_channels"] == 7
    assert student.manifest.preprocessing.convention == "totalsegmentator"
    weights, taught = student.network.state_dict(), first.state_dict()
    moved = max((weights[name] - taught[name]).abs().max() for name in taught if name.startswith("encoder."))
    assert 0 < moved < 0.3, "a few steps away from the first network's encoder"
    case = dataset.cases()[0]
    for model, most in ((job.student_path, 6), (teacher, 5)):
        out = tmp_path / f"segmented-{most}"
        image = dataset.image_path(case)
        assert main(["segment", "--model", str(model), "--out", str(out), str(image), "--device", "cpu"]) == 0
        labels = read_stored(next(out.iterdir()) / "segmentation.seg.nrrd").array_DHW
        assert labels.shape == read_stored(image).shape_DHW
        assert labels.max() <= most


def test_its_first_answers_are_the_first_networks(teacher, dataset, tmp_path):
    order = Order(dataset=dataset.path, out=tmp_path / "plan.json", teacher=teacher, method="bla-uag", overrides=QUICK)
    path = write_plan(order)
    setup = set_up(codec.read(Plan, path), path)
    method = setup.method(torch.device("cpu"))
    student = method.build_student().eval()
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        z, first = student(x), load_package(teacher).network.parts[0](x)
    torch.testing.assert_close(z[:, 1:3], first[:, 1:3])
    shared = z[:, [0, 3, 4, 5, 6]].logsumexp(1)
    torch.testing.assert_close(shared, first[:, 0], atol=1e-5, rtol=1e-5)
    view = method.teacher(x)
    assert view.log_p_BKDHW.shape[1] == 6
    torch.testing.assert_close(view.p_BKDHW.sum(1), torch.ones(1, 16, 16, 16))


def test_choosing_exemplars_with_it_says_what_to_do_instead(teacher, dataset, tmp_path, capsys):
    arguments = ("exemplars", "select", "--model", teacher, "--dataset", dataset.path, "--by", "aeiseg")
    assert main([*map(str, arguments), "--out", str(tmp_path / "vault"), "--device", "cpu"]) == 3
    said = capsys.readouterr().err
    assert "several networks side by side" in said and "choose them with a student of it" in said
    assert said.count("\n") == 1 and not (tmp_path / "vault").exists()


def test_methods_that_need_one_output_layer_say_so(teacher, dataset, tmp_path):
    order = Order(dataset=dataset.path, out=tmp_path / "plan.json", teacher=teacher, method="lwfseg")
    with pytest.raises((NetworkError, MethodError), match="choose a method that starts from the first of them"):
        write_plan(order)
