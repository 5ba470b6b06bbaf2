"""A small terminology: organs by name, with SNOMED CT codes where they are certain, and a colour."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from .errors import ContractError
from .labels import Code, Organ

ANATOMICAL_STRUCTURE = Code("SCT", "123037004", "Anatomical structure")
ALTERED_STRUCTURE = Code("SCT", "49755003", "Morphologically altered structure")
SIDES = {"left": Code("SCT", "7771000", "Left"), "right": Code("SCT", "24028007", "Right")}
ANOMALIES = {"tumour": Code("SCT", "108369006", "Neoplasm"), "cyst": Code("SCT", "367643001", "Cyst"), "lesion": None}
_SPELLINGS = {"tumor": "tumour", "tumors": "tumour", "tumours": "tumour", "neoplasm": "tumour", "cancer": "tumour"}
_SIDE_LETTERS = {"l": "left", "r": "right"}
_LEFT_SHADE = 0.78  # left organs are darker than right ones, so that a pair can be told apart


@dataclass(frozen=True)
class Term:
    """One organ of the terminology; `paired` when there is a left and a right one."""

    name: str
    code: str
    color: tuple[int, int, int]
    paired: bool = False


TERMS = {
    "adrenal_gland": Term("Adrenal gland", "23451007", (244, 186, 150), True),
    "aorta": Term("Aorta", "15825003", (224, 97, 76)),
    "brain": Term("Brain", "12738006", (250, 250, 225)),
    "brainstem": Term("Brainstem", "15926001", (226, 202, 134)),
    "clavicula": Term("Clavicle", "51299004", (230, 220, 200), True),
    "cochlea": Term("Cochlea", "80169004", (170, 150, 220), True),
    "colon": Term("Colon", "71854001", (204, 168, 143)),
    "duodenum": Term("Duodenum", "38848004", (255, 253, 180)),
    "esophagus": Term("Esophagus", "32849002", (211, 171, 143)),
    "eye": Term("Eye", "81745001", (194, 142, 220), True),
    "femur": Term("Femur", "71341001", (255, 238, 170), True),
    "gallbladder": Term("Gallbladder", "28231008", (139, 190, 60)),
    "heart": Term("Heart", "80891009", (206, 90, 80)),
    "hip": Term("Hip", "29836001", (235, 225, 160), True),
    "humerus": Term("Humerus", "85050009", (250, 240, 190), True),
    "inferior_vena_cava": Term("Inferior vena cava", "64131007", (0, 151, 206)),
    "kidney": Term("Kidney", "64033007", (232, 190, 70), True),
    "larynx": Term("Larynx", "4596009", (150, 208, 243)),
    "liver": Term("Liver", "10200004", (221, 130, 101)),
    "lung": Term("Lung", "39607008", (197, 165, 145), True),
    "lung_lower_lobe": Term("Lower lobe of lung", "90572001", (224, 186, 162), True),
    "lung_middle_lobe": Term("Middle lobe of lung", "72481006", (202, 164, 140)),
    "lung_upper_lobe": Term("Upper lobe of lung", "45653009", (172, 138, 115), True),
    "mandible": Term("Mandible", "91609006", (255, 205, 90)),
    "optic_chiasm": Term("Optic chiasm", "244453006", (234, 234, 60)),
    "optic_nerve": Term("Optic nerve", "18234004", (244, 214, 49), True),
    "oral_cavity": Term("Oral cavity", "74262004", (225, 120, 160)),
    "pancreas": Term("Pancreas", "15776009", (249, 180, 111)),
    "parotid": Term("Parotid gland", "45289007", (144, 238, 144), True),
    "portal_vein_and_splenic_vein": Term("Portal vein and splenic vein", "110765007", (60, 110, 220)),
    "prostate": Term("Prostate", "41216001", (230, 158, 140)),
    "rectum": Term("Rectum", "34402009", (188, 130, 90)),
    "sacrum": Term("Sacrum", "54735007", (212, 188, 102)),
    "scapula": Term("Scapula", "79601000", (212, 202, 170), True),
    "skull": Term("Skull", "89546000", (241, 214, 145)),
    "small_bowel": Term("Small bowel", "30315005", (205, 167, 142)),
    "spinal_cord": Term("Spinal cord", "2748008", (244, 214, 120)),
    "spleen": Term("Spleen", "78961009", (157, 108, 162)),
    "sternum": Term("Sternum", "56873002", (244, 217, 154)),
    "stomach": Term("Stomach", "69695003", (86, 156, 214)),
    "submandibular_gland": Term("Submandibular gland", "54019009", (90, 200, 150), True),
    "superior_vena_cava": Term("Superior vena cava", "48345005", (30, 120, 190)),
    "thyroid_gland": Term("Thyroid gland", "69748006", (62, 162, 114)),
    "trachea": Term("Trachea", "44567001", (182, 228, 255)),
    "urinary_bladder": Term("Urinary bladder", "89837001", (222, 154, 132)),
}
_VERTEBRA_CODES = {
    "c": "14806007 39976000 113205007 5329002 36978003 36054005 87391001",
    "t": "64864005 53733008 1626008 73071006 56401006 45296009 62487009 11068009 82687006 7610001 12989004 23215003",
    "l": "66794005 14293000 36470004 11994002 49668003",
}
TERMS |= {
    f"vertebrae_{part}{i}": Term(f"{part.upper()}{i} vertebra", code, (255, 255 - 4 * i, 110 + 10 * i))
    for part, codes in _VERTEBRA_CODES.items()
    for i, code in enumerate(codes.split(), 1)
}

# Other names, without spaces; the names of TERMS themselves are found without an entry here.
_ALIASES = {
    "adrenal": "adrenal_gland",
    "bladder": "urinary_bladder",
    "clavicle": "clavicula",
    "cord": "spinal_cord",
    "oesophagus": "esophagus",
    "parotidgland": "parotid",
    "smallintestine": "small_bowel",
    "submandibular": "submandibular_gland",
    "thyroid": "thyroid_gland",
}
_BY_COMPACT_NAME = {term_id.replace("_", ""): term_id for term_id in TERMS} | _ALIASES


def organ_from_name(name: str) -> Organ:
    """The organ that a name in any common spelling means: "RightParotid", "parotid_right", "Parotid R", "liver tumor".

    A name outside the terminology gives an organ without type code, whose colour follows from the name. An anomaly
    names its host. Raises ContractError for a name without Latin letters or digits.
    """
    tokens = _tokens(name)
    side, rest = _split_side(tokens)
    if len(rest) > 1 and rest[-1] in ANOMALIES:
        return _anomaly(rest, side)
    known = _BY_COMPACT_NAME.get("".join(rest))
    if known is not None:
        return _known(known, side)
    return Organ(
        id="_".join(tokens),
        name=_sentence(" ".join(name.replace("_", " ").split())),
        color=_color_of("_".join(tokens)),
        modifier=SIDES.get(side),
    )


def search_organs(text: str) -> list[Organ]:
    """Organs of the terminology whose name holds every word of `text`, paired ones for each side, by name."""
    words = text.lower().replace("_", " ").split()
    organs = [
        _known(term_id, side)
        for term_id, term in TERMS.items()
        for side in (("right", "left") if term.paired else ("",))
    ]
    return sorted((organ for organ in organs if all(w in organ.name.lower() for w in words)), key=lambda o: o.name)


def _known(term_id: str, side: str) -> Organ:
    term = TERMS[term_id]
    return Organ(
        id=f"{term_id}_{side}" if side else term_id,
        name=_sentence(f"{side} {_uncapitalised(term.name)}") if side else term.name,
        color=_shaded(term.color, side),
        category=ANATOMICAL_STRUCTURE,
        type=Code("SCT", term.code, term.name),
        modifier=SIDES.get(side),
    )


def _anomaly(rest: list[str], side: str) -> Organ:
    host = organ_from_name(" ".join((*rest[:-1], side)))
    organ_id = "_".join((host.id.removesuffix(f"_{side}"), rest[-1])) + (f"_{side}" if side else "")
    return Organ(
        id=organ_id,
        name=f"{host.name} {rest[-1]}",
        kind="anomaly",
        host=host.id,
        color=_color_of(organ_id),
        category=ALTERED_STRUCTURE,
        type=ANOMALIES[rest[-1]],
        modifier=SIDES.get(side),
    )


def _tokens(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).lower())
    if not words:
        raise ContractError(f"organ name {name!r} holds no Latin letters; give a name such as mandible")
    return [_SPELLINGS.get(word, word) for word in words]


def _split_side(tokens: list[str]) -> tuple[str, list[str]]:
    """The side ("" when there is none) and the other words; single letters count only at either end of a name."""
    for i, word in enumerate(tokens):
        at_an_end = i in (0, len(tokens) - 1) and len(tokens) > 1
        side = word if word in SIDES else _SIDE_LETTERS.get(word, "") if at_an_end else ""
        if side:
            return side, tokens[:i] + tokens[i + 1 :]
    return "", tokens


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _uncapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _shaded(color: tuple[int, int, int], side: str) -> tuple[int, int, int]:
    factor = _LEFT_SHADE if side == "left" else 1.0
    red, green, blue = (round(part * factor) for part in color)
    return red, green, blue


def _color_of(name: str) -> tuple[int, int, int]:
    """A colour that a name always gets, never so dark that it is lost on a scan."""
    red, green, blue = (64 + byte * 3 // 4 for byte in hashlib.sha256(name.encode()).digest()[:3])
    return red, green, blue
