"""Files of a dataset folder that belong to no case: second copies, left-over temporary files, pipes, others."""

import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from organincrement.contract.dataset import Case
from organincrement.imaging.preflight import image_stem
from organincrement.imaging.side_files import OF_THE_SYSTEM
from organincrement.workflows.findings import Finding

PARTS = ("cases", "images", "labels")
FILES = ("dataset.json", "history.jsonl", "history.head", "history.lock")
# What sync tools, file managers, editors and people put behind (or before) a name.
COPY_MARK = re.compile(
    r"\s*\(.*\)|~\d*|[-_. ]\d{1,2}"
    r"|[-_. ]*(copy|kopie|copia|copie|conflict|sync-conflict|conflicted|backup|bak|orig|old|alt|new|neu)\b.*",
    re.IGNORECASE,
)
# An editor's backup has its mark behind the ending: pt_12.json~
ENDING = re.compile(r"\.(json|nii(\.gz)?|seg\.nrrd|nrrd|nhdr|mha|mhd)(?![A-Za-z0-9])", re.IGNORECASE)
COPY_START = re.compile(r"(copy of|kopie von|copia de|copie de) +", re.IGNORECASE)
LEFT_BEHIND = re.compile(
    r"\..*partial.*|\..*\.(tmp|sw[a-p]|part)|\.~.*|~\$.*|.*\.(tmp|part|crdownload|filepart|lock)|\.#.*|#.*#|\.nfs.*|\.fuse_hidden.*"
    r"|\.[^.]+\..+\.[A-Za-z0-9]{6}",
    re.IGNORECASE,
)


def strange_files(folder: Path, cases: Collection[Case], unread: Collection[str]) -> Iterator[Finding]:
    """Findings about every file in the folder that no case names."""
    for part in PARTS:
        if not (folder / part).is_dir():
            if part != "cases":
                yield from _missing_part(part, cases)
        else:
            if (folder / part).is_symlink():
                yield Finding(
                    kind="note", code="link", file=part, message="is a link to another folder",
                    what_to_do="put the folder itself here: a copy of the dataset loses it",
                )  # fmt: skip
            yield from _of_part(folder, part, cases, unread)
    for entry in _entries(folder):
        yield from _at_the_top(entry)


def _missing_part(part: str, cases: Collection[Case]) -> Iterator[Finding]:
    names = [name for case in cases for name in (case.image, case.label) if name and name.startswith(f"{part}/")]
    if names:
        yield Finding(
            code="folder", file=part, message=f"the folder is missing, and {len(names)} files with it",
            what_to_do="copy the dataset again",
        )  # fmt: skip


def _of_part(folder: Path, part: str, cases: Collection[Case], unread: Collection[str]) -> Iterator[Finding]:
    known = {name for case in cases for name in (case.image, case.label)}
    ids = {image_stem(Path(name)): case.id for case in cases for name in (case.image, case.label) if name}
    ids |= {case.id: case.id for case in cases}
    # What belongs to a case whose file cannot be read is no stranger.
    lost = set(unread) - ids.keys()
    for entry in _entries(folder / part):
        file = f"{part}/{entry.name}"
        is_case_file = part == "cases" and entry.name.endswith(".json") and not entry.name.startswith(".")
        if file not in known and not is_case_file and ENDING.sub("", entry.name, count=1) not in lost:
            yield from _stranger(entry, file, ids)


def _stranger(entry: os.DirEntry[str], file: str, ids: dict[str, str]) -> Iterator[Finding]:
    special = _special(entry)
    stem = ENDING.sub("", entry.name, count=1)
    if entry.name.lower() in OF_THE_SYSTEM or entry.name.startswith("._"):
        return
    if special:
        yield Finding(code="no-file", file=file, message=f"is {special}", what_to_do="remove it")
    elif LEFT_BEHIND.fullmatch(entry.name):
        yield _left_behind(file)
    elif original := _copied_from(stem, ids):
        yield from _second_copy(file, ids[original])
    elif not entry.name.startswith("."):
        yield Finding(
            kind="note", code="stranger", file=file, message="belongs to no case",
            what_to_do="remove it, or restore its file in cases/",
        )  # fmt: skip


def _second_copy(file: str, case: str) -> Iterator[Finding]:
    part = file.partition("/")[0]
    if part == "cases":  # Not read by anything: a backup that an editor made.
        yield Finding(
            kind="note", code="copy", case=case, file=file, message=f"looks like a copy of cases/{case}.json",
            what_to_do="compare the two, keep what is right in the case's own file, and delete this one",
        )  # fmt: skip
        return
    yield Finding(
        code="copy", case=case, file=file, message=f"looks like a second {part.removesuffix('s')} of case {case}",
        what_to_do="compare it with the one that the case names, keep the right one under that name, delete this one",
    )  # fmt: skip


def _at_the_top(entry: os.DirEntry[str]) -> Iterator[Finding]:
    if entry.name in FILES:
        if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            yield Finding(
                code="no-file", file=entry.name, message=f"is {_special(entry) or 'a link or a folder'}",
                what_to_do="put the file itself in its place",
            )  # fmt: skip
        return
    if LEFT_BEHIND.fullmatch(entry.name):
        yield _left_behind(entry.name)
        return
    stem, suffix = Path(entry.name).stem, Path(entry.name).suffix
    for own in ("dataset.json", "history.jsonl", "history.head"):
        bare = own.partition(".")[0]
        if (suffix == Path(own).suffix and _copied_from(stem, {bare: own})) or _copied_from(entry.name, {own: own}):
            yield Finding(
                code="copy", file=entry.name, message=f"looks like a second copy of {own}, made by two people at once",
                what_to_do="compare the two, review again the cases whose steps are only here, and delete it",
            )  # fmt: skip
            return


def _left_behind(file: str) -> Finding:
    return Finding(
        kind="note", code="left-behind", file=file, message="was left behind by a program that was stopped, or is open",
        what_to_do="delete it when nobody is writing",
    )  # fmt: skip


def _copied_from(stem: str, originals: Collection[str]) -> str | None:
    """The name that this one is a copy of, going by its mark; the longest that fits."""
    bare = COPY_START.sub("", stem)
    fits = [
        name
        for name in originals
        if (bare == name) or (bare.startswith(name) and COPY_MARK.fullmatch(bare[len(name) :]))
    ]
    return max(fits, key=len, default=None)


def _special(entry: os.DirEntry[str]) -> str | None:
    """What a thing is that is neither a file nor a folder nor a link that leads somewhere."""
    try:
        mode = entry.stat().st_mode
    except OSError:
        return "a link that leads nowhere" if entry.is_symlink() else None
    return None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else "a pipe or device"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:  # May not be listed: then the findings of its cases say so.
        return []
