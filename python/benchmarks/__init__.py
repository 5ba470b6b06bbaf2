"""Slow studies whose tables stand in docs/benchmarks.

Finished parts are cached in an ignored folder, so that a study resumes.
"""
