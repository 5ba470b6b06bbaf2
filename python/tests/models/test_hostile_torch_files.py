"""Files of torch.save and safetensors that lie about themselves are refused in one line, soon and in little memory."""

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from models.hostile_pickles import bombs, commands, tensor_pickle, torch_zip

from organincrement.models.errors import ModelError
from organincrement.models.torch_file import read_safetensors, read_torch_file, weights_of

_FLOATS = struct.pack("<6f", *range(6))
_MUTANTS = 300


def _read_all(path: Path) -> dict[str, torch.Tensor]:
    tree = read_safetensors(path) if path.suffix == ".safetensors" else read_torch_file(path)
    return {name: tensor.read() for name, tensor in weights_of(tree, path.name).items()}


def _refused(data: bytes, tmp_path: Path, *, name: str = "model.pt") -> str:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ModelError) as refusal:
        _read_all(path)
    message = str(refusal.value)
    assert message.startswith(f"{name}: ") and "\n" not in message and len(message) < 300
    return message


def test_an_honest_file_of_the_same_making_is_read(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(torch_zip(tensor_pickle(count=6, shape=(2, 3), strides=(3, 1)), {"0": _FLOATS}))
    assert _read_all(path)["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "figures",
    [
        {"shape": (10**12,), "strides": (1,)},
        {"shape": (10**12,), "strides": (0,)},
        {"shape": (10**6, 10**6, 10**6), "strides": (0, 0, 0)},
        {"shape": (2**62, 4), "strides": (4, 1)},
        {"shape": (2, 3), "strides": (3, 2)},
        {"shape": (2, 3), "strides": (-3, 1)},
        {"shape": (2, -3), "strides": (3, 1)},
        {"shape": (2, 3), "strides": (3, 1), "offset": 1},
        {"shape": (2, 3), "strides": (3, 1), "offset": -1},
        {"shape": (2, 3), "strides": (3, 1), "offset": 2**70},
        {"shape": (2, 3), "strides": (1,)},
        {"shape": (2.0, 3), "strides": (3, 1)},
        {"shape": (1,) * 100, "strides": (1,) * 100},
        {"shape": "23", "strides": (3, 1)},
        {"shape": (6,), "strides": (1,), "count": 10**12},
        {"shape": (6,), "strides": (1,), "count": -6},
        {"shape": (6,), "strides": (1,), "count": "6"},
        {"shape": (6,), "strides": (1,), "key": "1"},
        {"shape": (6,), "strides": (1,), "key": "../data.pkl"},
        {"shape": (6,), "strides": (1,), "kind": "Double"},
        {"shape": (6,), "strides": (1,), "kind": "QInt8"},
    ],
    ids=str,
)
def test_a_tensor_that_its_storage_cannot_hold_is_refused(figures, tmp_path):
    _refused(torch_zip(tensor_pickle(**{"count": 6, **figures}), {"0": _FLOATS}), tmp_path)


@pytest.mark.parametrize("attack", sorted(commands(Path("x"))))
def test_a_checkpoint_that_runs_commands_runs_none(attack, tmp_path):
    marker = tmp_path / "marker"
    pickled = commands(marker)[attack]
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    for data in (torch_zip(pickled), pickled, magic + pickled, magic + b"\x80\x02M\xe9\x03." + pickled):
        (tmp_path / "model.pt").write_bytes(data)
        try:
            tree = read_torch_file(tmp_path / "model.pt")
        except ModelError as error:
            assert "\n" not in str(error)
        else:
            assert not isinstance(tree, (dict, list))
        assert not marker.exists()


@pytest.mark.parametrize("bomb", sorted(bombs()))
def test_a_bomb_in_a_checkpoint_is_refused(bomb, tmp_path):
    _refused(torch_zip(bombs()[bomb]), tmp_path)


def _zip(names: list[str], *, compress: int = zipfile.ZIP_STORED, link: bool = False) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compress) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = compress
            info.external_attr = 0o120777 << 16 if link and name.endswith("/0") else 0o100644 << 16
            pickled = tensor_pickle(count=6, shape=(6,), strides=(1,))
            archive.writestr(info, pickled if name.endswith(".pkl") else _FLOATS)
    return target.getvalue()


_GOOD = ["archive/data.pkl", "archive/data/0"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: _zip([*_GOOD, "archive/../../out"]), "is not allowed"),
        (lambda: _zip([*_GOOD, "/etc/out"]), "is not allowed"),
        (lambda: _zip([*_GOOD, "archive/c:\\out"]), "is not allowed"),
        (lambda: _zip([*_GOOD, "archive/data/0"]), "twice"),
        (lambda: _zip([*_GOOD, "ARCHIVE/data/0"]), "twice"),
        (lambda: _zip([*_GOOD, "other/data.pkl"]), "none that torch.save writes"),
        (lambda: _zip(["archive/data/0"]), "none that torch.save writes"),
        (lambda: _zip(_GOOD, link=True), "link"),
        (lambda: _zip(_GOOD, compress=zipfile.ZIP_DEFLATED), "compressed"),
        (lambda: _zip(_GOOD) + b"more", "cut off or added to"),
        (lambda: torch_zip(b"N." + b"\0" * 10**8, compress=zipfile.ZIP_DEFLATED), "compressed"),
        (lambda: _zip([*_GOOD, "archive/constants.pkl"]), "TorchScript"),
        (lambda: _with_members(200_000), "more in it than a model has"),
        (lambda: _shared_bytes(), "share their bytes"),
    ],
    ids=range(14),
)
def test_a_zip_file_that_torch_would_not_write_is_refused(data: Callable[[], bytes], reason, tmp_path):
    assert reason in _refused(data(), tmp_path)


def _with_members(count: int) -> bytes:
    """A zip file whose list claims so many members: the same entry again and again."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    start = b"PK\3\4" + bytes(26)
    listed = entry * count
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(listed), len(start))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(start) + len(listed), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return start + listed + end64 + locator + end


def _shared_bytes() -> bytes:
    """A zip file whose two members lie at one place."""
    data = bytearray(_zip([*_GOOD, "archive/data/1"]))
    first, second = data.rfind(b"PK\1\2", 0, data.rfind(b"PK\1\2")), data.rfind(b"PK\1\2")
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    return bytes(data)


def _safetensors(header: object, body: bytes = _FLOATS, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def _entry(first: int, end: int, shape: object = (6,), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, end]}


@pytest.mark.parametrize(
    "data",
    [
        _safetensors({"w": _entry(0, 24)}, length=2**60),
        _safetensors({"w": _entry(0, 24)}, length=10**9),
        _safetensors({"w": _entry(0, 24)}, length=3),
        _safetensors({"w": _entry(0, 24, (10**12,))}),
        _safetensors({"w": _entry(0, 4 * 10**12, (10**12,))}),
        _safetensors({"w": _entry(0, 24, (2**62, 2**62))}),
        _safetensors({"w": _entry(24, 0)}),
        _safetensors({"w": _entry(-24, 0)}),
        _safetensors({"w": _entry(4, 28)}),
        _safetensors({"w": _entry(0, 24, (-2, -3))}),
        _safetensors({"w": _entry(0, 24, (6.0,))}),
        _safetensors({"w": _entry(0, 24, (True, 6))}),
        _safetensors({"w": _entry(0, 24, "6")}),
        _safetensors({"w": _entry(0, 24, (1,) * 1000)}),
        _safetensors({"w": _entry(0, 24, (6,), "F31")}),
        _safetensors({"w": _entry(0, 24, (6,), ["F32"])}),
        _safetensors({"w": _entry(0, 24), "v": _entry(0, 24)}),
        _safetensors({"w": _entry(0, 24), "v": _entry(12, 24, (3,))}),
        _safetensors({"w": _entry(0, 20, (5,))}),
        _safetensors({"w": _entry(0, 24)}, _FLOATS + b"more"),
        _safetensors({"w": _entry(0, 24)}, _FLOATS[:-1]),
        _safetensors({"w": {**_entry(0, 24), "more": 1}}),
        _safetensors({"w": [1]}),
        _safetensors([1]),
        _safetensors({"__metadata__": {"a": 1}, "w": _entry(0, 24)}),
        _safetensors(
            b'{"w":' + json.dumps(_entry(0, 24)).encode() + b',"w":' + json.dumps(_entry(0, 24)).encode() + b"}"
        ),
        _safetensors(b"[" * 100_000 + b"]" * 100_000),
        _safetensors(b'{"w":' * 100_000 + b"1" + b"}" * 100_000),
        _safetensors(b'{"w": NaN}'),
        _safetensors(b'{"w": 1' + b"0" * 5000 + b"}"),
        _safetensors(b"\xff\xfe{}"),
        b"",
        b"12345",
    ],
    ids=range(33),
)
def test_a_safetensors_file_that_lies_is_refused(data, tmp_path):
    _refused(data, tmp_path, name="model.safetensors")


def _small_checkpoint(path: Path, form: str) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.InstanceNorm3d(2, affine=True))
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    return state


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_file_cut_off_at_any_tenth_is_refused(form, tmp_path):
    name = "model.safetensors" if form == "safetensors" else "model.pt"
    _small_checkpoint(tmp_path / name, form)
    whole = (tmp_path / name).read_bytes()
    for tenth in range(10):
        _refused(whole[: len(whole) * tenth // 10], tmp_path, name=name)


def _mutant(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    at = chance.randrange(len(changed))
    way = chance.randrange(5)
    if way == 0:
        changed[at] ^= 1 << chance.randrange(8)
    elif way == 1:
        changed[at : at + 8] = chance.randbytes(min(8, len(changed) - at))
    elif way == 2:
        del changed[at : at + chance.randrange(1, 40)]
    elif way == 3:
        changed[at:at] = chance.randbytes(chance.randrange(1, 40))
    else:
        changed[at : at + 4] = (0xFFFFFFFF).to_bytes(4, "little")[: len(changed) - at]
    return bytes(changed)


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_damaged_file_is_refused_or_holds_the_same_tensors(form, tmp_path):
    """Only zip files have checksums, so that in the two others a changed value may go unseen."""
    path = tmp_path / ("model.safetensors" if form == "safetensors" else "model.pt")
    wanted = _small_checkpoint(path, form)
    whole, chance, refused = path.read_bytes(), random.Random(6), 0
    for _ in range(_MUTANTS):
        path.write_bytes(_mutant(whole, chance))
        try:
            found = _read_all(path)
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        if form == "zip":
            assert list(found) == list(wanted)
            assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert refused > _MUTANTS // 3


def test_a_damaged_pickle_in_a_whole_zip_file_is_refused_or_read_as_data(tmp_path):
    """Its checksum is right, so that nothing but the reading of the pickle stands in its way."""
    path = tmp_path / "model.pt"
    _small_checkpoint(path, "zip")
    with zipfile.ZipFile(path) as archive:
        pickled = archive.read("model/data.pkl")
        storages = {name.split("/")[-1]: archive.read(name) for name in archive.namelist() if "/data/" in name}
    chance, refused = random.Random(7), 0
    for _ in range(_MUTANTS):
        path.write_bytes(torch_zip(_mutant(pickled, chance), storages))
        try:
            found = _read_all(path)
        except ModelError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert sum(tensor.nbytes for tensor in found.values()) <= len(found) * max(map(len, storages.values()))
    assert refused > _MUTANTS // 2
