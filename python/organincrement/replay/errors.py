"""The one exception of this layer."""


class ReplayError(ValueError):
    """A choice that cannot be made as asked; the message says what is wrong and what to do."""
