"""What a model of another tool is and what can become of it, by its headers alone."""

from pathlib import Path
from typing import Any

from organincrement.models.errors import MoreNeededError
from organincrement.models.formats import LOOKS
from organincrement.models.formats.foreign import ImportOptions
from organincrement.workflows.import_model import find_format, not_known, read_foreign
from organincrement.workflows.model_facts import model_facts
from organincrement.workflows.model_signs import ENDINGS


def foreign_facts(path: Path) -> dict[str, Any] | None:
    """The facts of a model that could be imported; None for what no format recognises and may be no model at all.

    Where the user has to say more first, what is known, and in `why_not` what is to be said.
    Raises: WorkflowError, ModelError or ContractError, one line, for what can never be imported.
    """
    form = find_format(path)
    if form is None:
        if path.suffix.lower() in ENDINGS:
            raise not_known(path)
        return None
    try:
        foreign = read_foreign(path, form, ImportOptions())
    except MoreNeededError as error:
        return {
            "kind": "model", "format": form, "name": path.name, "what": LOOKS[form], "can_teach": False,
            "can_start_student": False, "why_not": str(error), "notes": [],
        }  # fmt: skip
    facts = model_facts(foreign.manifest, form, foreign.notes)
    return {**facts, "networks": len(foreign.members), "what": LOOKS[form]}
