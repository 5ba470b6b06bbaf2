"""Keep the file lists in the CMakeLists.txt files in step with the folders: `python Testing/list_files.py --write`.

Slicer's macros install what is listed, so a file that nobody listed works in the source tree and is missing in the
extension. Without `--write` it only says what is stale, with exit code 1.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_NOT_SHIPPED = {"__pycache__", "CMakeLists.txt", "Testing"}
_NOT_SHIPPED_ENDINGS = (".pyc", ".pyo", "~", ".tmp")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One CMakeLists.txt: the prefix of its two variables, and the files and folders beside it that are shipped."""

    cmake: str
    prefix: str
    shipped: tuple[str, ...] = (".",)

    @property
    def path(self) -> Path:
        return ROOT / self.cmake

    def files(self) -> list[str]:
        """Everything to install, relative to the CMakeLists.txt, in order."""
        folder = self.path.parent
        return sorted(
            path.relative_to(folder).as_posix()
            for start in self.shipped
            for path in ([folder / start] if (folder / start).is_file() else (folder / start).rglob("*"))
            if path.is_file() and _is_shipped(path.relative_to(folder))
        )


LISTINGS = (
    *(
        Listing(cmake=f"OrganIncrement/{name}/CMakeLists.txt", prefix="MODULE")
        for name in ("OrganIncrement", "OrganAnnotate", "OrganReview")
    ),
    Listing(cmake="OrganIncrement/OrganIncrementLib/CMakeLists.txt", prefix="LIBRARY"),
    Listing(cmake="python/CMakeLists.txt", prefix="ENGINE", shipped=("organincrement", "pyproject.toml")),
)


def written(listing: Listing) -> str:
    """The text of a CMakeLists.txt with both lists as the folder asks for."""
    text = listing.path.read_text(encoding="utf-8")
    files = listing.files()
    for kind, names in (
        ("SCRIPTS", [name for name in files if name.endswith(".py")]),
        ("RESOURCES", [name for name in files if not name.endswith(".py")]),
    ):
        variable = f"{listing.prefix}_PYTHON_{kind}"
        block = "\n".join([f"set({variable}", *(f"  {name}" for name in names), "  )"])
        text, found = re.subn(rf"set\({variable}\b[^)]*\)", lambda _, block=block: block, text)
        if found != 1:
            raise ValueError(f"{listing.cmake}: has not one set({variable} ...)")
    return text


def stale(listing: Listing) -> bool:
    """Whether a CMakeLists.txt lists other files than there are."""
    return written(listing) != listing.path.read_text(encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Say which lists are stale, or write them."""
    late = [listing for listing in LISTINGS if stale(listing)]
    for listing in late:
        if "--write" in arguments:
            listing.path.write_text(written(listing), encoding="utf-8")
        print(f"{listing.cmake}: {'written' if '--write' in arguments else 'stale; run with --write'}")
    return 1 if late and "--write" not in arguments else 0


def _is_shipped(path: Path) -> bool:
    hidden = any(part.startswith(".") or part in _NOT_SHIPPED for part in path.parts)
    return not hidden and not path.name.endswith(_NOT_SHIPPED_ENDINGS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
