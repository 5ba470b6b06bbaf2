import hashlib
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import contract_samples as samples
import pytest

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import (
    Decoder,
    DynamicHead,
    Head,
    ModelManifest,
    MultiDecoderHead,
    MultiHead,
    Normalisation,
    OrganHead,
    SoftmaxHead,
    TorchScriptHead,
    Weights,
)
from organincrement.contract.package import manifest_sha256, open_member, read_manifest, read_weights

WEIGHTS = b"weights of the network"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "head-neck-5"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(WEIGHTS)
    weights = Weights(file="weights.safetensors", sha256=hashlib.sha256(WEIGHTS).hexdigest(), bytes=len(WEIGHTS))
    codec.write(replace(samples.model(), weights=(weights,)), folder / "model.json")
    return folder


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".oimodel")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    return path


def test_a_folder_and_its_zip_are_the_same_package(package: Path) -> None:
    archive = zipped(package)
    manifest = read_manifest(package)
    assert manifest == read_manifest(archive)
    assert manifest.label_space == LabelSpace(samples.model().organs)
    assert manifest_sha256(package) == manifest_sha256(archive)
    assert manifest_sha256(package) == hashlib.sha256((package / "model.json").read_bytes()).hexdigest()
    assert read_weights(package, manifest.weights[0]) == read_weights(archive, manifest.weights[0]) == WEIGHTS


@pytest.mark.parametrize("content", [WEIGHTS[:-1] + b"!", WEIGHTS[:-1], WEIGHTS + b"!"])
def test_weights_that_differ_from_the_manifest_are_refused(package: Path, content: bytes) -> None:
    manifest = read_manifest(package)
    (package / "weights.safetensors").write_bytes(content)
    for path in (package, zipped(package)):
        with pytest.raises(ContractError, match=r"weights.safetensors"):
            read_weights(path, manifest.weights[0])


@pytest.mark.parametrize(
    "head",
    [
        SoftmaxHead(),
        MultiHead(heads=(OrganHead(organs=("parotid_right",), prefix="heads.0"),)),
        DynamicHead(tasks=(("parotid_right",),), width=8, depth=3),
        MultiDecoderHead(
            decoders=(
                Decoder(organs=("parotid_right",), temperature=1.5, range_mm={"parotid_right": (-3, 4)}, sparsity=0.9),
                Decoder(organs=(), temperature=1.0, range_mm=None, sparsity=0.0),
            )
        ),
        TorchScriptHead(file="model.pt", confirmed=False),
    ],
)
def test_each_kind_of_head_survives_a_round_trip(head: Head) -> None:
    manifest = replace(samples.model(), head=head)
    written = codec.to_json(manifest)
    assert next(iter(written["head"])) == "kind"
    assert codec.from_json(ModelManifest, written, where="model.json") == manifest


def test_a_head_of_an_organ_that_the_model_has_not_is_refused() -> None:
    with pytest.raises(ContractError, match="head: 'liver' is not among the organs"):
        replace(samples.model(), head=DynamicHead(tasks=(("liver",),), width=8, depth=3))


@pytest.mark.parametrize(
    ("orientation", "axis_order", "left_right"), [("LPS", (0, 1, 2), 2), ("LPS", (2, 0, 1), 0), ("SPR", (0, 1, 2), 0)]
)
def test_a_model_with_left_and_right_organs_is_never_mirrored_left_right(
    orientation: str, axis_order: tuple[int, int, int], left_right: int
) -> None:
    model = samples.model()
    model = replace(model, preprocessing=replace(model.preprocessing, orientation=orientation, axis_order=axis_order))
    others = tuple(axis for axis in range(3) if axis != left_right)
    assert replace(model, inference=replace(model.inference, mirror_axes=others)).inference.mirror_axes == others
    mirrored = replace(model.inference, mirror_axes=(0, 1, 2))
    with pytest.raises(ContractError, match=f"mirror_axes: axis {left_right} would swap left and right"):
        replace(model, inference=mirrored)
    sideless = tuple(replace(organ, modifier=None) for organ in model.organs)
    assert replace(model, organs=sideless, inference=mirrored).inference.mirror_axes == (0, 1, 2)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"kind": "ct"}, "ct needs clip_hu, mean and std"),
        ({"kind": "zscore", "mean": 1.0}, "zscore takes no"),
        ({"kind": "ct", "clip_hu": (300.0, -200.0), "mean": 0.0, "std": 1.0}, "must rise"),
        ({"kind": "ct", "clip_hu": (-200.0, 300.0), "mean": 0.0, "std": 0.0}, "above 0"),
    ],
)
def test_a_normalisation_that_cannot_work_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        Normalisation(**values)  # type: ignore[arg-type]


def _write(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of duplicate names, which are what is tested
        for name, data in members:
            archive.writestr(name, data, compression)


def _link(path: Path) -> None:
    link = zipfile.ZipInfo("model.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    _write(path, (link, b"/etc/passwd"))


def _overlapping(path: Path) -> None:
    """Two directory entries that share the bytes of one member."""
    _write(path, ("a" * 10, b"x" * 4000), ("b" * 10, b"y"))
    data = bytearray(path.read_bytes())
    first, second = (i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02")
    data[second + 20 : second + 28] = data[first + 20 : first + 28]
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)


def _encrypted(path: Path) -> None:
    _write(path, ("model.json", b"{}"))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def _oversized(path: Path) -> None:
    _write(path, ("model.json", b"{}"))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: _write(path, ("/etc/passwd", b"x")), "not allowed"),
        (lambda path: _write(path, ("../model.json", b"x")), "not allowed"),
        (lambda path: _write(path, ("a/../../b", b"x")), "not allowed"),
        (lambda path: _write(path, ("C:\\x", b"x")), "not allowed"),
        (lambda path: _write(path, ("model.json", b"{}"), ("model.json", b"[]")), "twice"),
        (lambda path: _write(path, ("model.json", b"{}"), ("MODEL.json", b"[]")), "twice"),
        (lambda path: _write(path, ("model.json", bytes(10**6)), compression=zipfile.ZIP_DEFLATED), "grows more than"),
        (lambda path: _write(path, ("model.json", b"{}"), compression=zipfile.ZIP_LZMA), "oddly compressed"),
        (lambda path: _write(path, *((f"f{i}", b"") for i in range(1001))), "over 1000 files"),
        (lambda path: _write(path, ("weights.safetensors", b"x")), "holds no model.json"),
        (lambda path: _write(path, ("model.json", b" " * (16 * 2**20 + 1))), "larger than"),
        (_link, "is a link"),
        (_overlapping, "declares more bytes"),
        (_encrypted, "encrypted"),
        (_oversized, "grows more than"),
        (lambda path: path.write_bytes(b"PK\x03\x04 no zip"), "no readable package"),
        (lambda path: path.write_bytes(b""), "no readable package"),
        (lambda path: None, "cannot be read"),
    ],
)
def test_a_malicious_or_broken_zip_is_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    path = tmp_path / "x.oimodel"
    make(path)
    with pytest.raises(ContractError, match=says) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_flipped_byte_of_a_zip_gives_anything_but_the_manifest_or_a_refusal(package: Path) -> None:
    archive = zipped(package)
    expected, original = read_manifest(archive), archive.read_bytes()
    refused = 0
    for position in range(0, len(original), 7):
        archive.write_bytes(original[:position] + bytes([original[position] ^ 0x55]) + original[position + 1 :])
        try:
            assert read_manifest(archive) == expected
        except ContractError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > len((package / "model.json").read_bytes()) / 7


def test_a_member_of_a_folder_may_not_lie_outside(package: Path) -> None:
    (package / "link.safetensors").symlink_to(package.parent / "secret")
    for name in ("../secret", "/etc/passwd", "link.safetensors"):
        with pytest.raises(ContractError, match=r"not allowed|through a link"):
            open_member(package, name)


@pytest.mark.parametrize(
    "changed",
    [
        lambda model: replace(model, name="teacher\x1b[2K\rno problem found"),
        lambda model: replace(model, organs=(replace(model.organs[0], name="Liver\n3 organs"), *model.organs[1:])),
        lambda model: replace(model, preprocessing=replace(model.preprocessing, channels=("CT\x9b31m",))),
        lambda model: replace(model, trained_on=replace(model.trained_on, modality="CT\n")),
        lambda model: replace(model, lineage=(replace(model.lineage[0], name="first\x07"),)),
    ],
)
def test_names_that_would_rewrite_what_a_terminal_shows_are_refused(changed: Callable[[ModelManifest], object]) -> None:
    with pytest.raises(ContractError, match="holds control characters") as error:
        changed(samples.model())
    assert str(error.value).isprintable()


def test_an_axis_that_is_mirrored_again_and_again_is_refused() -> None:
    model = samples.model()
    with pytest.raises(ContractError, match="name each axis once"):
        replace(model, inference=replace(model.inference, mirror_axes=(0,) * 60))


def test_a_zip_whose_list_of_files_would_fill_the_memory_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "long.oimodel"
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    count = 2**24 // len(entry) + 1
    with path.open("wb") as file:
        file.write(b"PK\3\4")
        file.write(entry * count)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count & 0xFFFF, count & 0xFFFF, count * len(entry), 4, 0))
    with pytest.raises(ContractError, match="lists more files than any model has"):
        open_member(path, "model.json")
