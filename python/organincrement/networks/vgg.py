"""The convolutions of VGG16, as a measure of what is in a picture; its weights come from the user, none from us.

K. Simonyan, A. Zisserman: Very deep convolutional networks for large-scale image recognition. arXiv 1409.1556, table 1,
configuration D. Weights are taken by torchvision's names, `features.0.weight` …; the classifier's are left out.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from organincrement.networks.errors import NetworkError

_CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision scales it
_MOST_BYTES = 2**30
SHRINKS = 16  # the last convolutions see a picture so many times smaller


class Vgg16(nn.Module):
    """Thirteen 3 x 3 convolutions in five blocks with max pooling in between."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for block in _CHANNELS:
            for channels in block:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU()]
                before = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def activations(self, picture_HW: Tensor) -> Iterator[Tensor]:
        """(filters, h, w) after each convolution's ReLU, one at a time.

        Args: picture_HW: one slice, any scale: its range becomes 0..1, the same in all three colours.
        """
        low, high = picture_HW.min(), picture_HW.max()
        grey = (picture_HW - low) / (high - low).clamp_min(1e-12)
        mean, std = (torch.tensor(values).to(grey)[:, None, None] for values in (_MEAN, _STD))
        x = ((grey - mean) / std)[None]
        for layer in self.features[:-1]:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                yield x[0]


def resized(picture_HW: Tensor, edge: int) -> Tensor:
    """A slice as a square picture, linearly."""
    return functional.interpolate(
        picture_HW[None, None], size=(edge, edge), mode="bilinear", align_corners=False, antialias=True
    )[0, 0]


def load_vgg16(path: Path) -> Vgg16:
    """A VGG16 with the weights of a file, .safetensors or a torch file of tensors alone; nothing in it is executed.

    Raises: NetworkError, in one line, where it is no such file or its shapes are not those of VGG16.
    """
    with torch.device("meta"):
        network = Vgg16()
    wanted = network.state_dict()
    given = _weights(path)
    for name, like in wanted.items():
        found = given.get(name)
        if not isinstance(found, Tensor) or found.shape != like.shape or not found.is_floating_point():
            shape = list(found.shape) if isinstance(found, Tensor) else "not there"
            raise NetworkError(f"{path.name}: '{name}' is {shape}, but in VGG16 it is {list(like.shape)}")
        if not torch.isfinite(found).all():
            raise NetworkError(f"{path.name}: '{name}' has numbers that are not finite")
    network.load_state_dict({name: given[name].float() for name in wanted}, assign=True)
    return network.eval().requires_grad_(False)


def _weights(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise NetworkError(f"{path.name}: is no file; give the weights of a VGG16, .safetensors or .pth")
    if path.stat().st_size > _MOST_BYTES:
        raise NetworkError(f"{path.name}: is larger than a VGG16 is")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # many kinds, by what the file is
        raise NetworkError(
            f"{path.name}: cannot be read as weights; give .safetensors, or a .pth of tensors alone"
        ) from error
    if not isinstance(loaded, Mapping):
        raise NetworkError(f"{path.name}: holds no named weights")
    return loaded
