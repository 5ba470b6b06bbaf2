"""Too little memory: smaller tiles, then the CPU, each said; the answer stays the same."""

import numpy as np
import pytest
import torch
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec
from torch import nn

from organincrement.contract.events import read_events
from organincrement.imaging.cache import write_case
from organincrement.imaging.volume import Volume
from organincrement.inference.memory import whose_memory
from organincrement.inference.predict import PredictionSettings, predict_volume, predict_within_memory
from organincrement.planning.errors import PlanningError
from organincrement.planning.estimate import CaseSize
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.training.validation import Segmenter
from organincrement.workflows import plan_estimate, train
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import run_job

CPU = torch.device("cpu")
NO_RAM = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "GPU"),
        (RuntimeError("CUDA error: out of memory"), "GPU"),
        (RuntimeError("cuBLAS error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "GPU"),
        (RuntimeError(NO_RAM), "main"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), "main"),
        (RuntimeError("unable to mmap 8 bytes from file <x>: Cannot allocate memory (12)"), "main"),
        (MemoryError(), "main"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), None),
        (ValueError("out of memory"), None),
    ],
)
def test_errors_for_want_of_memory_are_told_from_others_and_say_whose(error, whose):
    assert whose_memory(error) == whose


def failing(count: int, error: BaseException, function):
    """The function, its first `count` calls failing."""
    left = iter(range(count))

    def call(*args, **settings):
        if next(left, None) is not None:
            raise error
        return function(*args, **settings)

    return call


def scan() -> Volume:
    hu = np.random.default_rng(0).normal(0, 200, (20, 22, 24)).astype(np.float32)
    return Volume(hu, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))


@pytest.fixture
def model():
    space = organs("liver", "spleen")
    spec = tiny_spec(3)
    return tiny_network(spec, scale=5.0), tiny_manifest(space, spec)


@pytest.mark.parametrize(
    ("error", "whose"),
    [(torch.OutOfMemoryError("CUDA out of memory"), "GPU"), (MemoryError(), "main"), (RuntimeError(NO_RAM), "main")],
)
def test_a_scan_that_does_not_fit_is_segmented_in_smaller_tiles(model, monkeypatch, error, whose):
    network, manifest = model
    settings, said = PredictionSettings(uncertainty="entropy"), []
    expected = predict_volume(network, manifest, scan(), CPU, settings)
    monkeypatch.setattr(network, "forward", failing(2, error, network.forward))
    found = predict_within_memory(network, manifest, scan(), CPU, settings, said.append)
    assert said == [
        f"out of {whose} memory: going on in smaller tiles, of 64 MiB",
        f"out of {whose} memory: going on in smaller tiles, of 16 MiB",
    ]
    np.testing.assert_array_equal(found.labels_DHW, expected.labels_DHW)
    np.testing.assert_array_equal(found.uncertainty_DHW, expected.uncertainty_DHW)
    assert found.device == CPU


def test_a_window_that_does_not_fit_anywhere_ends_with_what_to_do(model, monkeypatch):
    network, manifest = model
    monkeypatch.setattr(network, "forward", failing(99, MemoryError(), network.forward))
    with pytest.raises(MemoryError, match="even in the smallest tiles: close other programs"):
        predict_within_memory(network, manifest, scan(), CPU, PredictionSettings())


class FullElsewhere(nn.Module):
    """A network whose weights fit on the CPU only."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def to(self, device):
        if device.type != "cpu":
            raise self.error
        return self

    def forward(self, x_BCDHW):
        return torch.cat([x_BCDHW, -x_BCDHW, 2 * x_BCDHW], 1)


def test_a_window_that_does_not_fit_the_gpu_goes_to_the_cpu(model):
    said: list[str] = []
    network, settings = FullElsewhere(torch.OutOfMemoryError("CUDA out of memory")), PredictionSettings()
    found = predict_within_memory(network, model[1], scan(), torch.device("cuda"), settings, said.append)
    assert found.device == CPU and "does not fit into GPU memory: going on on the CPU" in said[-1]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(NO_RAM)])
def test_a_scan_that_main_memory_does_not_hold_is_not_tried_on_the_cpu(model, error):
    said: list[str] = []
    with pytest.raises(MemoryError, match="not enough main memory to segment this scan"):
        predict_within_memory(
            FullElsewhere(error), model[1], scan(), torch.device("cuda"), PredictionSettings(), said.append
        )
    assert said and all(line.startswith("out of main memory: going on in smaller tiles") for line in said)


def test_other_errors_are_not_taken_for_want_of_memory(model, monkeypatch):
    network, manifest = model
    monkeypatch.setattr(network, "forward", failing(1, RuntimeError("shapes differ"), network.forward))
    with pytest.raises(RuntimeError, match="shapes differ"):
        predict_within_memory(network, manifest, scan(), CPU, PredictionSettings())


def test_validation_goes_down_the_ladder_once_and_finds_the_same(tmp_path, model, monkeypatch):
    network, _ = model
    image = np.random.default_rng(1).normal(size=(21, 17, 30)).astype(np.float32)
    case = write_case(tmp_path, "pt", image, np.zeros(image.shape, np.int16), seed=0)
    said: list[str] = []
    segmenter = Segmenter(
        patch=(8, 8, 8), step=0.5, fill=-1.0, device=CPU, autocast=None, between=lambda: None,
        warn=lambda code, message: said.append(f"{code}: {message}"),
    )  # fmt: skip
    labels, logits = segmenter.labels(network, case, 3), segmenter.logits(network, case, 3)
    monkeypatch.setattr(network, "forward", failing(2, torch.OutOfMemoryError("CUDA"), network.forward))
    np.testing.assert_array_equal(segmenter.labels(network, case, 3), labels)
    assert torch.equal(segmenter.logits(network, case, 3), logits)
    assert said == [
        "smaller_tiles: out of GPU memory while validating: going on in smaller tiles",
        "smaller_tiles: out of GPU memory while validating: going on in the smallest tiles, summed in main memory",
    ]


def test_a_job_whose_patch_does_not_fit_the_gpu_goes_on_on_the_cpu(tiny_world, tmp_path, monkeypatch):
    from tiny_world import student_job

    job, run = student_job(tiny_world, tmp_path), train._run
    on_gpu = Hardware(device=torch.device("cuda"), precision="fp16")
    monkeypatch.setattr(train, "resolve_hardware", failing_to(on_gpu, resolve_hardware))

    def full(job, events, hardware, started_s):
        if hardware is on_gpu:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(job, events, hardware, started_s)

    monkeypatch.setattr(train, "_run", full)
    assert run_job(job) == "finished"
    events = read_events(job.events_path)
    assert events[0].type == "warned" and "does not fit into GPU memory: going on on the CPU" in events[0].message
    assert events[1].type == "started" and events[1].device.startswith("cpu: ")


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(NO_RAM)])
def test_a_job_that_main_memory_does_not_hold_fails_and_is_not_tried_on_the_cpu(
    tiny_world, tmp_path, monkeypatch, error
):
    from tiny_world import student_job

    job, tried = student_job(tiny_world, tmp_path), []
    on_gpu = Hardware(device=torch.device("cuda"), precision="fp16")
    monkeypatch.setattr(train, "resolve_hardware", failing_to(on_gpu, resolve_hardware))

    def full(job, events, hardware, started_s):
        tried.append(hardware)
        raise error

    monkeypatch.setattr(train, "_run", full)
    with pytest.raises(type(error)):
        run_job(job)
    assert tried == [on_gpu] and [event.type for event in read_events(job.events_path)] == ["failed"]
    failure = job.status().failure
    assert failure.code == "out_of_memory" and "main memory is full" in failure.message
    assert "--device cpu" not in failure.what_to_do


def failing_to(first, function):
    """The function, but its first call gives this."""
    answers = iter([first])
    return lambda *args: next(answers, None) or function(*args)


def test_a_plan_whose_step_does_not_fit_is_made_of_parts_and_says_so(tiny_world, tmp_path, monkeypatch):
    from organincrement.workflows.make_plan import PlanRequest, make_plan

    said: list[str] = []
    request = PlanRequest(
        datasets=(tiny_world.site_b.path,), out=tmp_path / "plan.json", teachers=(tiny_world.teacher,),
        method="fine-tune",
        device="cpu", overrides={"training.batch": 4, "training.steps": 10}, notice=said.append,
    )  # fmt: skip
    error = RuntimeError(NO_RAM)
    monkeypatch.setattr(plan_estimate, "rehearse", failing(2, error, plan_estimate.rehearse))
    plan = make_plan(request)
    assert (plan.training.batch, plan.training.accumulation) == (4, 4) and plan.estimate.seconds > 0
    assert said == [f"out of main memory: each batch will be made of {parts} parts" for parts in (2, 4)]
    monkeypatch.setattr(plan_estimate, "rehearse", failing(9, error, plan_estimate.rehearse))
    with pytest.raises(ValueError, match=r"not enough main memory for one patch of .*: close other programs"):
        make_plan(request)


@pytest.mark.parametrize(
    ("error", "goes_on"),
    [(torch.OutOfMemoryError("CUDA out of memory"), True), (MemoryError(), False), (RuntimeError(NO_RAM), False)],
)
def test_a_plan_goes_to_the_cpu_for_want_of_gpu_memory_only(tiny_world, tmp_path, monkeypatch, error, goes_on):
    from tiny_world import student_job

    job, rehearse, said = student_job(tiny_world, tmp_path), plan_estimate.rehearse, []
    setup = set_up(job.plan(), job.plan_path)
    method = setup.method(CPU)
    monkeypatch.setattr(type(setup), "method", lambda self, device: method)  # there is no GPU to move it to

    def full(setup, plan, hardware, sizes, clock):
        if hardware.device.type != "cpu":
            raise error
        return rehearse(setup, plan, hardware, sizes, clock)

    monkeypatch.setattr(plan_estimate, "rehearse", full)
    sizes = [CaseSize(scan_voxels=8**3, grid=(8, 8, 8))] * len(setup.cases)
    on_gpu = Hardware(device=torch.device("cuda"), precision="fp32")
    if goes_on:
        plan = plan_estimate.fitted_plan(setup, on_gpu, sizes, said.append)
        assert plan.device == "cpu" and "planned for the CPU" in said[-1]
    else:
        with pytest.raises(PlanningError, match="not enough main memory for one patch"):
            plan_estimate.fitted_plan(setup, on_gpu, sizes, said.append)
        assert not [line for line in said if "CPU" in line]
