"""The translation of texts for people, in Slicer; outside of it (tests, tools) texts stay as they are."""

try:
    from slicer.i18n import tr as _
except ImportError:

    def _(text: str) -> str:  # type: ignore[misc]
        """The text itself."""
        return text


__all__ = ["_"]
