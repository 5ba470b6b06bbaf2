"""The exception of this layer, and its one special case."""


class ModelError(ValueError):
    """A model cannot be read or written; the message names the file and says what to do."""


class MoreNeededError(ModelError):
    """A model that can be read once the user says more; the message says what."""
