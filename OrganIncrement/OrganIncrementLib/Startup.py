"""What the extension adds to Slicer once it has started: sample data and terminology. Cheap, and only once."""

import slicer


def registerAtStartup():
    """For a module's constructor: everything that other modules must be loaded for waits until Slicer has started."""
    slicer.app.connect("startupCompleted()", register)


def register():
    """Register sample data and terminology; what one lacks does not hinder the other, nor Slicer's start."""
    import logging

    from OrganIncrementLib import Samples, TerminologyFiles

    for part in (Samples, TerminologyFiles):
        try:
            part.register()
        except Exception:  # an exception here would disturb a Slicer in which the user wants something else
            logging.exception("OrganIncrement: %s could not be registered", part.__name__)
