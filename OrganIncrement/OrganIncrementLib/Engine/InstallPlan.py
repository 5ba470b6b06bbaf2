"""What is missing for the engine, and how it would be installed: data only, for a person to confirm."""

import re
from dataclasses import dataclass

from OrganIncrementLib.Translation import _

TORCH = "torch"
WITHOUT_DEPENDENCIES = ("dynamic-network-architectures",)  # its U-Nets need neither timm nor torchvision
NEVER_INSTALLED = ("SimpleITK",)  # Slicer's own reads and writes its volumes; one from PyPI breaks that


@dataclass(frozen=True)
class InstallPlan:
    """torch: the requirement, "" where it is there; packages and alone: requirements, `alone` without dependencies.

    skipped: what pip must leave alone whatever depends on it. byHand: for an external Python, which is the user's to
    change. text: for people, what would happen.
    """

    torch: str = ""
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    skipped: tuple[str, ...] = (TORCH, *NEVER_INSTALLED)
    byHand: bool = False
    text: str = ""

    @property
    def isEmpty(self) -> bool:
        """Whether nothing is missing."""
        return not (self.torch or self.packages or self.alone)


def requirementName(requirement: str) -> str:
    """`torch` of `torch>=2.4`."""
    return re.split(r"[\s<>=!~\[;]", requirement.strip(), maxsplit=1)[0]


def installPlan(missing: tuple[str, ...], *, external: bool) -> InstallPlan:
    """Sort missing requirements by how they are installed."""
    named = {requirementName(requirement): requirement for requirement in missing}
    torch = named.pop(TORCH, "")
    alone = tuple(text for name, text in named.items() if name in WITHOUT_DEPENDENCIES)
    packages = tuple(text for name, text in named.items() if name not in (*WITHOUT_DEPENDENCIES, *NEVER_INSTALLED))
    return InstallPlan(
        torch=torch, packages=packages, alone=alone, byHand=external, text=_words(missing, external=external)
    )


def _words(missing: tuple[str, ...], *, external: bool) -> str:
    if not missing:
        return _("Nothing is missing.")
    if external:
        return _("The chosen Python lacks: {packages}. Install them there, or use Slicer's own Python instead.").format(
            packages=", ".join(missing)
        )
    return _(
        "The engine needs Python packages that are not installed in Slicer: {packages}. They are downloaded from the "
        "internet, may take several gigabytes and some minutes, and stay in this Slicer. Install them now?"
    ).format(packages=", ".join(missing))
