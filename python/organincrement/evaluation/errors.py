"""The exception of the evaluation layer."""


class EvaluationError(ValueError):
    """Input that cannot be measured; the message says what is wrong, where, and what to do."""
