"""The page that says which exemplars a vault holds and how they were chosen, without a picture of any of them."""

from organincrement.contract.vault import Vault
from organincrement.evaluation.page import render_page
from organincrement.evaluation.story import Fact

_NOTES = (
    "Uncertainty is the variance of the organ's probability over passes with dropout, averaged over the slab: the "
    "surest slabs that show the organ were candidates.",
    "Coverage is the sum, over all slabs of the old set, of the likeness to the most similar exemplar so far; with a "
    "distance for the likeness it is negative and rises towards 0.",
    "The vault holds images of patients and stays on this computer. This page names nobody and shows nobody.",
)
_HOW = {"aeiseg": "As AeiSeg does", "coriseg": "As CoRiSeg does"}


def render_exemplars(vault: Vault, *, slabs: int, candidates: int, passes: int) -> str:
    """One HTML page. Args: slabs: of the old set. candidates: of each organ, at most."""
    rows = [
        (int(exemplar.file.split(".")[0]), chosen)
        for exemplar in vault.exemplars
        for chosen in sorted(exemplar.chosen_for, key=lambda chosen: chosen.rank)
    ]
    return render_page(
        "exemplars.html",
        title="Exemplars of the old scans",
        kind="Exemplar vault",
        intro=[f"{_HOW[vault.by]}: {vault.features}."],
        facts=[
            Fact(label="Exemplars", value=str(len(vault.exemplars)), detail=f"of {slabs} slabs of {vault.slab} slices"),
            Fact(label="Organs", value=str(len(vault.organs)), detail=", ".join(vault.organs)),
            Fact(label="Candidates", value=str(candidates), detail=f"the surest, over {passes} passes with dropout"),
        ],
        rows=rows,
        notes=_NOTES,
        links=[],
        made="",
    )
