"""Memory and time estimates, data audit."""
