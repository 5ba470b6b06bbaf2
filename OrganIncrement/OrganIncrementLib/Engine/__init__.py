"""The engine as a program of its own: where it is, whether it can run, its commands and jobs. No Qt, no MRML."""
