"""`ctk` and `slicer.qMRML*` widgets."""
