"""Run scripted Slicer modules without the Slicer application.  Start with harness.boot()."""

from harness import records
from harness.boot import boot

__all__ = ["boot", "records"]
