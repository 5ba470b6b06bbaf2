"""Sliding window, uncertainty, merging, uncertain regions."""
