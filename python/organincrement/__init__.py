"""OrganIncrement: teach a segmentation model one more organ without its training data."""

__version__ = "0.1.0"
