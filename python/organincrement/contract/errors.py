"""The one exception of the contract layer."""


class ContractError(ValueError):
    """A file or value breaks the contract; the message is one line: what is wrong, where, and what to do."""

    def __init__(self, message: object) -> None:
        super().__init__(" ".join(str(message).splitlines()))
