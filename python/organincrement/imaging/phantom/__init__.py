"""A procedural abdomen CT of nobody: anatomy, tissue, scanner."""
