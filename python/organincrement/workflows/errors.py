"""The one exception of the workflows layer, and which errors refuse what a user gave."""

# exit code 3 of a command; any other error is a failure, exit code 1
REFUSALS = (ValueError, FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)


class WorkflowError(ValueError):
    """What was asked for is refused; the message is one line: what is wrong, where, and what to do."""

    def __init__(self, message: object) -> None:
        super().__init__(" ".join(str(message).split()))
