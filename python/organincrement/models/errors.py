"""The one exception of this layer."""


class ModelError(ValueError):
    """A model cannot be read or written; the message names the file and says what to do."""
