"""The one exception of this layer."""


class PlanningError(ValueError):
    """A plan cannot be made as asked; the message says what is missing and what to do."""
