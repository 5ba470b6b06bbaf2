"""The one exception of this layer."""


class NetworkError(ValueError):
    """A network cannot be built as described; the message says what is wrong and what to do."""
