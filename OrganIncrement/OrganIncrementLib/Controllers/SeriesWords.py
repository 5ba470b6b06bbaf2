"""What is asked before a result is written as DICOM with the patient and study of a series that may not be its own."""

from slicer.i18n import tr as _


def otherSeriesText(name: str) -> tuple[str, str, str]:
    """Title, question and explanation."""
    return (
        _("Another series"),
        _("Is {name} the series of the scan that was segmented?").format(name=name),
        _(
            "Nothing shows that the scan was loaded from the files of this folder. What is written carries the name of "
            "the patient and the study of the series, and will be shown upon it. Another patient's series can have the "
            "very same grid.\n\n"
            "Yes: write them; you know that it is the same scan of the same patient.\n"
            "No: nothing is written."
        ),
    )
