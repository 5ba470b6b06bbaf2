"""What the extension adds to Slicer once it has started: sample data, terminology, a layout. Cheap, and only once."""

import slicer


def registerAtStartup():
    """For a module's constructor: everything that other modules must be loaded for waits until Slicer has started."""
    slicer.app.connect("startupCompleted()", register)


def register():
    """Register sample data, terminology and layout; what one lacks does not hinder the others, nor Slicer's start."""
    import logging

    from OrganIncrementLib import Samples, TerminologyFiles
    from OrganIncrementLib.Logics import PlotLayout

    for part in (Samples, TerminologyFiles, PlotLayout):
        try:
            part.register()
        except Exception:  # an exception here would disturb a Slicer in which the user wants something else
            logging.exception("OrganIncrement: %s could not be registered", part.__name__)
