"""The one exception of the imaging layer."""


class ImageError(ValueError):
    """An image or label is refused; the message is one line: which file, what is wrong, and what to do."""

    def __init__(self, message: object) -> None:
        super().__init__(" ".join(str(message).split()))
