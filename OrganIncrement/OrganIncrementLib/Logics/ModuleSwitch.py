"""From one module of the extension to another, taking the case along."""

import slicer

from OrganIncrementLib.Translation import _

ANNOTATE = "OrganAnnotate"


def showCaseInAnnotate(folder: str, caseId: str) -> str:
    """Switch to the annotator's module with a case open to be drawn.

    Returns: why that is not possible, in a sentence for people; "" where it was done.
    """
    if not hasattr(slicer.modules, ANNOTATE.lower()):
        return _("The module OrganAnnotate is not loaded: switch it on in the application settings, under Modules.")
    slicer.util.selectModule(ANNOTATE)
    controller = getattr(slicer.util.getModuleWidget(ANNOTATE), "controller", None)
    if controller is None or not hasattr(controller, "showCase"):
        return _("The module OrganAnnotate is of another version: open case {case} there by hand.").format(case=caseId)
    controller.showCase(folder, caseId)
    return ""
