"""Why the header of a file is none that can be used."""


class HeaderError(ValueError):
    """The message says in a few words what it lacks: `it is no NRRD file`."""
