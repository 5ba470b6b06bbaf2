"""Evidence of made-up cases: a good one, and whatever a test changes in it."""

from dataclasses import replace
from typing import Any

from tiny_models import organs, tiny_manifest, tiny_spec

from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import ModelManifest, SpacingRange, TrainedOn
from organincrement.contract.organs import organ_from_name
from organincrement.planning.findings import CaseEvidence
from organincrement.planning.geometry_check import TURNS
from organincrement.planning.label_facts import LabelFacts
from organincrement.planning.scan_facts import ScanFacts
from organincrement.planning.teacher_view import OrganSeen, Reading, TeacherView

OLD = organs("brainstem", "parotid_left", "parotid_right")
NEW = LabelSpace((organ_from_name("mandible"),))


def manifest() -> ModelManifest:
    """Of a teacher of three organs, trained on CT of 2 to 3.3 by 4 to 5 mm."""
    spec = tiny_spec(1 + len(OLD))
    known = TrainedOn(
        modality="CT", cases=44,
        spacing_mm=SpacingRange(min=(2.0, 3.8, 3.8), median=(2.5, 3.9, 3.9), max=(3.3, 5.1, 5.1)),
        intensity_percentiles={"0.5": -940.0, "50": -5.0, "99.5": 1270.0},
    )  # fmt: skip
    return replace(tiny_manifest(OLD, spec), trained_on=known)


def scan(**changes: Any) -> ScanFacts:
    """A head and neck."""
    good = ScanFacts(
        spacing_mm=(2.5, 3.9, 3.9), extent_mm=(320.0, 500.0, 500.0), body_mm=(260.0, 240.0, 450.0), body_ml=9000.0,
        range=(-1024.0, 3000.0), percentiles=(-920.0, 5.0, 1200.0), air_share=0.92, roughness=0.2, stretch=0.2,
    )  # fmt: skip
    return replace(good, **changes)


def view(*volumes_ml: float, uncertainty: float = 15.0, reading: Reading | None = None) -> TeacherView:
    """The teacher's organs, of these volumes."""
    seen = tuple(
        OrganSeen(volume_mm3=1000 * ml, largest_share=1.0, centre_mm=(100.0, 50.0 * i, 50.0), uncertainty=uncertainty)
        if ml
        else OrganSeen(volume_mm3=0.0, largest_share=None, centre_mm=None, uncertainty=None)
        for i, ml in enumerate(volumes_ml)
    )
    return TeacherView(reading=reading or Reading(), organs=seen, uncertainty=0.6)


def turned(*volumes_ml: float) -> tuple[TeacherView, ...]:
    """The same, poor view under every turn."""
    return tuple(view(*volumes_ml, uncertainty=30.0, reading=turn) for turn in TURNS)


def evidence(case_id: str = "pt_1", **changes: Any) -> CaseEvidence:
    """A good case."""
    label = LabelFacts(
        organ="mandible", volume_mm3=67e3, centre_mm=(120.0, 20.0, 55.0), mean=690.0, off_body_share=0.0
    )  # fmt: skip
    good = CaseEvidence(
        id=case_id, stored_spacing_mm=(2.5, 4.0, 4.0), stored_extent_mm=(320.0, 512.0, 512.0), scan=scan(),
        views=(view(25, 24, 23), *turned(10, 3, 1)), labels=(label,),
    )  # fmt: skip
    return replace(good, **changes)
