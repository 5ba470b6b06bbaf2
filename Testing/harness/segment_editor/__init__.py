"""The Segment Editor's widget and effects, over the real vtkSlicerSegmentEditorLogic."""
