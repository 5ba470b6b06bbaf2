"""The one exception of the workflows layer."""


class WorkflowError(ValueError):
    """What was asked for is refused; the message is one line: what is wrong, where, and what to do."""

    def __init__(self, message: object) -> None:
        super().__init__(" ".join(str(message).split()))
