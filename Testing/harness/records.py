"""Everything the harness notes down instead of showing it, and the answers a test prepares.

A headless run must never block on a modal window.  Each dialog a module opens is appended to
`dialogs`; a test can queue the answers beforehand with `answer()`.
"""

dialogs = []  # one dict per dialog, e.g. {"kind": "error", "text": "...", "title": "..."}
errors = []  # exceptions raised inside slots and observers, as (type, value, formatted traceback)
status = []  # status bar messages
vtk_window = None  # the VTK output window, set by vtk_messages()
_answers = {}  # kind -> list of prepared answers


def answer(kind, value):
    """Queue the answer for the next dialog of this kind (kinds are the ones used in `dialogs`).

    A callable is called with the record (and for QDialog.exec() the dialog is in record["widget"],
    so that a test can fill it in); anything else is returned as it is.
    """
    _answers.setdefault(kind, []).append(value)


def ask(kind, default=None, **details):
    """Record a dialog and return the prepared answer, or the default."""
    record = {"kind": kind, **details}
    dialogs.append(record)
    prepared = _answers.get(kind)
    value = prepared.pop(0) if prepared else default
    if callable(value):
        value = value(record)
    record["answer"] = value
    return value


def texts(kind=None):
    """Texts of the recorded dialogs, optionally only of one kind."""
    return [d.get("text", "") for d in dialogs if kind in (None, d["kind"])]


def reset():
    dialogs.clear()
    errors.clear()
    status.clear()
    vtk_messages()
    _answers.clear()


def vtk_messages(kind="ERROR"):
    """VTK and MRML messages since the last call ("ERROR" or "Warning"); the log is emptied."""
    global vtk_window
    import vtk

    text = vtk_window.GetOutput() if vtk_window is not None else ""
    vtk_window = vtk.vtkStringOutputWindow()  # a new one: it cannot be emptied
    vtk.vtkOutputWindow.SetInstance(vtk_window)
    return [part.strip() for part in text.split("\n\n") if part.strip().startswith(kind)]
