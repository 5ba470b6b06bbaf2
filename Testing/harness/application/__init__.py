"""`slicer.app`, `slicer.modules`, files, scene: what the application adds to MRML."""
