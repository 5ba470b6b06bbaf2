"""The vault: private, of this computer, in no folder that gets about, whole or refused, and trimmed from its end."""

import json
import stat
import sys

import numpy as np
import pytest
from tiny_models import preprocessing

from organincrement.contract.vault import ChosenFor, Exemplar, Vault
from organincrement.replay import machine, vault
from organincrement.replay.errors import ReplayError
from organincrement.replay.vault import (
    VaultWriter,
    centre_of,
    check_fits,
    new_mark,
    open_vault,
    placed,
    slab_starts,
    trim,
)

IMAGES = [np.random.default_rng(number).standard_normal((4, 6, 8)).astype(np.float32) for number in range(3)]
MODEL = "a" * 64
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")


def chosen(organ, rank):
    return ChosenFor(organ=organ, rank=rank, uncertainty=0.1, coverage=1.0, point=(1, 2, 3))


def made_vault(out, by="aeiseg"):
    writer = VaultWriter(out)
    exemplars = []
    for number, image in enumerate(IMAGES, start=1):
        file, digest, size = writer.store(number, image)
        exemplars.append(
            Exemplar(file=file, sha256=digest, bytes=size, shape=image.shape, chosen_for=(chosen("liver", number),))
        )
    salt, mark = new_mark()
    sealed = Vault(
        model_sha256=MODEL, preprocessing=preprocessing(), slab=4, by=by, features="test", salt=salt, machine=mark,
        exemplars=tuple(exemplars),
    )  # fmt: skip
    writer.seal(sealed, "<p>page</p>")
    return out


@pytest.fixture
def folder(tmp_path):
    return made_vault(tmp_path / "vault")


def refused(folder, *says):
    with pytest.raises(ReplayError) as caught:
        open_vault(folder).cases()
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"{folder.name}: ")
    for text in says:
        assert text in str(caught.value)


def test_what_goes_in_comes_out_in_half_precision_unlabelled_and_with_a_point_to_aim_at(folder):
    cases = open_vault(folder).cases()
    assert [case.id for case in cases] == ["exemplar:0001", "exemplar:0002", "exemplar:0003"]
    where = (slice(1, 3), slice(0, 6), slice(2, 8))
    for case, image in zip(cases, IMAGES, strict=True):
        part, labels = case.read(where)
        np.testing.assert_allclose(part, image[where], rtol=1e-3, atol=1e-3)
        assert (labels == -1).all() and (case.labels_DHW() == -1).all() and case.shape == image.shape
        assert {organ: points.tolist() for organ, points in case.points().items()} == {1: [[1, 2, 3]]}


@posix
def test_only_the_owner_may_open_it_from_the_first_moment_on(folder, tmp_path):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    writer = VaultWriter(tmp_path / "other")
    writer.store(1, IMAGES[0])
    partial = tmp_path / "other.partial"
    assert stat.S_IMODE(partial.stat().st_mode) == 0o700
    writer.discard()
    assert not partial.exists()


@pytest.mark.parametrize("name", ["0001.b2nd", "10000.b2nd", ".123456.b2nd.part", "selection.html"])
def test_what_a_killed_choice_left_is_cleared(tmp_path, name):
    (tmp_path / "again.partial").mkdir()
    (tmp_path / "again.partial" / name).write_bytes(b"half")
    made_vault(tmp_path / "again")
    assert not (tmp_path / "again.partial").exists() and len(open_vault(tmp_path / "again").cases()) == len(IMAGES)


@posix
@pytest.mark.parametrize("name", [".", "0002.b2nd", "vault.json"])
def test_a_vault_that_others_may_open_is_refused(folder, name):
    (folder / name).chmod(0o755)
    refused(folder, "others than you may open", "chmod 7" if name == "." else "chmod 6")


def test_another_computer_is_refused(folder, monkeypatch):
    monkeypatch.setattr(machine, "_identity", lambda: "another computer")
    refused(folder, "was made on another computer")


def test_the_mark_tells_nothing_and_differs_from_vault_to_vault(folder, tmp_path):
    told = [
        json.loads((made / "vault.json").read_text(encoding="utf-8"))
        for made in (folder, made_vault(tmp_path / "second"))
    ]
    assert told[0]["machine"] != told[1]["machine"] and machine._identity() not in json.dumps(told)


def test_a_computer_without_an_identity_has_one_that_stays_the_same(monkeypatch):
    monkeypatch.setattr(machine, "_linux", lambda: "")
    monkeypatch.setattr(machine, "_windows", lambda: "")
    monkeypatch.setattr(machine.uuid, "getnode", iter([1 << 40 | 5, 1 << 40 | 6]).__next__)
    assert machine.machine_mark("s") == machine.machine_mark("s")


@pytest.mark.parametrize("damage", ["changed", "shorter", "gone", "swapped"])
def test_a_tampered_file_is_refused_by_name(folder, damage):
    path = folder / "0002.b2nd"
    data = path.read_bytes()
    if damage == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "shorter":
        path.write_bytes(data[:-1])
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes((folder / "0001.b2nd").read_bytes())
    refused(folder, "0002.b2nd", "select the exemplars again")


def test_a_file_that_is_no_image_is_refused_though_its_hash_fits(folder):
    document = json.loads((folder / "vault.json").read_text(encoding="utf-8"))
    (folder / "0001.b2nd").write_bytes(b"not an image")
    document["exemplars"][0]["sha256"] = vault.sha256_file(folder / "0001.b2nd")
    document["exemplars"][0]["bytes"] = 12
    (folder / "vault.json").write_text(json.dumps(document), encoding="utf-8")
    refused(folder, "0001.b2nd", "does not hold an image")


@posix
def test_a_link_out_of_the_vault_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere").write_bytes((folder / "0001.b2nd").read_bytes())
    (folder / "0001.b2nd").unlink()
    (folder / "0001.b2nd").symlink_to(tmp_path / "elsewhere")
    refused(folder, "is a link")


@pytest.mark.parametrize("name", ["dataset.json", "model.json"])
def test_no_vault_lies_in_a_dataset_or_a_package(folder, tmp_path, name):
    holder = tmp_path / "holder"
    holder.mkdir()
    (holder / name).write_text("{}", encoding="utf-8")
    with pytest.raises(ReplayError, match="lies inside 'holder'"):
        VaultWriter(holder / "deep" / "vault")
    assert sorted(path.name for path in holder.iterdir()) == [name]
    folder.rename(holder / "vault")
    refused(holder / "vault", "lies inside 'holder'")


def test_nothing_that_is_there_is_written_over(folder):
    before = (folder / "vault.json").read_bytes()
    with pytest.raises(ReplayError, match="is there already"):
        VaultWriter(folder)
    assert (folder / "vault.json").read_bytes() == before


def test_a_trimmed_vault_keeps_the_first_of_the_greedy_order(folder):
    kept = trim(folder, 2)
    assert [exemplar.chosen_for[0].rank for exemplar in kept.exemplars] == [1, 2]
    assert sorted(path.name for path in folder.glob("*.b2nd")) == ["0001.b2nd", "0002.b2nd"]
    assert [case.id for case in open_vault(folder).cases()] == ["exemplar:0001", "exemplar:0002"]
    for keep in (0, 3):
        with pytest.raises(ReplayError, match="keep 1 or more of them"):
            trim(folder, keep)


def changed(**values):
    return lambda document: document.update(values)


def of_exemplar(**values):
    return lambda document: document["exemplars"][0].update(values)


HOSTILE = {
    "a path": (of_exemplar(file="../../etc/passwd"), "must be a number"),
    "an absolute path": (of_exemplar(file="/etc/passwd"), "must be a number"),
    "a huge shape": (of_exemplar(shape=[10**9, 10**9, 10**9]), "do not fit together"),
    "no shape": (of_exemplar(shape=[4, 6]), "expected a list of 3"),
    "a negative shape": (of_exemplar(shape=[-4, -6, 8]), "do not fit together"),
    "a point outside": (of_exemplar(shape=[1, 1, 1]), "outside the shape"),
    "no hash": (of_exemplar(sha256="x"), "64 hex digits"),
    "an unknown key": (changed(patient="Doe"), "unknown key"),
    "another schema": (changed(schema="organincrement/vault/9"), "newer"),
    "no exemplars": (changed(exemplars=[]), "there are none"),
    "one twice": (lambda document: document["exemplars"].append(document["exemplars"][0]), "twice"),
    "another method": (changed(by="magic"), "magic"),
    "numbers for words": (changed(machine=5), "expected a string"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_vault_is_refused_in_one_line(folder, what):
    change, says = HOSTILE[what]
    document = json.loads((folder / "vault.json").read_text(encoding="utf-8"))
    change(document)
    (folder / "vault.json").write_text(json.dumps(document), encoding="utf-8")
    refused(folder, says)


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "{}", "[" * 10_000, '{"schema": NaN}', "\ud800"])
def test_a_file_that_is_no_vault_is_refused_in_one_line(folder, text):
    (folder / "vault.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(folder, "vault.json")


def test_a_folder_without_one_is_refused_in_one_line(tmp_path):
    refused(tmp_path / "nowhere", "is no vault, which `exemplars select` makes")
    refused(tmp_path, "is no vault")


def test_a_vault_serves_its_model_that_models_descendants_and_its_method_only(folder):
    held = open_vault(folder).vault
    check_fits(held, folder, ["b" * 64, MODEL], preprocessing(), "aeiseg")
    for ancestors, prepared, by, says in (
        (["b" * 64], preprocessing(), "aeiseg", "another model"),
        ([MODEL], preprocessing(spacing_mm=(1.0, 1.0, 1.0)), "aeiseg", "prepared otherwise"),
        ([MODEL], preprocessing(), "coriseg", "--by coriseg"),
    ):
        with pytest.raises(ReplayError, match=says):
            check_fits(held, folder, ancestors, prepared, by)


def test_organs_take_turns_by_rank_and_what_serves_two_comes_once():
    assert placed({"1": [7, 3, 5], "2": [3, 9], "3": []}) == [7, 3, 9, 5]


def test_slabs_tile_an_axis():
    assert slab_starts(12, 4) == [0, 4, 8] and slab_starts(10, 4) == [0, 4, 6] and slab_starts(3, 4) == [0]
    assert slab_starts(3, 1) == [0, 1, 2]


def test_the_point_of_a_ring_lies_on_it():
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 1:8, 1:8], mask[0, 2:7, 2:7] = True, False
    assert mask[centre_of(mask)]
