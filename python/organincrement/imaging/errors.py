"""The one exception of the imaging layer."""


class ImageError(ValueError):
    """An image or label is refused; the message is one line: which file, what is wrong, and what to do."""

    def __init__(self, message: object) -> None:
        super().__init__(one_line(message))


def one_line(message: object) -> str:
    """A message as one printable line: a file may have any name, and what it holds may be quoted."""
    # A line break or an escape sequence in a file's name would otherwise reach the terminal.
    return "".join(sign if sign.isprintable() else _visible(sign) for sign in str(message).strip())


def _visible(sign: str) -> str:
    # A byte that is no UTF-8 stands in a path as a lone surrogate.
    code = ord(sign)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else repr(sign)[1:-1]
