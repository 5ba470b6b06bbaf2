"""Case ids that tell nobody's name: ids travel into plans, events, logs and reports, and file names are often patients.

Whether a name is a person's cannot be decided, so only what is plainly a code stays as it is.
"""

import csv
import io
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from organincrement.contract.files import write_atomic
from organincrement.contract.organs import TERMS
from organincrement.workflows.pairing import Pair

PRIVATE_LIST = "names.private.csv"
_NUMBERED_WITH = """
    abdomen amos anon anonymous atlas baseline body bone brats btcv case cases cbct center centre chaos chest
    control ct cta data dataset flare fold followup head hepaticvessel hippocampus hn image images img kits label
    left limb lits mask mr mra mri mrt msd neck nii no pat patid patient pddca pelvis pet phantom plan post pre
    proband pt ref right sample sbj scan scans seg segmentation segthor ser series session site skull slice spine
    stack study sub subj subject target task test thorax totalsegmentator tr train training trunk ts val validation
    verse vessel visit vol volume wholebody
"""
_WORDS = frozenset(_NUMBERED_WITH.split()) | {word for term in TERMS for word in term.split("_")}
_TOKEN = re.compile(r"([A-Za-z]*)(\d*)")
_MOST_DIGITS = 5  # more may be a date or a hospital's number
_YEAR = re.compile(r"(19|20)\d\d")


def is_code(name: str) -> bool:
    """Whether a name is plainly a code: pt_12, site-b_007, case12, liver_1, a.

    Its words are single letters or on a list of words that people number scans with, and it has at most five digits, in
    at most two groups that are no date.
    """
    tokens = [_TOKEN.fullmatch(token) for token in re.split(r"[-_. ]+", name)]
    words = [token[1].lower() for token in tokens if token]
    groups = [token[2] for token in tokens if token and token[2]]
    dated = len(groups) > 1 and any(_YEAR.fullmatch(group) for group in groups)
    return (
        all(tokens)
        and any(words + groups)
        and all(len(word) < 2 or word in _WORDS for word in words)
        and sum(len(word) == 1 for word in words) <= 1  # two letters may be initials
        and len(groups) <= 2
        and sum(map(len, groups)) <= _MOST_DIGITS
        and not dated
    )


def neutral(pairs: Sequence[Pair]) -> tuple[list[Pair], bool]:
    """The pairs with ids and groups that tell nothing, and whether that changed them.

    The ids become case_0001, … unless every one is a code; a group that is no code becomes patient_0001, …, and one
    that is named after a case follows that case.
    """
    digits = max(4, len(str(len(pairs))))
    ids = [pair.id for pair in pairs]
    if not all(map(is_code, ids)):
        ids = [f"case_{number:0{digits}d}" for number in range(1, len(pairs) + 1)]
    group_of = {pair.group: case_id for pair, case_id in zip(pairs, ids, strict=True) if pair.group == pair.id}
    others = sorted({pair.group for pair in pairs} - group_of.keys())
    group_of |= {group: group for group in others if is_code(group) and group not in ids}
    taken = {*ids, *group_of.values()}
    names = (name for number in itertools.count(1) if (name := f"patient_{number:0{digits}d}") not in taken)
    group_of |= {group: next(names) for group in others if group not in group_of}
    renamed = [replace(pair, id=case_id, group=group_of[pair.group]) for pair, case_id in zip(pairs, ids, strict=True)]
    return renamed, renamed != list(pairs)


def write_private_list(folder: Path, pairs: Sequence[Pair], originals: Sequence[Pair]) -> None:
    """Which case is which file, for the people who keep the dataset; no job, package or report reads it."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["case", "image", "label", "group"])
    for pair, original in zip(pairs, originals, strict=True):
        rows.writerow([pair.id, original.image.name, original.label.name, original.group])
    write_atomic(folder / PRIVATE_LIST, table.getvalue())
    (folder / PRIVATE_LIST).chmod(0o600)
