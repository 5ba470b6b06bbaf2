"""What cannot be done in the scene, in words for people."""


class LogicError(RuntimeError):
    """One line: what is wrong, with what, and what to do about it."""
