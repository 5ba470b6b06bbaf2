"""The labels of another tool's model as organs: our ids and codes where a name is known, its own name for all."""

from collections.abc import Mapping
from dataclasses import replace

from organincrement.contract.errors import ContractError
from organincrement.contract.labels import LabelSpace, Organ, check_id
from organincrement.contract.organs import organ_from_name
from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import printable

MAX_LABELS = 1000
_LONGEST_NAME = 120
_GREY = (160, 160, 160)


def label_organs(labels: Mapping[str, int], renamed: Mapping[str, int], where: str) -> tuple[Organ, ...]:
    """The organs of a label table, by rising value, background (0) left out.

    A name that the terminology does not know keeps an id made from it; of two names that mean the same organ, the
    second gets an id of its own and no code.
    Args: labels: the model's own names, {name: value}. renamed: what the user calls a value instead.
    where: the file or folder, for the message.
    Raises: ModelError for values that are not 1, 2, 3, … each once, and for a value to rename that is not there.
    """
    names = _names_by_value(labels, renamed, where)
    organs: list[Organ] = []
    for value, name in sorted(names.items()):
        organs.append(_told_apart(_organ(name, value), value, organs))
    anomalies = {organ.id for organ in organs if organ.kind == "anomaly"}
    plain = (_as_organ(organ) if organ.host in anomalies else organ for organ in organs)
    try:
        return LabelSpace(tuple(plain)).organs
    except ContractError as error:
        raise ModelError(f"{where}: its labels cannot be organs ({error}); rename one with --organs") from None


def _names_by_value(labels: Mapping[str, int], renamed: Mapping[str, int], where: str) -> dict[int, str]:
    if len(labels) > MAX_LABELS:
        raise ModelError(f"{where}: has {len(labels)} labels, above the limit of {MAX_LABELS}; it cannot be imported")
    names: dict[int, str] = {}
    for name, value in labels.items():
        if type(value) is not int or value < 0 or value in names:
            raise ModelError(f"{where}: label {_shown(name)} has the value {_shown(value)}; each needs its own number")
        names[value] = name
    names.pop(0, None)
    if sorted(names) != list(range(1, len(names) + 1)):
        raise ModelError(f"{where}: its labels must be 1, 2, 3, … without a gap; correct its label table")
    for name, value in renamed.items():
        if value not in names:
            raise ModelError(f"--organs: {where} has no label {value}; it has 1 to {len(names)}")
        names[value] = name
    return names


def _organ(name: object, value: int) -> Organ:
    own_name = printable(" ".join(str(name).split())[:_LONGEST_NAME] or f"Label {value}")
    try:
        organ = organ_from_name(own_name)
        return replace(organ, id=organ.id if _is_id(organ.id) else f"label_{value}", name=own_name)
    except (ContractError, RecursionError):  # no Latin letter, or an anomaly of an anomaly of an anomaly …
        return Organ(id=f"label_{value}", name=own_name, color=_GREY)


def _is_id(text: str) -> bool:
    try:
        check_id(text)
    except ContractError:
        return False
    return True


def _told_apart(organ: Organ, value: int, others: list[Organ]) -> Organ:
    """The organ, or where others mean the same, one without codes and with an id that no other has."""
    if not any(organ.same_as(other) for other in others):
        return organ
    taken = {other.id for other in others}
    stem = organ.id if len(organ.id) < 70 else f"label_{value}"
    organ_id = next(f"{stem}_{i}" for i in range(2, MAX_LABELS + 3) if f"{stem}_{i}" not in taken)
    return replace(_as_organ(organ), id=organ_id, category=None, type=None)


def _as_organ(organ: Organ) -> Organ:
    return replace(organ, kind="organ", host=None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
