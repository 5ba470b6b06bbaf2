"""Stands in for timm, which pulls torchvision, which does not load beside a CPU build of torch.

nnU-Net imports every one of its trainers in search of one, some of which import names from timm. None is used here.
"""

from torch import nn


def __getattr__(name: str) -> type[nn.Module]:
    if name.startswith("__"):
        raise AttributeError(name)
    return _never_made(name)


def _never_made(name: str) -> type[nn.Module]:
    """A class that can be imported and subclassed, and says so when somebody makes one."""

    def refuse(self: nn.Module, *args: object, **kwargs: object) -> None:
        raise NotImplementedError(f"timm's {name} is not installed beside the tests of parity")

    return type(name, (nn.Module,), {"__init__": refuse})
