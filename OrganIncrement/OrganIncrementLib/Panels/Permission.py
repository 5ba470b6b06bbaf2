"""A control that is disabled says why."""


def allow(widget, missing, toolTip):
    """Enable a widget where nothing is missing; its tool tip then says what it does, else what is missing."""
    widget.enabled = not missing
    widget.toolTip = missing or toolTip
