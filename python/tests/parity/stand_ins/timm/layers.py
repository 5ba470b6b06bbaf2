"""See timm/__init__.py."""

from timm import __getattr__ as __getattr__
