"""Slice, 3D, plot and table views, and the layouts that hold them."""
