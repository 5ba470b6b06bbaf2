"""The page of all parts, from the figures beside it."""

import json
from pathlib import Path
from typing import Any

from benchmarks.speed.part import FOLDER, Cell

PAGE = FOLDER.with_suffix(".md")
_HEAD = """# Speed, memory and growth

Made by `make bench`; one part alone by `python -m benchmarks.speed --only NAME` (in `python/`). Ways are timed side by
side, round by round, in one run; a figure is the median, with the quartiles in brackets where there were rounds enough.
Where parts were measured on different machines, each says on which.
"""


def write_page(order: list[str]) -> Path:
    """The parts that there are, in this order."""
    there = [(name, FOLDER / f"{name}.json") for name in order]
    parts = [(name, json.loads(path.read_text(encoding="utf-8"))) for name, path in there if path.is_file()]
    PAGE.write_text("\n".join([_HEAD, *(_section(name, part) for name, part in parts)]), encoding="utf-8")
    return PAGE


def _section(name: str, part: dict[str, Any]) -> str:
    lines = [f"## {part['title']}", "", part["question"], ""]
    for table in part["tables"]:
        if table["caption"]:
            lines += [f"**{table['caption']}**", ""]
        lines += [_row(table["columns"]), _row(["---"] * len(table["columns"])), *map(_row, table["rows"]), ""]
    for picture in part["pictures"]:
        lines += [f"![{part['title']}](speed/{picture})", ""]
    for word in ("check", "remark"):
        if part[word]:
            lines += [f"{word.capitalize()}: {part[word]}", ""]
    made = f"`--only {name}`, {part['seconds']} s; {part['machine']}; {part['versions']}."
    return "\n".join([*lines, f"*{made}*", ""])


def _row(cells: list[Cell]) -> str:
    return "| " + " | ".join(map(_shown, cells)) + " |"


def _shown(cell: Cell) -> str:
    if cell is None:
        return "–"
    return (
        f"{cell:.3g}"
        if isinstance(cell, float) and abs(cell) < 1000
        else str(round(cell) if isinstance(cell, float) else cell)
    )
