"""TorchScript programs: looked at as text, run only when confirmed here, kept from network and files."""

import io
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from cli.command_line import ENGINE
from cli.hostile_models import program
from tiny_models import organs, tiny_manifest, tiny_network, tiny_spec
from torch import nn

from organincrement.contract.errors import ContractError
from organincrement.contract.model import Network, TorchScriptHead
from organincrement.models import program as programs
from organincrement.models.confirmed_code import confirm, was_confirmed
from organincrement.models.errors import ModelError
from organincrement.models.package import load_package
from organincrement.models.program import load_program, save_program
from organincrement.models.program_operators import refused_operators
from organincrement.models.program_text import checked_program
from organincrement.networks.build import PROGRAM

PATCH = (8, 8, 8)
SPACE = organs("liver", "spleen")


@pytest.fixture(autouse=True)
def no_lasting_confinement(monkeypatch, tmp_path):
    """Confining is for good, and this process has other tests to run; a list of confirmed programs of its own."""
    monkeypatch.setattr(programs, "confine", lambda: True)
    monkeypatch.setenv("ORGANINCREMENT_STATE", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def network():
    return tiny_network(tiny_spec(3))


@pytest.fixture(scope="module")
def code(network):
    """A network of ours, traced."""
    target = io.BytesIO()
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 1, *PATCH), check_trace=False), target)
    return target.getvalue()


@pytest.fixture
def package(code, tmp_path):
    """A folder as `model import --confirm-code` writes it, but for the confirmation."""
    manifest = tiny_manifest(SPACE, tiny_spec(3), patch=PATCH)
    args = {"in_channels": 1, "out_channels": 3, "patch": list(PATCH)}
    manifest = replace(
        manifest,
        network=Network(kind=PROGRAM, args=args, parameters=1),
        head=TorchScriptHead(file="code.pt", confirmed=True),
    )
    save_program(tmp_path / "package", manifest, code)
    return tmp_path / "package"


def test_a_traced_network_answers_as_the_network_itself(code, network):
    image = torch.randn(2, 1, *PATCH, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(load_program(code, 3, "a.pt")(image), network(image), atol=1e-6)


class Scripted(nn.Module):
    """With what scripting leaves in code: branches, errors, loops, interpolation."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.InstanceNorm3d(4, affine=True), nn.LeakyReLU())
        self.down, self.up, self.out = (
            nn.MaxPool3d(2),
            nn.Upsample(scale_factor=2.0, mode="trilinear"),
            nn.Conv3d(8, 3, 1),
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        y = self.layers(x)
        if y.shape[1] != 4:
            raise ValueError("save this file: it has no 4 channels")
        full = self.out(torch.cat([y, self.up(self.down(y))], 1))
        return [full, torch.nn.functional.interpolate(full, scale_factor=0.5)]


def test_a_scripted_network_with_deep_supervision_answers_at_full_resolution():
    target = io.BytesIO()
    torch.jit.save(torch.jit.script(Scripted().eval()), target)
    logits = load_program(target.getvalue(), 3, "a.pt")(torch.zeros(1, 1, *PATCH))
    assert logits.shape == (1, 3, *PATCH)


def test_what_can_touch_files_networks_threads_or_memory_is_among_the_refused():
    dangerous = {
        "from_file",
        "save",
        "rpc_sync",
        "rpc_async",
        "rpc_remote",
        "fork",
        "as_strided",
        "set_",
        "resize_",
        "Print",
    }
    assert dangerous <= refused_operators()
    assert not {"conv3d", "add_", "instance_norm", "leaky_relu_", "softmax"} & refused_operators()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("torch.from_file('x', False, 8)", "not written as torch writes it"),
        ('torch.from_file("/etc/passwd", False, 8)', "'from_file'"),
        ('torch.save(x, "/tmp/x")', "'save'"),
        ('x.save("/tmp/x")', "'save'"),
        ('getattr(x, "save")("/tmp/x")', "'save'"),
        ('getattr(x, "s\\x61ve")("/tmp/x")', "not written as torch writes it"),
        ("ops.aten.from_file(x)", "'from_file'"),
        ("ops.prim.rpc_sync(x)", "'rpc_sync'"),
        ("fork(self.forward, x)", "'fork'"),
        ("torch.as_strided(x, [9], [1], 0)", "'as_strided'"),
        ("torch.set_(x, x)", "'set_'"),
        ("print(x)", "'print'"),
        ("__torch__.torch.classes.dist_c10d.Store(x)", "torch.classes"),
        ('torch.add(x, 1)  # "\n    torch.save(x)', "not written as torch writes it"),
        ('"""a" + torch.save(x, "b""")', "not written as torch writes it"),
    ],
)
def test_code_beyond_arithmetic_is_refused_by_name_before_it_is_loaded(statement, says):
    with pytest.raises(ModelError, match=says) as refusal:
        checked_program(program(f"    y = {statement}\n    return x\n"), "a.pt")
    assert str(refusal.value).startswith("a.pt: ") and "\n" not in str(refusal.value)


def test_words_of_error_messages_are_no_operators():
    assert checked_program(program('    y = "cannot save the file set, 3"\n    return x\n'), "a.pt")


def test_weights_that_are_no_numbers_are_refused():
    broken = tiny_network(tiny_spec(3))
    with torch.no_grad():
        next(broken.parameters()).view(-1)[0] = torch.nan
    target = io.BytesIO()
    torch.jit.save(torch.jit.trace(broken, torch.zeros(1, 1, *PATCH), check_trace=False), target)
    with pytest.raises(ModelError, match=r"weight '.*' holds values that are no numbers"):
        load_program(target.getvalue(), 3, "a.pt")


def test_an_answer_of_other_channels_is_refused(code):
    with pytest.raises(ModelError, match=r"answers with \[1, 3, 8, 8, 8\], but \[1, 4, 8, 8, 8\]"):
        load_program(code, 4, "a.pt")(torch.zeros(1, 1, *PATCH))


def test_a_package_that_says_confirmed_is_not_run_where_nobody_confirmed_it(package, code, monkeypatch, tmp_path):
    with pytest.raises(
        ModelError, match=r"only for a file from people that you trust, by `organincrement model import"
    ):
        load_package(package)
    confirm(code)
    loaded = load_package(package)
    assert loaded.spec.kind == PROGRAM and loaded.organs.ids == ("liver", "spleen")
    assert was_confirmed(loaded.manifest.weights[0].sha256)
    monkeypatch.setenv("ORGANINCREMENT_STATE", str(tmp_path / "another computer"))
    with pytest.raises(ModelError, match="only for a file from people that you trust"):
        load_package(package)


def test_a_program_that_was_changed_after_it_was_confirmed_is_refused(package, code):
    confirm(code)
    (package / "code.pt").write_bytes(code[:-1] + b"\1")
    with pytest.raises(ContractError, match=r"code\.pt is not the file that model\.json describes"):
        load_package(package)


CONFINED = """
import os, socket, stat, subprocess, sys, tempfile, threading, time
from organincrement.models.confinement import confine
said, go = [], threading.Event()
def ask():
    go.wait()
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.socket(family); said.append("open")
        except PermissionError:
            said.append("refused")
old = threading.Thread(target=ask); old.start()
socket.socket(socket.AF_INET).close()
offline = confine()
go.set(); old.join(); ask()
socket.socket(socket.AF_UNIX).close()
folder = tempfile.mkdtemp()
private = oct(stat.S_IMODE(os.stat(os.environ["TMPDIR"]).st_mode))
child = subprocess.run([sys.executable, "-c", "import socket; socket.socket()"], capture_output=True, text=True)
own = os.environ["TMPDIR"]
print(offline, said, private, folder.startswith(own), "PermissionError" in child.stderr, own)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process give up the network")
def test_a_confined_process_reaches_no_network_from_any_thread_or_child(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CONFINED], capture_output=True, encoding="utf-8", cwd=ENGINE, check=True,
        env={"PYTHONPATH": str(ENGINE), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    *said, folder = done.stdout.split(" ")
    assert " ".join(said) == "True ['refused', 'refused', 'refused', 'refused'] 0o700 True True"
    assert folder.startswith(str(tmp_path)) and list(tmp_path.iterdir()) == []
