"""Fields that came later leave older files valid and byte-equal; models of other tools keep their own rules."""

import dataclasses
import json
from typing import Any

import contract_samples as samples
import pytest

from organincrement.contract import codec
from organincrement.contract.codec import added
from organincrement.contract.errors import ContractError
from organincrement.contract.model import ModelManifest


@dataclasses.dataclass(frozen=True, kw_only=True)
class Letter:
    text: str
    pages: tuple[int, ...] = added(())
    colour: str = added("black")


def model(**of_preprocessing: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(samples.MODEL)
    data["preprocessing"].update(of_preprocessing)
    return data


def test_an_added_field_may_be_missing_and_is_not_written_while_it_is_its_default() -> None:
    read = codec.from_json(Letter, {"text": "hello"}, where="letter")
    assert read == Letter(text="hello", pages=(), colour="black")
    assert codec.to_json(read) == {"text": "hello"}
    assert codec.to_json(Letter(text="hello", pages=(1, 2))) == {"text": "hello", "pages": [1, 2]}
    assert codec.from_json(Letter, {"text": "", "colour": "red"}, where="letter").colour == "red"


def test_an_added_field_is_checked_like_any_other() -> None:
    with pytest.raises(ContractError, match=r"^letter: pages\[0\]: expected a whole number"):
        codec.from_json(Letter, {"text": "", "pages": ["one"]}, where="letter")
    with pytest.raises(ContractError, match="text: is missing"):
        codec.from_json(Letter, {"pages": []}, where="letter")


def test_the_documents_of_today_say_nothing_of_conventions_and_stay_as_they_are() -> None:
    manifest = codec.from_json(ModelManifest, json.loads(samples.MODEL), where="model.json")
    assert manifest.preprocessing.convention == "organincrement"
    assert manifest.preprocessing.keep_axes == ()
    assert codec.to_json(manifest) == json.loads(samples.MODEL)
    assert list(codec.to_json(manifest)["preprocessing"]) == list(json.loads(samples.MODEL)["preprocessing"])


def test_a_convention_kept_axes_and_stored_axes_survive_a_round_trip() -> None:
    data = model(convention="nnunet", keep_axes=[0], orientation="stored")
    manifest = codec.from_json(ModelManifest, data, where="model.json")
    assert manifest.preprocessing.keep_axes == (0,)
    assert codec.to_json(manifest) == data


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"convention": "mine"}, "preprocessing.convention: expected one of 'organincrement', 'nnunet'"),
        ({"keep_axes": [3]}, r"keep_axes \[3\] must be axes out of 0, 1 and 2"),
        ({"keep_axes": [1, 1]}, "each once"),
        ({"orientation": "Stored"}, "must name three axes"),
    ],
)
def test_a_convention_that_cannot_be_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        codec.from_json(ModelManifest, model(**change), where="model.json")


def test_only_a_zscore_takes_a_mask() -> None:
    zscore = {"kind": "zscore", "clip_hu": None, "mean": None, "std": None, "masked": True}
    assert codec.from_json(ModelManifest, model(normalisation=zscore), where="m").preprocessing.normalisation.masked
    with pytest.raises(ContractError, match="none has no mask"):
        codec.from_json(ModelManifest, model(normalisation={**zscore, "kind": "none"}), where="m")


@pytest.mark.parametrize("orientation", ["LPS", "stored"])
def test_models_from_elsewhere_mirror_as_their_own_tool_does_and_ours_never_swap_sides(orientation: str) -> None:
    mirrored = model(convention="nnunet", orientation=orientation)
    mirrored["inference"]["mirror_axes"] = [0, 1, 2]
    assert codec.from_json(ModelManifest, mirrored, where="m").inference.mirror_axes == (0, 1, 2)
    del mirrored["preprocessing"]["convention"]
    with pytest.raises(ContractError, match="would swap left and right"):
        codec.from_json(ModelManifest, mirrored, where="m")
