"""The modules of Slicer's own Python layer, written from their documentation, used where no Slicer source is named."""
