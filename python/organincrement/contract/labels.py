"""Organs, the label spaces they form, and the transition from a teacher's organs to its student's."""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .errors import ContractError


@dataclass(frozen=True)
class Code:
    """One coded concept, for example SCT 10200004 "Liver"."""

    scheme: str
    value: str
    meaning: str

    def same_as(self, other: "Code") -> bool:
        """True when scheme and value agree; meanings may be worded differently."""
        return (self.scheme, self.value) == (other.scheme, other.value)


@dataclass(frozen=True, kw_only=True)
class Organ:
    """One organ, or one anomaly (a tumour, say) inside its host organ; colour as red, green, blue in 0..255."""

    id: str
    name: str
    kind: Literal["organ", "anomaly"] = "organ"
    host: str | None = None
    color: tuple[int, int, int]
    category: Code | None = None
    type: Code | None = None
    modifier: Code | None = None

    def __post_init__(self) -> None:
        check_id(self.id)
        check_line(self.name, f"{self.id}: name")
        if not all(0 <= part <= 255 for part in self.color):
            raise ContractError(f"color of {self.id} must lie in 0 to 255, found {list(self.color)}")
        if (self.kind == "anomaly") != (self.host is not None):
            raise ContractError(f"{self.id}: an anomaly names its host organ and an organ has none; correct `host`")

    def same_as(self, other: "Organ") -> bool:
        """True when type and modifier are the same, else when the id is and nothing tells the two apart.

        Anomalies must also share their host: tumours of the liver and of the kidney have one type code.
        """
        if self.id == other.id:
            return not self.apart_from(other)
        if self.type is None or other.type is None or not self.type.same_as(other.type):
            return False
        return (_value(self.modifier), self.kind, self.host) == (_value(other.modifier), other.kind, other.host)

    def apart_from(self, other: "Organ") -> str:
        """What makes two of one id two organs, as "is left here and right there"; empty where nothing does.

        Only what both say counts: one without a side, or without a host, may be either; and so may one whose host has a
        name of somebody's own.
        """
        if self.modifier and other.modifier and _differ(self.modifier, other.modifier):
            return f"is {_word(self.modifier)} here and {_word(other.modifier)} there"
        if self.host and other.host and _differ_by_name(self.host, other.host):
            return f"lies in {self.host!r} here and in {other.host!r} there"
        return ""

    @property
    def has_laterality(self) -> bool:
        """True when a modifier tells its side, so that mirroring left-right would swap it with another organ."""
        return self.modifier is not None


def _value(code: Code | None) -> tuple[str, str] | None:
    return None if code is None else (code.scheme, code.value)


def _differ(a: Code, b: Code) -> bool:
    """True for different codes of one scheme; of two schemes only sides can be told apart, by their words."""
    return not a.same_as(b) if a.scheme == b.scheme else {_word(a), _word(b)} == {"left", "right"}


def _differ_by_name(a: str, b: str) -> bool:
    """True for the names of two organs of the terminology."""
    from .organs import organ_from_name  # it makes organs of this file

    one, two = (organ_from_name(name) for name in (a, b))
    return one.type is not None and two.type is not None and not one.same_as(two)


def _word(code: Code) -> str:
    word = code.meaning.strip().lower()
    return word if word in ("left", "right") else repr(code.meaning[:40])


def _check_one(first: Organ, second: Organ) -> None:
    """Refuse two organs under one id."""
    if first.id == second.id and (difference := first.apart_from(second)):
        raise ContractError(
            f"organ {first.id!r} {difference}; they are two: rename one of them, or correct the one that is wrong"
        )


def check_id(text: str) -> None:
    """Refuse an id that cannot serve as a file name on every system: letters, digits, `_`, `-`, `.`; at most 80."""
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,78}[A-Za-z0-9_-])?", text):
        raise ContractError(f"id {text!r} is not allowed; use letters, digits, '_', '-', '.', at most 80")


def check_line(text: str, what: str) -> None:
    """Refuse control characters: in a terminal, a stranger's name could overwrite what was said before it."""
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in text):
        raise ContractError(f"{what} {text[:80]!r} holds control characters; write it in one plain line")


@dataclass(frozen=True)
class LabelSpace:
    """Ordered organs; an organ's label is its position + 1, background is 0."""

    organs: tuple[Organ, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "organs", tuple(self.organs))
        for i, organ in enumerate(self.organs):
            for earlier in self.organs[:i]:
                _check_one(earlier, organ)
                if organ.same_as(earlier):
                    raise ContractError(f"organs {earlier.id!r} and {organ.id!r} are the same organ; keep one of them")
        anomalies = {organ.id for organ in self.organs if organ.kind == "anomaly"}
        for organ in self.organs:
            if organ.host in anomalies:
                raise ContractError(f"{organ.id}: its host {organ.host!r} is an anomaly itself; name an organ")

    def __len__(self) -> int:
        return len(self.organs)

    @property
    def ids(self) -> tuple[str, ...]:
        """The organs' ids in label order."""
        return tuple(organ.id for organ in self.organs)

    @property
    def names(self) -> tuple[str, ...]:
        """The organs' names in label order."""
        return tuple(organ.name for organ in self.organs)

    @property
    def has_laterality(self) -> bool:
        """True when an organ has a side, so that nothing may be mirrored left-right."""
        return any(organ.has_laterality for organ in self.organs)

    @classmethod
    def joined(cls, spaces: Iterable["LabelSpace"]) -> "LabelSpace":
        """The organs of several label spaces in their order, each once; raises ContractError for two under one id."""
        spaces = list(spaces)
        plain = [organ for space in spaces for organ in space.organs if organ.host is None]
        found: list[list[Organ]] = []  # what is the same organ
        for organ in (organ for space in spaces for organ in space.hosted_in(plain)):
            same = next((one for one in found if organ.same_as(one[0])), None)
            if same is None:
                found.append([organ])
                continue
            for earlier in same:  # the first may say less of itself than the others
                _check_one(earlier, organ)
                if organ.type and earlier.type and not organ.type.same_as(earlier.type):
                    raise ContractError(
                        f"organ {organ.id!r} is coded {earlier.type.meaning} here and {organ.type.meaning} there; "
                        "they are two: rename one of them"
                    )
            same.append(organ)
        return cls(tuple(one[0] for one in found))

    def hosted_in(self, others: Iterable[Organ]) -> tuple[Organ, ...]:
        """Its organs, each anomaly with the id that its host has among others, the first that is the same."""
        known = list(others)

        def host_of(organ: Organ) -> str | None:
            own = next((host for host in self.organs if host.id == organ.host), None)
            return next((other.id for other in known if own and other.same_as(own)), organ.host)

        return tuple(organ if organ.host is None else replace(organ, host=host_of(organ)) for organ in self.organs)

    def has(self, organ: Organ) -> bool:
        """Whether this organ, by its codes or its id, is among them."""
        return any(organ.same_as(own) for own in self.organs)

    def like(self, organ: Organ) -> Organ:
        """Its own entry for an organ that may have another id elsewhere; raises ContractError when there is none."""
        for own in self.organs:
            if organ.same_as(own):
                return own
        for own in self.organs:
            _check_one(own, organ)
        raise ContractError(f"there is no organ {organ.id!r}; there are {', '.join(self.ids) or 'none'}")

    def index(self, organ_id: str) -> int:
        """The label of an organ, from 1; raises ContractError when it is not among the organs."""
        try:
            return self.ids.index(organ_id) + 1
        except ValueError:
            raise ContractError(f"there is no organ {organ_id!r}; there are {', '.join(self.ids) or 'none'}") from None


@dataclass(frozen=True)
class LabelTransition:
    """From a teacher's organs (`old`) and the newly labelled ones (`new`) to the student's.

    `merges` lets organs of the teacher count as another of its organs: {"liver_tumour": "liver"}; or as a new one,
    which is then learned from the labels alone, the teacher's opinion counting as background: {"jaw": "mandible"}.
    Raises ContractError for an organ that is both old and new, for two organs under one id, and for merges that name no
    organ, chain or circle.
    """

    old: LabelSpace
    new: LabelSpace
    merges: Mapping[str, str]

    def __post_init__(self) -> None:
        targets = [target for target in self.merges.values() if target not in self.new.ids]
        for organ_id in (*self.merges.keys(), *targets):
            if organ_id not in self.old.ids:
                raise ContractError(f"merges: the teacher has no organ {organ_id!r}; it has {', '.join(self.old.ids)}")
        for source, target in self.merges.items():
            if source == target and target in targets:
                raise ContractError(f"merges: the dataset has no organ {target!r} to learn it from; drop the merge")
            if target in self.merges and target in targets:
                raise ContractError(f"merges: {source!r} counts as {target!r}, itself merged; name the final organ")
        for new in self.new.organs:
            for old in self.old.organs:
                _check_one(old, new)
                if new.same_as(old) and self.merges.get(old.id) != new.id:
                    raise ContractError(
                        f"organ {new.id!r} ({new.name}) of the dataset is known to the teacher already, as {old.id!r}; "
                        f"to learn it anew from the labels give --merge {old.id}={new.id}, else leave it out of the "
                        "dataset or choose another teacher"
                    )

    @functools.cached_property
    def student(self) -> LabelSpace:
        """The student's organs: the teacher's that are not merged away, then the new ones."""
        return LabelSpace((*(organ for organ in self.old.organs if organ.id not in self.merges), *self.new.organs))

    @property
    def replaced(self) -> tuple[str, ...]:
        """The teacher's organs that count as a new one."""
        return tuple(source for source, target in self.merges.items() if target in self.new.ids)

    @property
    def old_count(self) -> int:
        """K: how many of the student's organs are the teacher's."""
        return len(self.old) - len(self.merges)

    @property
    def new_count(self) -> int:
        """N: how many of the student's organs are new."""
        return len(self.new)

    @functools.cached_property
    def teacher_to_student(self) -> tuple[int, ...]:
        """The student's channel for each of the teacher's 1 + len(old) channels; of background and `replaced`: 0."""
        merged = (self.merges.get(organ_id, organ_id) for organ_id in self.old.ids)
        places = zip(self.old.ids, merged, strict=True)
        return (0, *(0 if old in self.replaced else self.student.index(organ_id) for old, organ_id in places))
