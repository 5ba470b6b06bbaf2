"""The pages about the modules: their links lead somewhere, their pictures are those that the script makes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "docs" / name for name in ("tutorial.md", "slicer-module.md")]
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("http", "images/slicer-")):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path), target + anchor


def test_every_picture_of_a_page_and_of_the_catalogue_is_made_by_the_script():
    script = (ROOT / "Testing/screenshots.py").read_text(encoding="utf-8")
    saved = re.findall(r"app\.save\((.+)\)", script)
    made = {f"slicer-{name}.png" for call in saved for name in re.findall(r'"([a-z-]+)"', call)}
    named = set()
    for page in (*PAGES, ROOT / "CMakeLists.txt"):
        named |= set(re.findall(r"slicer-[a-z-]+\.png", page.read_text(encoding="utf-8")))
    assert named <= made
