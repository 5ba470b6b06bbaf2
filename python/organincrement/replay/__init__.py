"""Choosing which scans or slices stand for all of them."""
