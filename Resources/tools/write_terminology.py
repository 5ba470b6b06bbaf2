"""Write the engine's terminology for Slicer's terminology selector: `python Resources/tools/write_terminology.py`.

Two files in the format of dcmqi: the organs by category, type and modifier, and the regions that an anomaly may lie in.
Codes and colours are those of `organincrement.contract.organs`, so that a segment means the same here and in a model.
"""

import json
from pathlib import Path
from typing import Any

from organincrement.contract.labels import Code, Organ
from organincrement.contract.organs import (
    ALTERED_STRUCTURE,
    ANATOMICAL_STRUCTURE,
    ANOMALIES,
    TERMS,
    organ_from_name,
)

FOLDER = Path(__file__).resolve().parents[2] / "OrganIncrement/OrganIncrementLib/Resources/Terminologies"
ORGANS_FILE, REGIONS_FILE = FOLDER / "OrganIncrementOrgans.json", FOLDER / "OrganIncrementRegions.json"
ORGANS_CONTEXT = "Segmentation category and type - OrganIncrement"
REGIONS_CONTEXT = "Anatomic codes - OrganIncrement"
_SCHEMAS = "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/"
Entry = dict[str, Any]


def main() -> None:
    """Write both files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, context in ((ORGANS_FILE, organs_context()), (REGIONS_FILE, regions_context())):
        path.write_text(dumped(context), encoding="utf-8")


def dumped(context: Entry) -> str:
    """The text of a file."""
    return json.dumps(context, indent=1, ensure_ascii=False) + "\n"


def organs_context() -> Entry:
    """Anatomical structures with their sides, and anomalies, whose place is chosen from the regions."""
    structures = _code(ANATOMICAL_STRUCTURE) | {"showAnatomy": False, "Type": [_type(term) for term in _terms()]}
    anomalies = [
        _code(code) | _look(organ_from_name(f"liver {name}").color, name) for name, code in ANOMALIES.items() if code
    ]
    altered = _code(ALTERED_STRUCTURE) | {"showAnatomy": True, "Type": anomalies}
    return {
        "SegmentationCategoryTypeContextName": ORGANS_CONTEXT,
        "@schema": f"{_SCHEMAS}segment-context-schema.json#",
        "SegmentationCodes": {"Category": [structures, altered]},
    }


def regions_context() -> Entry:
    """Every organ as a place that something lies in."""
    regions = []
    for organs in _terms():
        region = _code(_type_of(organs[0]))
        sides = [_code(organ.modifier) for organ in organs if organ.modifier]
        regions.append(region | ({"Modifier": sides} if sides else {}))
    return {
        "AnatomicContextName": REGIONS_CONTEXT,
        "@schema": f"{_SCHEMAS}anatomic-context-schema.json#",
        "AnatomicCodes": {"AnatomicRegion": regions},
    }


def _terms() -> list[list[Organ]]:
    """By name: each term's organs, one, or right and left."""
    return [
        [
            organ_from_name(f"{term_id}_{side}" if side else term_id)
            for side in (("right", "left") if t.paired else ("",))
        ]
        for term_id, t in sorted(TERMS.items(), key=lambda item: item[1].name)
    ]


def _type(organs: list[Organ]) -> Entry:
    first = organs[0]
    if first.modifier is None:
        return _code(_type_of(first)) | _look(first.color, first.name)
    sides = [_code(organ.modifier) | _look(organ.color, organ.name) for organ in organs if organ.modifier]
    return _code(_type_of(first)) | {"Modifier": sides}


def _type_of(organ: Organ) -> Code:
    if organ.type is None:
        raise ValueError(f"{organ.id}: has no code, so that Slicer could not tell it from others")
    return organ.type


def _code(code: Code) -> Entry:
    concept = {"SNOMEDCTConceptID": code.value} if code.scheme == "SCT" else {}
    return {"CodingSchemeDesignator": code.scheme, "CodeValue": code.value, "CodeMeaning": code.meaning} | concept


def _look(color: tuple[int, int, int], name: str) -> Entry:
    return {"recommendedDisplayRGBValue": list(color), "3dSlicerLabel": name.lower()}


if __name__ == "__main__":
    main()
