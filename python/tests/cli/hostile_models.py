"""A folder of models that attack whoever imports or looks at them, made by the test that needs them."""

import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch
from models.hostile_pickles import bombs, commands, tensor_pickle, torch_zip

CHECKPOINT = Path("fold_0") / "checkpoint_final.pth"
_DEEP = b"[" * 200_000
_FLOATS = struct.pack("<6f", *range(6))


def make_hostile_models(folder: Path, marker: Path, honest: Path) -> list[Path]:
    """One of every kind. Args: marker: a file that is there afterwards if anything was run.

    honest: an nnU-Net v2 results folder, of which spoilt copies are made.
    """
    folder.mkdir()
    _files(folder, marker)
    _spoilt_folders(folder, marker, honest)
    _bundles(folder, marker)
    _programs(folder, marker)
    _packages(folder)
    return sorted(folder.iterdir())


def _files(folder: Path, marker: Path) -> None:
    for name, pickled in commands(marker).items():
        (folder / f"runs-{name}.pt").write_bytes(torch_zip(pickled))
        (folder / f"runs-{name}.pth").write_bytes(pickled)
    for name, pickled in bombs().items():
        (folder / f"bomb-{name}.pt").write_bytes(torch_zip(pickled))
    huge = tensor_pickle(count=10**12, shape=(10**12,), strides=(1,))
    plain = {
        "tensor-of-10-to-the-12.pt": torch_zip(huge, {"0": _FLOATS}),
        "zip-slip.pt": _zip({"archive/data.pkl": b"N.", "../../slipped": b"x"}),
        "zip-of-zeros.pt": _zip({"archive/data.pkl": bytes(2**28)}, zipfile.ZIP_DEFLATED),
        "empty.pt": b"", "empty.safetensors": b"", "noise.pt": os.urandom(4096),
        "overlapping.safetensors": _safetensors({"a": _entry(0, 24), "b": _entry(8, 32)}, bytes(32)),
        "outside.safetensors": _safetensors({"a": _entry(0, 10**12, (10**12 // 4,))}, bytes(32)),
        "huge-header.safetensors": struct.pack("<Q", 2**40) + b"{}",
        "long-header.safetensors": struct.pack("<Q", 2**27) + b"{" + b" " * (2**27 - 1),
        "deep-header.safetensors": struct.pack("<Q", len(_DEEP)) + _DEEP,
        "not-numbers.safetensors": safetensors.torch.save({"a": torch.full((2, 3), torch.nan)}),
    }  # fmt: skip
    for name, content in plain.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.pt")
    (folder / "loop.pth").symlink_to("loop.pth")
    (folder / "nowhere.pt").symlink_to("/nowhere/at/all")
    (folder / "endless.pth").symlink_to("/dev/zero")
    with (folder / "sparse.pth").open("wb") as file:
        file.write(b"\x80\x02")
        file.truncate(2**36)


def _spoilt_folders(folder: Path, marker: Path, honest: Path) -> None:
    def spoilt(name: str, spoil: Callable[[Path], object]) -> None:
        shutil.copytree(honest, folder / name)
        spoil(folder / name)

    attack = torch_zip(commands(marker)["global-reduce"])
    weights = torch.load(honest / CHECKPOINT, weights_only=True)
    spoilt("results-run-a-command", lambda at: (at / CHECKPOINT).write_bytes(attack))
    spoilt("results-without-plans", lambda at: (at / "plans.json").unlink())
    spoilt("results-without-dataset", lambda at: (at / "dataset.json").unlink())
    spoilt("results-without-weights", lambda at: (at / CHECKPOINT).unlink())
    spoilt("results-half-copied", lambda at: os.truncate(at / CHECKPOINT, (at / CHECKPOINT).stat().st_size // 2))
    spoilt("results-with-deep-plans", lambda at: (at / "plans.json").write_bytes(b'{"a":' * 200_000))
    spoilt("results-with-a-list", lambda at: (at / "plans.json").write_text("[]", encoding="utf-8"))
    spoilt("results-with-large-plans", lambda at: os.truncate(at / "plans.json", 2**34))
    spoilt("results-with-a-pipe", lambda at: _pipe(at / CHECKPOINT))
    spoilt("results-with-a-loop", lambda at: _loop(at / CHECKPOINT))
    spoilt("results-without-numbers", lambda at: torch.save(_not_numbers(weights), at / CHECKPOINT))
    spoilt("results-of-another-network", lambda at: torch.save(_other_shapes(weights), at / CHECKPOINT))
    spoilt("results-of-a-huge-network", lambda at: _huge_network(at / "plans.json"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _not_numbers(checkpoint: dict) -> dict:
    spoilt = {name: weight.clone() for name, weight in checkpoint["network_weights"].items()}
    next(iter(spoilt.values())).view(-1)[0] = torch.nan
    return {**checkpoint, "network_weights": spoilt}


def _other_shapes(checkpoint: dict) -> dict:
    return {**checkpoint, "network_weights": {n: w[:1] for n, w in checkpoint["network_weights"].items()}}


def _huge_network(plans: Path) -> None:
    text = json.loads(plans.read_text(encoding="utf-8"))
    for configuration in text["configurations"].values():
        arch = configuration["architecture"]["arch_kwargs"]
        arch["features_per_stage"] = [10**6] * len(arch["features_per_stage"])
    plans.write_text(json.dumps(text), encoding="utf-8")


def _bundles(folder: Path, marker: Path) -> None:
    run = f"$__import__('os').system('echo>{marker}')"
    called = {"_target_": "os.system", "command": f"echo>{marker}"}
    configs = {
        "bundle-imports": {"imports": [run], "network_def": run, "preprocessing": run},
        "bundle-calls": {"network_def": called, "preprocessing": called, "inferer": called},
    }
    for name, config in configs.items():
        _bundle(folder / name, json.dumps(config).encode(), torch_zip(tensor_pickle(count=6, shape=(6,), strides=(1,))))
    _bundle(folder / "bundle-deep", _DEEP, b"")
    _bundle(folder / "bundle-weights", b"{}", torch_zip(commands(marker)["eval"]))


def _bundle(at: Path, config: bytes, weights: bytes) -> None:
    (at / "configs").mkdir(parents=True)
    (at / "models").mkdir()
    (at / "configs" / "metadata.json").write_text('{"version": "0.1.0", "network_data_format": {}}', encoding="utf-8")
    (at / "configs" / "inference.json").write_bytes(config)
    (at / "models" / "model.pt").write_bytes(weights)


def _programs(folder: Path, marker: Path) -> None:
    for name, statement in {
        "reads": "torch.from_file(path, False, 8)", "writes": "torch.save(x, path)",
        "gets": 'getattr(x, "from_file")(path)', "spells": 'getattr(x, "s\\x61ve")(path)',
        "calls": "ops.prim.rpc_sync(x)", "forks": "fork(self.forward, x)",
        "strides": "torch.as_strided(x, [10], [1], 0)",
    }.items():  # fmt: skip
        (folder / f"program-{name}.pt").write_bytes(
            program(f'    path = "{marker}"\n    y = {statement}\n    return x\n')
        )
    (folder / "program-cut-off.pt").write_bytes(program("    return x\n")[:300])


def program(body: str) -> bytes:
    """A file as torch.jit.save writes it, its forward with statements of the test's own."""
    code = "class N(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
    code += f"  def forward(self: __torch__.N,\n    x: Tensor) -> Tensor:\n{body}"
    module = b"\x80\x02c__torch__\nN\n)\x81}(X\x08\x00\x00\x00trainingI00\nub."
    return _zip({
        "n/data.pkl": module, "n/code/__torch__.py": code.encode(), "n/constants.pkl": b"\x80\x02).",
        "n/version": b"3\n", "n/byteorder": b"little",
    })  # fmt: skip


def _packages(folder: Path) -> None:
    (folder / "slips.oimodel").write_bytes(_zip({"model.json": b"{}", "../slipped": b"x"}))
    (folder / "deep.oimodel").write_bytes(_zip({"model.json": _DEEP}))
    (folder / "bomb.oimodel").write_bytes(_zip({"model.json": bytes(2**26)}, zipfile.ZIP_DEFLATED))
    (folder / "package-deep").mkdir()
    (folder / "package-deep" / "model.json").write_bytes(_DEEP)


def _zip(members: dict[str, bytes], compress: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compress) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def _safetensors(header: dict[str, object], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def _entry(first: int, end: int, shape: tuple[int, ...] = (6,)) -> dict[str, object]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [first, end]}
