"""Organs as coloured chips: rich text, so that they wrap in any label, are read by screen readers and can be copied."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from slicer.i18n import tr as _

MOST_SHOWN = 30


@dataclass(frozen=True, kw_only=True)
class OrganChip:
    """One organ: its name for people, and its colour as red, green, blue in 0..255."""

    name: str
    color: tuple[int, int, int]


def chipsOf(organs) -> tuple[OrganChip, ...]:
    """The chips of a contract's organs."""
    return tuple(OrganChip(name=organ.name, color=tuple(organ.color)) for organ in organs)


def chipsHtml(chips: Sequence[OrganChip]) -> str:
    """The chips one after the other; of very many, the first ones and how many more there are."""
    shown = [_chip(chip) for chip in chips[:MOST_SHOWN]]
    if len(chips) > MOST_SHOWN:
        shown.append(escape(_("and {count} more").format(count=len(chips) - MOST_SHOWN)))
    return '<p style="line-height:135%; margin:0;">' + " ".join(shown) + "</p>"


def chipsText(chips: Sequence[OrganChip]) -> str:
    """All names, for a tooltip."""
    return ", ".join(chip.name for chip in chips)


def _chip(chip: OrganChip) -> str:
    red, green, blue = chip.color
    name = escape(chip.name).replace(" ", "&nbsp;").replace("-", "&#8209;")  # a chip does not break in two
    return (
        f'<span style="background-color:#{red:02x}{green:02x}{blue:02x}; color:{_readable(chip.color)};">'
        f"&nbsp;{name}&nbsp;</span>"
    )


def _readable(color: tuple[int, int, int]) -> str:
    """Black or white, whichever can be read on the colour (relative luminance of WCAG)."""
    linear = [(part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4) for part in color]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.179 else "#ffffff"
