"""Installs what the engine lacks into Slicer's Python; only after a person has said yes."""

from typing import Any

import slicer

from OrganIncrementLib.Engine.InstallPlan import InstallPlan, requirementName
from OrganIncrementLib.Translation import _


class InstallError(ValueError):
    """Something could not be installed; the message is for people."""


def install(plan: InstallPlan, dialogs: Any) -> bool:
    """Ask, and install: torch through the PyTorch extension, which finds the build for the graphics card.

    Returns: False where the user said no. Raises: InstallError.
    """
    if plan.isEmpty:
        return True
    if plan.byHand:
        raise InstallError(plan.text)
    logic = _pyTorchLogic() if plan.torch else None
    if not dialogs.confirm(plan.text):
        return False
    try:
        if logic is not None:
            requirement = plan.torch[len(requirementName(plan.torch)) :]
            if logic.installTorch(askConfirmation=False, torchVersionRequirement=requirement) is None:
                return False
        for requirement in plan.alone:
            slicer.util.pip_install(f"--no-deps {requirement}")
        if plan.packages:
            _installPackages(plan)
    except Exception as error:  # pip and PyTorchUtils raise whatever they like
        raise InstallError(_whatFailed(error)) from error
    return True


def _pyTorchLogic() -> Any:
    try:
        import PyTorchUtils
    except ImportError as error:
        raise InstallError(
            _(
                "The engine needs PyTorch. Install the extension PyTorch with the Extensions Manager, restart Slicer, "
                "and check the engine again."
            )
        ) from error
    return PyTorchUtils.PyTorchUtilsLogic()


def _installPackages(plan: InstallPlan) -> None:
    packaging = getattr(slicer, "packaging", None)
    if packaging is None:
        try:
            from slicer import packaging
        except ImportError:
            packaging = None
    if packaging is not None and hasattr(packaging, "pip_ensure"):
        packaging.pip_ensure(
            list(plan.packages), skip_packages=list(plan.skipped), prompt_install=False, requester="OrganIncrement"
        )
        return
    slicer.util.pip_install(_withoutSkipped(plan))


def _withoutSkipped(plan: InstallPlan) -> str:
    """An older Slicer cannot skip packages: what depends on torch (monai) then comes without its dependencies."""
    for requirement in plan.packages:
        if requirementName(requirement) == "monai":
            slicer.util.pip_install(f"--no-deps {requirement}")
    return " ".join(text for text in plan.packages if requirementName(text) != "monai")


def _whatFailed(error: Exception) -> str:
    reason = " ".join(str(error).split())[:300]
    return _(
        "The installation failed ({reason}). Check the internet connection and the free disk space, then try again."
    ).format(reason=reason or type(error).__name__)
