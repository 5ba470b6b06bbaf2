"""Pictures of the whole window: panel at the left, views at the right."""

import slicer


def save(path, size=(1280, 800)):
    """Save the main window as PNG; returns the path."""
    window = slicer.util.mainWindow()
    window.resize(*size)
    slicer.app.processEvents()
    for name in slicer.app.layoutManager().sliceViewNames():
        slicer.app.layoutManager().sliceWidget(name).sliceView().scheduleRender()
    for index in range(slicer.app.layoutManager().threeDViewCount):
        slicer.app.layoutManager().threeDWidget(index).threeDView().scheduleRender()
    if not window.grab().save(str(path)):
        raise OSError(f"Could not write {path}")
    return path
